"""The answer in ten lines: every arm before and after, what a question costs in it, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secondlook.diagnosis.finding import CONTROLS
from secondlook.diagnosis.form import Diagnosis
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.recommend import Option
from secondlook.layout import DASH, ends, number, points, share, table

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"helps": "green", "hurts": "red", "undecided": "yellow"}
_LINES = 8  # with its heading and its rule, a table of ten


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One arm.

    Attributes:
        before: Accuracy of the first answers.
        after: Accuracy of the judged answers; ``None`` if the model was not asked again.
        change: Their difference, paired.
        bare: Tokens of a question answered once; ``None`` if they are not known.
        tokens: Tokens of a question up to the judged answer.
        finding: ``helps``, ``hurts`` or ``undecided``; of an arm that is not there to be deployed, what it is:
            ``control``, or ``oracle``, which knows the truth.
    """

    arm: str
    before: Estimate | None
    after: Estimate | None
    change: Estimate | None
    bare: float | None
    tokens: float | None
    finding: str


def answer_line(diagnosis: Diagnosis) -> AnswerLine:
    """Diagnosis in one line."""
    first, last = diagnosis.rounds[0], diagnosis.rounds[diagnosis.round]
    again = diagnosis.round > 0
    control = any(name in CONTROLS for name in (diagnosis.arm, diagnosis.critic))
    return AnswerLine(
        arm=diagnosis.arm,
        before=first.accuracy,
        after=last.accuracy if again else None,
        change=last.gain if again else None,
        bare=first.tokens,
        tokens=last.tokens,
        finding="control" if control else "oracle" if diagnosis.critic == "oracle" else diagnosis.overall.finding,
    )


def answer_table(lines: Sequence[AnswerLine]) -> Table:
    """The lines as a table of at most ten lines and 80 columns; the arms it has no room for are counted."""
    made = table("arm", "before", "after", "change, points [95%]", "tokens a question", "finding")
    shown = lines if len(lines) <= _LINES else lines[: _LINES - 1]
    for line in shown:
        made.add_row(
            line.arm,
            share(line.before),
            share(line.after),
            points(line.change),
            _tokens(line),
            line.finding,
            style=COLOURS.get(line.finding),
        )
    if rest := len(lines) - len(shown):
        made.add_row(f"and {rest} more, below")
    return made


def advised(diagnosis: Diagnosis) -> str:
    """Sentence that says how many second looks are worth their tokens."""
    rounds, best = diagnosis.overall.recommended_rounds, diagnosis.recommendation
    told = f"Recommended second looks: {rounds}"
    if diagnosis.overall.finding != "helps":
        return f"{told}, as they are not shown to help."
    if not best.options:
        return f"{told}, as it is not known what a look costs."
    option = best.options[rounds]
    told += f", for {100 * option.accuracy:.1f}% right{_between(diagnosis, option)}"
    if option.tokens is not None and (bare := best.options[0].tokens) is not None:
        told += f" and {option.tokens:,.0f} tokens a question, of which the looks cost {option.tokens - bare:,.0f}"
    return f"{told}, at {best.price:g} points per 1,000 tokens." if best.price else f"{told}."


def _between(diagnosis: Diagnosis, option: Option) -> str:
    """Interval of a number of rounds' share of right answers, and whether it is measured."""
    measured = {state.round: state.accuracy for state in diagnosis.rounds}
    foretold = {line.round: line for line in diagnosis.forecast.rounds} if diagnosis.forecast else {}
    found = measured.get(option.rounds) if option.measured else foretold.get(option.rounds)
    between = f" {ends(found.low, found.high)}".rstrip() if found else ""
    return f"{between} ({'measured' if option.measured else 'forecast'})"


def _tokens(line: AnswerLine) -> str:
    """Tokens of a bare answer, and of one with its looks."""
    if line.after is None or line.tokens is None:
        return number(line.tokens, ",.0f")
    return f"{number(line.bare, ',.0f')} → {number(line.tokens, ',.0f')}" if line.bare is not None else DASH
