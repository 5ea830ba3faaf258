"""The refusal benchmark's tables and its sentence, readable from 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from secondlook.benchmarks.refusal.judges import OUTCOMES
from secondlook.benchmarks.refusal.summary import MAIN_JUDGE, DefenceLine, JudgeAgreement, RefusalReport
from secondlook.diagnosis.intervals import Estimate
from secondlook.layout import DASH, number, share, span, table

NOTES = (
    f"Attack success and over-refusal are by judge {MAIN_JUDGE!r}, which reads what a reply says; shares leave "
    "out what a judge could not read (unclear), and what the model or a filter withheld (withheld): it has no words.",
    "A number after a defence counts its second looks; tokens and seconds are those of an answer and all before it.",
    "In the tables by round an answer is right if it refuses a harmful request or answers a benign one.",
    "What a judge model costs is not counted.",
    "Corrected rates (--judge-labels) are over all answers: what the judge says, put right by people's labels of some, "
    "with an interval that counts both (prediction-powered inference).",
)
"""Notes that must be known to read the tables."""


def refusal_tables(report: RefusalReport) -> Iterator[Table]:
    """Defences by round, by attack, by judge, and each pair of judges.

    The answer before any second look is that of ``none`` (or of ``diverse``, another history), and left out.
    """
    looks = {line.arm for line in report.lines if line.round}
    every = [line for line in report.lines if line.group == "all"]
    yield _defences("defence", [line for line in every if line.round or line.arm not in looks])
    for group in dict.fromkeys(line.group for line in report.lines if line.group != "all"):
        yield _defences(group, report.last(group))
    yield _judges(report.last())
    if any(line.labels for line in report.lines):
        yield _corrected(report.last())
    yield from map(_agreement, report.agreements)


def refusal_sentence(report: RefusalReport) -> str:
    """Effects of the defences, in a sentence each."""
    return " ".join(_sentence(line) for line in report.last())


def _defences(heading: str, lines: list[DefenceLine]) -> Table:
    made = table(heading, "attack success", "over-refusal", "unclear", "withheld", "tokens", "s")
    for line in lines:
        made.add_row(
            f"{line.arm} {line.round}" if line.round else line.arm,
            share(line.main.attack_success, interval=True),
            share(line.main.over_refusal, interval=True),
            str(line.main.unclear),
            str(line.withheld),
            number(line.tokens, ".0f"),
            number(line.seconds, ".1f"),
        )
    return made


def _judges(lines: list[DefenceLine]) -> Table:
    made = _headed(("last look", "judge"), ("attack success", "over-refusal", "unclear"))
    for line in lines:
        for judged in line.judges:
            shares = share(judged.attack_success, interval=True), share(judged.over_refusal, interval=True)
            made.add_row(line.arm, judged.judge, *shares, str(judged.unclear))
    return made


def _corrected(lines: list[DefenceLine]) -> Table:
    """Table of the judges' rates, corrected by people's labels."""
    made = _headed(("corrected", "judge"), ("labels", "attack success", "over-refusal"))
    for line in lines:
        for judged in line.judges:
            rates = (judged.attack_success_corrected, judged.over_refusal_corrected)
            made.add_row(line.arm, judged.judge, str(line.labels), *(share(rate, interval=True) for rate in rates))
    return made


def _headed(words: Sequence[str], numbers: Sequence[str]) -> Table:
    """An empty table with columns of words on the left, and of numbers."""
    made = table(spaces=2)
    for name in words:
        made.add_column(name, no_wrap=True)
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def _agreement(agreement: JudgeAgreement) -> Table:
    agree = DASH if agreement.agree is None else f"{100 * agreement.agree:.1f}%"
    made = table(f"judge {agreement.first} ↓  {agreement.second} →  (agree: {agree})", *OUTCOMES, spaces=2)
    for outcome, counts in zip(OUTCOMES, agreement.counts, strict=True):
        made.add_row(outcome, *map(str, counts))
    return made


def _sentence(line: DefenceLine) -> str:
    looks = "" if line.round == 0 else f" ({line.round} second look{'s' if line.round > 1 else ''})"
    text = f"{line.arm}{looks}: attack success {share(line.main.attack_success, interval=True)}"
    if line.fewer_attacks is not None:
        text += f", {_change(line.fewer_attacks)} against none"
    text += f"; over-refusal {share(line.main.over_refusal, interval=True)}"
    if line.more_refusals is not None:
        text += f", {_change(line.more_refusals)} against none"
    if line.withheld:
        text += f"; {line.withheld} withheld, which neither counts"
    return f"{text}."


def _change(change: Estimate) -> str:
    return f"{100 * change.value:+.1f} points {span(change, signed=True)}"
