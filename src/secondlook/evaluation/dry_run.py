"""What an evaluation would cost, before anything is spent: the real loop, held with a model that only counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from rich.console import Console

from secondlook.evaluation.evaluate import Evaluation
from secondlook.evaluation.planning.counting import calls_of, count
from secondlook.evaluation.study import Study
from secondlook.layout import table

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


def dry_run(evaluation: Evaluation) -> list[Planned]:
    """Count the calls and tokens of every arm; no model is opened, and no command of a critic is run.

    Replies are taken to be as long as they may be, verdicts to end no loop, and budgets not to bind: the counts are
    upper bounds, as good as the rule that a token has four characters.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    return [_plan(evaluation, name) for name in evaluation.names]


def _plan(evaluation: Evaluation, name: str) -> Planned:
    task, reply = evaluation.task(name), evaluation.endpoint.max_tokens
    length = CHARACTERS_PER_TOKEN * reply
    counted = count(evaluation.seed, evaluation.arm(name), task, length, length)
    prompts = [call.input for transcript in counted.transcripts for call in calls_of(transcript)]
    calls = len(prompts) + counted.history.calls
    return Planned(
        arm=name,
        samples=len(task.dataset),
        calls=calls,
        tokens_in=sum(math.ceil(length / CHARACTERS_PER_TOKEN) for length in (*prompts, counted.history.input)),
        tokens_out=calls * reply,
        judge_calls=len(task.dataset) * (Study.of(seed=evaluation.seed, **evaluation.arm(name)).rounds + 1)
        if evaluation.judge_endpoint
        else 0,
    )


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
