"""What an evaluation would cost, before anything is spent: the real loop, held with a model that only counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import anyio
from inspect_ai import Task
from rich.console import Console

from secondlook.benchmarks.evaluate import Evaluation
from secondlook.benchmarks.harness.cases import case_of
from secondlook.benchmarks.harness.layout import table
from secondlook.benchmarks.harness.solver import Bench
from secondlook.benchmarks.harness.study import Study
from secondlook.benchmarks.harness.task import HISTORY
from secondlook.correction.chat import Completion, Message, ModelInfo, Usage
from secondlook.correction.loop import run

CHARACTERS_PER_TOKEN = 4
"""The usual rule for English; the estimate is no better than it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What one arm would cost at most.

    Attributes:
        arm: Its name.
        samples: Questions.
        calls: Requests to the answering and the examining model, those for a shared history included.
        tokens_in: Prompt tokens of these calls, before any cache.
        tokens_out: Tokens of the replies, each as long as allowed.
        judge_calls: Requests to a judge model.
    """

    arm: str
    samples: int
    calls: int
    tokens_in: int
    tokens_out: int
    judge_calls: int


@dataclass(slots=True)
class Counter:
    """A :class:`~secondlook.correction.chat.ChatModel` that answers with filler of the allowed length and keeps count.

    Attributes:
        reply_tokens: Tokens of every reply.
        calls: Requests so far.
        tokens_in: Their prompt tokens, by :data:`CHARACTERS_PER_TOKEN`.
    """

    reply_tokens: int
    calls: int = 0
    tokens_in: int = 0

    @property
    def info(self) -> ModelInfo:
        """No model."""
        return ModelInfo("dry-run")

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Count, and reply with filler that states no verdict."""
        del seed
        self.calls += 1
        length = len(prefill) + sum(len(message.content) for message in messages)
        self.tokens_in += math.ceil(length / CHARACTERS_PER_TOKEN)
        return Completion("x" * (CHARACTERS_PER_TOKEN * self.reply_tokens), Usage(calls=1))


def dry_run(evaluation: Evaluation) -> list[Planned]:
    """Count the calls and tokens of every arm; no model is opened, and no command of a critic is run.

    Replies are taken to be as long as they may be, verdicts to end no loop, and budgets not to bind: the counts are
    upper bounds, as good as the rule that a token has four characters.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    tasks = {name: evaluation.task(name) for name in evaluation.names}
    return [anyio.run(_plan, evaluation, name, task) for name, task in tasks.items()]


async def _plan(evaluation: Evaluation, name: str, task: Task) -> Planned:
    study = Study.of(seed=evaluation.seed, **_counted(evaluation.arm(name)))
    counter = Counter(evaluation.endpoint.max_tokens)
    bench = Bench(study, (task.metadata or {})[HISTORY], counter, counter)
    plan, _ = await bench.plan()
    for sample in task.dataset:
        await run(counter, bench.critic, case_of(sample.metadata or {}, study.file), plan)
    judged = len(task.dataset) * (study.rounds + 1) if evaluation.judge_endpoint else 0
    return Planned(
        arm=name,
        samples=len(task.dataset),
        calls=counter.calls,
        tokens_in=counter.tokens_in,
        tokens_out=counter.calls * counter.reply_tokens,
        judge_calls=judged,
    )


def _counted(arm: dict[str, object]) -> dict[str, object]:
    """The arm without what would run a command, read verdicts or stop early; such critics speak in canned words."""
    counted = {name: value for name, value in arm.items() if not name.startswith(("critic_", "budget_"))}
    critic = "oracle" if arm["critic"] in ("tool", "recorded") else arm["critic"]
    return {**counted, "critic": critic, "stop": "fixed"}


def show_planned(planned: Sequence[Planned], console: Console) -> None:
    """Print the counts of every arm, and their sum."""
    made = table(spaces=2)
    made.add_column("arm", no_wrap=True)
    for heading in ("samples", "calls", "tokens in", "tokens out", "judge calls"):
        made.add_column(heading, justify="right", no_wrap=True)
    for line in planned:
        made.add_row(line.arm, *(f"{count:,}" for count in astuple(line)[1:]))
    made.add_section()
    made.add_row("all", *(f"{sum(counts):,}" for counts in zip(*(astuple(line)[1:] for line in planned), strict=True)))
    console.print(made)
    console.print(
        f"At most, with replies as long as allowed and {CHARACTERS_PER_TOKEN} characters to a token. "
        "Nothing was sent to any model."
    )
