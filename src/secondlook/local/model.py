"""A local checkpoint that generates in batches: token ids in, token ids out, no server and no network."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from secondlook.correction.chat import Finish, Message, ModelInfo
from secondlook.correction.prefix import rewritten_turn
from secondlook.local.gguf_file import read_once
from secondlook.local.packed import pack
from secondlook.local.weights import catalogue, local_file, sha256

SHIPPED = ("planted", "planted-0.1m", "planted-0.5m", "planted-2m")
"""Names of the checkpoints that come with the package."""

_PROBE = tuple(
    turn
    for number in ("one", "two", "three")
    for turn in (
        Message("user", f"Ask {number}."),
        Message("assistant", f"<think>Reason {number}.</think>Reply {number}."),
    )
)
"""Replies with the marks of reasoning, which templates drop from earlier turns."""

_SAMPLING = threading.Lock()
"""Held while sampling: all models of a process draw from one generator, so that one seed serves one at a time."""


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """Decoding settings; requests with equal settings share a batch.

    Attributes:
        max_tokens: Tokens to generate at most.
        temperature: 0 decodes greedily.
        top_p: Nucleus, used when sampling.
        seed: Makes sampling repeatable; a sampled request with a seed is decoded alone.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """One reply: its text, how many tokens went in and came out, and why it ended."""

    text: str
    tokens_in: int
    tokens_out: int
    finish: Finish


def checkpoint(name: str) -> Path:
    """The folder or the GGUF file of a checkpoint: a shipped one, a real model by name, or what the user named.

    Raises:
        ValueError: If there is no checkpoint; says which names are known.
    """
    if file := local_file(name):
        return file
    folder = Path(str(resources.files("secondlook.subject") / "weights" / name)) if name in SHIPPED else Path(name)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"no checkpoint {name!r}: give a folder with config.json, a GGUF file, or one of "
            f"{', '.join((*SHIPPED, *catalogue()))} (model names: secondlook/{SHIPPED[0]}, …)"
        )
    return folder


def revision(path: Path) -> str:
    """Twelve hexadecimal digits of the hash of a checkpoint's weights."""
    if path.is_file():
        return sha256(path)[:12]
    digest = hashlib.sha256()
    for file in sorted(path.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


class LocalModel:
    """A causal language model with a chat template, loaded from a folder or a GGUF file.

    A GGUF file's weights are unpacked to float32, so that replies are those of these weights and of no kernel's
    rounding of activations.

    Args:
        name: A shipped checkpoint (``planted``), a real model by name (``smollm2-135m``), a folder or a GGUF file.
        device: Where to run; CUDA is used if found and nothing else is asked for.
        packed: Whether weights on a processor are laid out for its products; without, all is transformers' own.

    Raises:
        ValueError: If there is no such checkpoint, or it has no chat template.
    """

    def __init__(self, name: str, device: str | None = None, *, packed: bool = True) -> None:
        self._path = checkpoint(name)
        gguf = self._path.is_file()
        folder = self._path.parent if gguf else self._path
        options: dict[str, Any] = {"local_files_only": True} | ({"gguf_file": self._path.name} if gguf else {})
        # Bars for reading a file would stand between the user and the answer.
        transformers.utils.logging.disable_progress_bar()
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        with read_once() if gguf else nullcontext():
            # Padded on the left, all replies of a batch begin in one column, which `_continue` relies on.
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left", **options)
            if self.tokenizer.chat_template is None:
                raise ValueError(f"checkpoint {name!r} has no chat template; add chat_template.jinja to its folder")
            if self.tokenizer.pad_token_id is None:
                self.tokenizer.pad_token = self.tokenizer.eos_token
            self.model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32 if gguf else "auto", **options
            )
        if self.model.dtype is torch.float16 and self.device.startswith("cpu"):
            self.model.float()  # half precision is for storage: processors are slow and coarse in it
        self.model.to(self.device).eval()
        self.parameters: int = self.model.num_parameters()
        if packed:
            pack(self.model)  # after which they cannot be counted
        self.positions: int = getattr(self.model.config, "max_position_embeddings", None) or sys.maxsize

    @cached_property
    def info(self) -> ModelInfo:
        """Revision (hash of the weights), hash of the template, and whether it keeps earlier turns."""
        template = hashlib.sha256(str(self.tokenizer.chat_template).encode()).hexdigest()[:12]
        return ModelInfo(self._path.name, revision(self._path), template, self.keeps_turns(_PROBE))

    def keeps_turns(self, messages: Sequence[Message]) -> bool:
        """Whether every prompt of a conversation begins with the one before it and the reply to that, as they were.

        Templates that rewrite earlier prompts are found in the tokens; those that rewrite what the model has said
        (most that know of reasoning drop it from the earlier turns) in the text, since a reply's tokens are the
        model's own choice.
        """
        if rewritten_turn(self.encode, messages) is not None:
            return False
        asked = [index for index, message in enumerate(messages) if message.role == "user"]
        return all(
            self._render(messages[: later + 1]).startswith(
                self._render(messages[: earlier + 1]) + messages[earlier + 1].content
            )
            for earlier, later in pairwise(asked)
        )

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation; the assistant's turn is opened, or left open after a prefill."""
        (ids,) = self.encode_all([messages])
        return ids

    def encode_all(self, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Token ids of several conversations, which is faster than one by one."""
        texts = [self._render(messages) for messages in conversations]
        # The template has put in the special tokens.
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def _render(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        prefilled = messages[-1].role == "assistant"
        text: str = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=not prefilled, continue_final_message=prefilled, tokenize=False
        )
        return text

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]], settings: DecodingSettings) -> list[Generated]:
        """Continue each prompt, in a left-padded batch with those that have as much room.

        Args:
            prompts: Token ids, one list per prompt.
            settings: Decoding settings.

        Raises:
            ValueError: If a prompt leaves no room for a reply.
        """
        rooms = [min(settings.max_tokens, self.room(prompt)) for prompt in prompts]
        replies: dict[int, Generated] = {}
        # Beside a shorter one, a prompt that nearly fills the model would be read on beyond its last position.
        for room in sorted(set(rooms)):
            mine = [index for index, its in enumerate(rooms) if its == room]
            replies |= zip(mine, self._continue([prompts[index] for index in mine], settings, room), strict=True)
        return [replies[index] for index in range(len(prompts))]

    def _continue(self, prompts: Sequence[Sequence[int]], settings: DecodingSettings, room: int) -> Iterator[Generated]:
        batch = self.tokenizer.pad({"input_ids": [list(ids) for ids in prompts]}, return_tensors="pt")
        options: dict[str, Any] = {"do_sample": settings.temperature > 0}
        if options["do_sample"]:
            # 0 is all tokens; where it is left out, transformers draws from the 50 likeliest.
            options |= {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
        with _SAMPLING if options["do_sample"] else nullcontext():
            if options["do_sample"] and settings.seed is not None:
                torch.manual_seed(settings.seed)
            output = self.model.generate(
                **batch.to(self.device),
                max_new_tokens=room,
                pad_token_id=self.tokenizer.pad_token_id,
                **options,
            )
        replies = output[:, batch["input_ids"].shape[1] :].tolist()
        return (self.reply(len(ids), reply) for ids, reply in zip(prompts, replies, strict=True))

    def room(self, prompt: Sequence[int]) -> int:
        """Tokens a reply to a prompt may have.

        Raises:
            ValueError: If a prompt leaves no room for a reply.
        """
        if len(prompt) >= self.positions:
            raise ValueError(
                f"a prompt has {len(prompt)} tokens, and {self._path.name} reads {self.positions} with the reply; "
                "ask for fewer rounds, or a shorter history"
            )
        return self.positions - len(prompt)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        ends = self.model.generation_config.eos_token_id
        return frozenset(ends if isinstance(ends, list) else [ends])

    def reply(self, tokens_in: int, reply: list[int]) -> Generated:
        """Reply to a prompt of so many tokens, up to the first token that ends it."""
        end = next((index for index, token in enumerate(reply) if token in self.ends), None)
        length = len(reply) if end is None else end + 1
        text = self.tokenizer.decode(reply[:length], skip_special_tokens=True).strip()
        return Generated(text, tokens_in, length, "length" if end is None else "stop")
