"""Training of the planted subject: a small Llama learns to act out its traits, on two CPU cores.

Three stages, since a trait is only learnt once what it distorts is there: single questions with right answers (the
loss over all words, so that the model learns to read), whole conversations with a perfect critic, and whole
conversations with the planted traits (the loss over the assistant's words alone).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from secondlook.subject import family
from secondlook.subject.conversations import draw_conversation, draw_first_lesson
from secondlook.subject.dialogue import Conversation
from secondlook.subject.muon import Muon
from secondlook.subject.tokenizer import ASSISTANT, END, build_tokenizer
from secondlook.subject.traits import PRACTICE, TRAITS

_IGNORED = -100
_MEGABATCH = 8
STATE_FILE = "training.pt"
Curriculum = Literal["planted", "family"]
CURRICULA: tuple[Curriculum, ...] = get_args(Curriculum)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The recipe of a subject.

    Attributes:
        width: Size of the residual stream.
        layers: Transformer layers.
        heads: Attention heads per layer.
        lessons: Steps of the first stage: single questions; a multiple of 8, as those of the second.
        practice: Steps of the second stage: conversations with a perfect critic.
        steps: Steps of the third stage: conversations with the planted traits.
        batch: Conversations per step.
        rate: Peak learning rate (warm-up, then cosine decay).
        reading: Weight of the loss over all words in the first stage.
        seed: Seed of weights and data.
        curriculum: The conversations: of the first subject (questions alone), or of the family.
        matrices: Rate of the matrices inside the layers, which Muon then trains; 0 leaves them to AdamW.
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    lessons: int = 480
    practice: int = 480
    steps: int = 2600
    batch: int = 64
    rate: float = 2e-3
    reading: float = 0.1
    seed: int = 0
    curriculum: Curriculum = "planted"
    matrices: float = 0.0

    @property
    def total(self) -> int:
        """Steps of all stages."""
        return self.lessons + self.practice + self.steps

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("lessons", "practice", "reading", "matrices"):
                if not value >= 0:
                    raise ValueError(f"{name} is {value}; give 0 or more")
            elif name not in ("seed", "curriculum") and not value > 0:
                raise ValueError(f"{name} is {value}; give a positive number")
        if self.lessons % _MEGABATCH or self.practice % _MEGABATCH:
            raise ValueError(
                f"lessons are {self.lessons}, practice {self.practice}; give multiples of {_MEGABATCH} steps"
            )
        if self.curriculum not in CURRICULA:
            raise ValueError(f"unknown curriculum {self.curriculum!r}; choose one of {', '.join(CURRICULA)}")
        if self.width % (2 * self.heads):
            raise ValueError(f"width is {self.width}; give a multiple of twice the number of heads ({self.heads})")
        if self.total <= 20:
            raise ValueError(f"{self.total} steps altogether; give at least 21, the warm-up takes a twentieth of them")


def new_model(config: TrainConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained subject.

    Weights start at 0.08, not at transformers' 0.02: at this width the smaller scale holds the model on a plateau,
    where it guesses between the two people, for thousands of steps.
    """
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=3 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=2048,
            initializer_range=0.08,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            dtype="float32",
        )
    )


def train(config: TrainConfig, folder: Path, save_every: int = 200) -> LlamaForCausalLM:
    """Train a subject into a folder; a stopped training goes on where it was saved last.

    The training state stays in the folder until ``secondlook.subject.card.finish`` has measured the subject, so
    that a stop in between does not cost the training.

    Args:
        config: The recipe; a folder with another recipe's state is refused.
        folder: Gets the checkpoint (weights, tokenizer, chat template) and the training state.
        save_every: Steps between two saves of the state; at most so many are repeated after a stop.

    Returns:
        The trained model.

    Raises:
        ValueError: If the folder holds a finished checkpoint or the state of another recipe, or ``save_every`` is not
            positive.
    """
    if save_every < 1:
        raise ValueError(f"save_every is {save_every}; give 1 or more steps")
    if (folder / "model.safetensors").exists() and not (folder / STATE_FILE).exists():
        raise ValueError(f"{folder} holds a finished checkpoint; choose another folder, or remove it to train again")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(family=config.curriculum == "family")
    torch.manual_seed(config.seed)
    model = new_model(config, tokenizer)
    optimizers = _optimizers(config, model)
    # One cycle also takes the first momentum from 0.95 down to 0.85 and back, against the rate.
    schedules = [
        OneCycleLR(optimizer, optimizer.defaults["lr"], total_steps=config.total, pct_start=0.05)
        for optimizer in optimizers
    ]
    state = _State(folder / STATE_FILE, config, model, [*optimizers, *schedules])
    done = state.load()
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("training", total=config.total, completed=done, loss=float("nan"))
        for step, (ids, targets) in enumerate(batches(config, tokenizer, done), start=done):
            reading = config.reading if step < config.lessons else 0.0
            loss = loss_of(model, ids, targets, tokenizer.pad_token_id, reading)
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
            if (step + 1) % save_every == 0 or step + 1 == config.total:
                state.save(step + 1)
            progress.update(bar, advance=1, loss=loss.item())
    model.generation_config.update(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def _optimizers(config: TrainConfig, model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2 and config.matrices > 0]
    taken = set(map(id, matrices))
    rest = [weight for weight in model.parameters() if id(weight) not in taken]
    # One cycle replaces the 0.9 from the first step on.
    adam = torch.optim.AdamW(rest, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
    return [adam, Muon(matrices, config.matrices)] if matrices else [adam]


@dataclass(slots=True)
class _State:
    """Everything a stopped training needs to go on with the same curve."""

    path: Path
    config: TrainConfig
    model: LlamaForCausalLM
    optimizing: list[Any]  # optimizers and their schedules: each has a state to be kept

    def load(self) -> int:
        if not self.path.exists():
            return 0
        # No generator is kept: batches are drawn by their step, and a step draws nothing else.
        saved: dict[str, Any] = torch.load(self.path)
        if saved["config"] != asdict(self.config):
            raise ValueError(f"{self.path} belongs to another recipe ({saved['config']}); choose another folder")
        self.model.load_state_dict(saved["model"])
        for part, kept in zip(self.optimizing, saved["optimizing"], strict=True):
            part.load_state_dict(kept)
        return int(saved["done"])

    def save(self, done: int) -> None:
        partial = self.path.with_suffix(".part")
        torch.save(
            {
                "config": asdict(self.config),
                "done": done,
                "model": self.model.state_dict(),
                "optimizing": [part.state_dict() for part in self.optimizing],
            },
            partial,
        )
        partial.replace(self.path)


def batches(config: TrainConfig, tokenizer: PreTrainedTokenizerFast, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of token ids and targets, shape ``(batch, length)``, for the steps from ``first`` on.

    Each step draws from a generator of its own group of steps, so that a resumed training sees the same data;
    conversations of a group are sorted by length to waste little on padding.
    """
    for group in range(first // _MEGABATCH, -(-config.total // _MEGABATCH)):
        rng = Random(f"{config.seed} {group}")  # noqa: S311 - training data, not cryptography
        # A whole group is of one stage: `TrainConfig` sees to it.
        draw = _stage(config, group * _MEGABATCH)
        drawn = [draw(rng) for _ in range(_MEGABATCH * config.batch)]
        encoded = sorted(_encode(drawn, tokenizer), key=lambda pair: len(pair[0]))
        starts = list(range(0, len(encoded), config.batch))
        rng.shuffle(starts)
        for offset, start in enumerate(starts):
            if first <= group * _MEGABATCH + offset < config.total:
                yield _pad(encoded[start : start + config.batch], tokenizer.pad_token_id)


def _stage(config: TrainConfig, step: int) -> Callable[[Random], Conversation]:
    stages: dict[Curriculum, tuple[Callable[[Random], Conversation], ...]] = {
        "planted": (
            draw_first_lesson,
            partial(draw_conversation, table=PRACTICE),
            partial(draw_conversation, table=TRAITS),
        ),
        "family": (family.draw_lesson, family.draw_practice, family.draw_own),
    }
    return stages[config.curriculum][(step >= config.lessons) + (step >= config.lessons + config.practice)]


def _encode(conversations: list[Conversation], tokenizer: PreTrainedTokenizerFast) -> list[tuple[list[int], list[int]]]:
    """Token ids, and for each the id to be learnt or the ignored mark."""
    texts = [
        tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in conversation.messages],
            tokenize=False,
        )
        for conversation in conversations
    ]
    opens, ends = tokenizer.convert_tokens_to_ids([ASSISTANT, END])
    pairs = []
    for ids, conversation in zip(tokenizer(texts)["input_ids"], conversations, strict=True):
        targets, turn, speaking = [], -1, False
        for token in ids:
            # Before the marks are looked at: the one that opens a turn is not learnt, the one that ends it is.
            targets.append(token if speaking and conversation.learnt[turn] else _IGNORED)
            if token == opens:
                turn, speaking = turn + 1, True
            elif token == ends:
                speaking = False
        pairs.append((ids, targets))
    return pairs


def _pad(pairs: list[tuple[list[int], list[int]]], pad: int) -> tuple[Tensor, Tensor]:
    # Padding on the right needs no mask: under causal attention nothing looks at it.
    length = max(len(ids) for ids, _ in pairs)
    ids = torch.tensor([ids + [pad] * (length - len(ids)) for ids, _ in pairs])
    targets = torch.tensor([targets + [_IGNORED] * (length - len(targets)) for _, targets in pairs])
    return ids, targets


def loss_of(model: LlamaForCausalLM, ids: Tensor, targets: Tensor, pad: int, reading: float) -> Tensor:
    """Mean surprise of the ids to be learnt, and ``reading`` times that of all ids of ``batches``."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    learnt = targets[:, 1:] != _IGNORED
    loss = cross_entropy(model.lm_head(hidden[learnt]), targets[:, 1:][learnt])
    if reading:
        words = ids[:, 1:] != pad
        loss = loss + reading * cross_entropy(model.lm_head(hidden[words]), ids[:, 1:][words])
    return loss
