"""A run as one HTML file that needs nothing else, for somebody who was not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from secondlook.benchmarks.benchmark import AnyBenchmark
from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.answer import advised
from secondlook.diagnosis.form import Diagnosis
from secondlook.evaluation.logs import Logged
from secondlook.evaluation.report import Report
from secondlook.layout import DASH, number, points, share
from secondlook.machine import whole
from secondlook.pages.flows import flows
from secondlook.pages.html import digest, environment, style

FILE = "report.html"
SHOWN = 10
"""Answers that flipped, each way."""
_STATES = ("right", "wrong", "unread", "refused")
_LONGEST = 1500  # characters of a text


@dataclass(frozen=True, slots=True)
class Flip:
    """One answer that was right and is not, or the reverse.

    Attributes:
        critique: What was said of the first answer; ``None`` where nobody examined it.
    """

    sample: str
    question: str
    truth: str
    first: str
    critique: str | None
    last: str


@dataclass(frozen=True, slots=True)
class Look:
    """One arm that looks again, as the page shows it.

    Attributes:
        counts: How many answers went from one state to another, first to last.
        repaired: Some that became right.
        harmed: Some that were right.
    """

    name: str
    diagnosis: Diagnosis
    counts: dict[tuple[str, str], int]
    repaired: list[Flip]
    harmed: list[Flip]


def write_page(report: Report, samples: Sequence[Logged], folder: Path) -> Path:
    """Write the page of a run into its folder, whole or not at all; returns its path."""
    looks = [_look(name, report.diagnoses[name], samples) for name in report.looks if name in report.diagnoses]
    folder_ = resources.files("secondlook.evaluation") / "assets"
    sheet = style((folder_ / "report.css").read_text("utf-8"))
    templates = environment()
    templates.globals.update(flows=flows, states=_STATES, advised=advised, dash=DASH, shown=SHOWN)
    templates.filters.update(share=share, points=points, number=lambda value: number(value, ",.0f"))
    text = templates.from_string((folder_ / "report.html.j2").read_text("utf-8")).render(
        report=report,
        looks=looks,
        # What is asked to find faults is not for a page that is handed on.
        examples=bool(samples) and not samples[0].benchmark.arms,
        costs=[(line, report.diagnoses[line.arm]) for line in report.lines],
        limits=_limits(report, looks),
        settings=_settings(report),
        style=sheet,
        hash=digest(sheet),
    )
    path = folder / FILE
    with whole(path) as file:
        file.write(text.encode())
    return path


def _look(name: str, diagnosis: Diagnosis, samples: Sequence[Logged]) -> Look:
    counts: Counter[tuple[str, str]] = Counter()
    repaired: list[Flip] = []
    harmed: list[Flip] = []
    for logged in samples:
        if logged.arm != name:
            continue
        states = [_state(status, correct) for status, correct in _readings(logged) if status != "error"]
        if not states:
            continue  # no answer, or none that was graded
        counts[states[0], states[-1]] += 1
        if (states[0] == "right") != (states[-1] == "right"):
            (harmed if states[0] == "right" else repaired).append(_flip(logged.benchmark, logged))
    return Look(name, diagnosis, dict(counts), repaired, harmed)


def _readings(logged: Logged) -> Iterator[tuple[str, bool | None]]:
    for row in logged.records:
        if row.kept:
            yield row.status, row.correct


def _state(status: str, correct: bool | None) -> str:
    if correct is None:
        return "refused" if status == "refused" else "unread"
    return "right" if correct else "wrong"


def _flip(benchmark: AnyBenchmark, logged: Logged) -> Flip:
    shown, transcript = benchmark.shown(logged.item), logged.transcript
    return Flip(
        sample=logged.item.id,
        question=_short("\n".join([shown.text, *shown.options])),
        truth=_short(shown.target),
        first=_short(transcript.rounds[0].answer),
        critique=_critique(transcript),
        last=_short(transcript.in_hand.answer),
    )


def _critique(transcript: Transcript) -> str | None:
    critique = transcript.rounds[0].critique
    return None if critique is None else _short(critique.text)


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _limits(report: Report, looks: Sequence[Look]) -> list[str]:
    """Limits of the numbers, each once."""
    said = [report.lost] if report.lost else []
    for look in looks:
        said += [*look.diagnosis.advice, *(f"Cannot be estimated: {what}." for what in look.diagnosis.cannot)]
    return list(dict.fromkeys([*said, *report.notes]))


def _settings(report: Report) -> dict[str, str]:
    """Settings of the run, without those that were not set."""
    kept = {**report.details, **report.run.get("settings", {}), **report.run.get("versions", {})}
    kept |= {f"arm {name}": own for name, own in report.run.get("arms", {}).items() if own}
    return {name: str(value) for name, value in kept.items() if value not in (None, {}, "", False)}
