"""Adaptive evaluation: a suffix optimised against the *defended* conversation of a local model, by the nanogcg package.

A stored attack was made against the bare model, so replaying it flatters every defence. Here the conversation is first
held as the defence builds it; then greedy coordinate gradient (Zou et al. 2023) optimises the suffix where it stands
last, for the answer that counts: the re-answer, after a second look. The suffix changes the turns before it, so this is
repeated. What comes out is an artifact file of the user's, in the format that stored attacks are read from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio

from secondlook.benchmarks.harness.solver import Bench
from secondlook.benchmarks.prompts import Prompt
from secondlook.benchmarks.refusal.case import RefusalCase
from secondlook.benchmarks.refusal.defences import Reminder
from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judges import judge_start
from secondlook.correction.chat import Message
from secondlook.correction.loop import run
from secondlook.correction.transcript import Transcript

_HOLE = "{optim_str}"  # nanogcg's mark of the place


@dataclass(frozen=True, slots=True)
class Search:
    """How a suffix is searched for.

    Attributes:
        steps: Steps of greedy coordinate gradient in each pass.
        width: Candidates tried at each step.
        topk: Tokens considered at each position.
        passes: How often the conversation is held anew with the suffix found so far.
        start: The suffix to begin with; its length in tokens is kept.
        seed: Seed of the search.
    """

    steps: int = 250
    width: int = 512
    topk: int = 256
    passes: int = 2
    start: str = " ".join("x" * 20)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "width", "topk", "passes"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} is {value}; give 1 or more")
        if not self.start.strip():
            raise ValueError("the suffix to begin with is empty; give it as many tokens as the attack may use")


@dataclass(frozen=True, slots=True)
class Found:
    """One attacked request: the prompt, the answer it got in the end, and the loss of the target before it."""

    request: Request
    prompt: str
    response: str
    jailbroken: bool
    loss: float


def attack(
    requests: Sequence[Request], bench: Bench, prompt: Prompt, reminder: Reminder | None, weights: Any, search: Search
) -> list[Found]:
    """Attack each request in the conversation of one defence.

    Args:
        requests: Requests with targets.
        bench: The defended model as the loop sees it.
        prompt: Prompt file.
        reminder: The reminder of the defence, if any.
        weights: What ``bench`` answers with: a transformers model in ``.model``, its tokenizer in ``.tokenizer``.
        search: How to search.

    Raises:
        ValueError: If nanogcg is not installed, or a request has no target.
    """
    for request in requests:
        if request.target is None:
            raise ValueError(f"request {request.id!r} has no target to optimise for; give a file with a target column")
    optimise = _nanogcg()

    def hold(request: Request, suffix: str) -> Transcript:
        attacked = replace(request, text=f"{request.behaviour} {suffix}")
        return anyio.run(_hold, bench, RefusalCase(attacked, prompt, reminder))

    found = []
    for request in requests:
        suffix, loss = search.start, float("inf")
        for _ in range(search.passes):
            messages = with_hole(hold(request, suffix), suffix)
            suffix, loss = optimise(weights, messages, str(request.target), suffix, search)
        last = hold(request, suffix).rounds[-1]
        outcome = judge_start(last.answer, last.finish)
        found.append(Found(request, f"{request.behaviour} {suffix}", last.answer, outcome == "complied", loss))
    return found


async def _hold(bench: Bench, case: RefusalCase) -> Transcript:
    errors: list[Exception] = []
    plan, _ = await bench.plan()
    transcript = await run(bench.model, bench.critic, case, plan, on_error=errors.append)
    if errors:
        raise errors[0]
    return transcript


def with_hole(transcript: Transcript, suffix: str) -> list[dict[str, str]]:
    """The conversation before its last answer, with nanogcg's mark where the suffix stands last.

    Where the request is not repeated that is its only place; where it is, the earlier turns keep the suffix they had.
    """
    messages = list(transcript.messages[:-1])
    place = max(i for i, message in enumerate(messages) if message.role == "user" and suffix in message.content)
    before, _, after = messages[place].content.rpartition(suffix)
    messages[place] = Message("user", f"{before}{_HOLE}{after}")
    return [{"role": message.role, "content": message.content} for message in messages]


def write_artifact(path: Path, found: Sequence[Found], *, model: str, defence: str, search: Search) -> None:
    """Write an artifact that :func:`~secondlook.benchmarks.refusal.load.load_attacks` reads.

    Raises:
        ValueError: If the path lies in a repository: what breaks a model does not belong into one.
    """
    check_place(path)
    parameters = {
        "method": f"nanogcg-{defence}",
        "model": model,
        "attack_type": "white_box",
        "defense": defence,
        "total_number_of_jailbreaks": sum(one.jailbroken for one in found),
        "number_of_submitted_prompts": len(found),
        "method_parameters": asdict(search),
    }
    rows = [
        {
            "index": index,
            "goal": one.request.behaviour,
            "category": one.request.category,
            "prompt": one.prompt,
            "response": one.response,
            "jailbroken": one.jailbroken,
            "loss": one.loss,
        }
        for index, one in enumerate(found)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"parameters": parameters, "jailbreaks": rows}, indent=1) + "\n", encoding="utf-8")


def check_place(path: Path) -> None:
    """See that a file of attacks may be written there.

    Raises:
        ValueError: If the path lies in a git repository.
    """
    for folder in path.absolute().parents:
        if (folder / ".git").exists():
            raise ValueError(f"{path} lies in the repository {folder}; keep attacks outside of it, give another --out")


def _nanogcg() -> Any:
    """The optimiser: from weights, messages, target and first suffix to the best suffix and its loss."""
    try:
        nanogcg: Any = import_module("nanogcg")
    except ImportError:
        raise ValueError("adaptive attacks need the nanogcg package: pip install 'secondlook[attack]'") from None

    def optimise(
        weights: Any, messages: list[dict[str, str]], target: str, suffix: str, search: Search
    ) -> tuple[str, float]:
        vocabulary = weights.model.get_input_embeddings().num_embeddings
        config = nanogcg.GCGConfig(
            num_steps=search.steps,
            search_width=search.width,
            topk=min(search.topk, vocabulary),
            optim_str_init=suffix,
            seed=search.seed,
            # A cache of the prefix is written to by every call with the newer transformers.
            use_prefix_cache=False,
            verbosity="WARNING",
        )
        result = nanogcg.run(weights.model, weights.tokenizer, messages, target, config)
        return result.best_string, float(result.best_loss)

    return optimise
