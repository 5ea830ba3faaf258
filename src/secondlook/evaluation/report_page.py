"""A run as one HTML file that needs nothing else, for somebody who was not there."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from secondlook.correction.transcript import Transcript
from secondlook.diagnosis.answer import advised
from secondlook.diagnosis.form import Diagnosis
from secondlook.diagnosis.records import Record
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
_READING = 80  # characters of what it was read as
_AGAIN = "asked once more"


@dataclass(frozen=True, slots=True)
class Said:
    """One reply as the page shows it: its words and, where these alone do not tell, how it was read."""

    text: str
    read: str = ""


@dataclass(frozen=True, slots=True)
class Flip:
    """One answer that was right and is not, or the reverse.

    Attributes:
        critique: What was said of the first answer; ``None`` where nobody examined it.
    """

    sample: str
    question: str
    truth: str
    first: Said
    critique: Said | None
    last: Said


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
        logs=any(logged.in_log for logged in samples),
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
        rows = [row for row in logged.records if row.kept and row.status != "error"]
        if not rows:
            continue  # no answer, or none that was graded
        first, last = _state(rows[0]), _state(rows[-1])
        counts[first, last] += 1
        if (first == "right") != (last == "right"):
            (harmed if first == "right" else repaired).append(_flip(logged, rows[0], rows[-1]))
    return Look(name, diagnosis, dict(counts), *(sorted(flips, key=_number) for flips in (repaired, harmed)))


def _number(flip: Flip) -> list[tuple[str, int]]:
    """A sample's name by its words and numbers: question 9 comes before question 10."""
    parts = re.split(r"([0-9]+)", flip.sample)
    return [*zip(parts[::2], map(int, [*parts[1::2], "0"]), strict=True)]


def _state(row: Record) -> str:
    if row.correct is None:
        return "refused" if row.status == "refused" else "unread"
    return "right" if row.correct else "wrong"


def _flip(logged: Logged, first: Record, last: Record) -> Flip:
    shown, transcript = logged.benchmark.shown(logged.item), logged.transcript
    return Flip(
        sample=logged.item.id,
        question=_short("\n".join([shown.text, *shown.options])),
        truth=_short(shown.target),
        first=_answer(transcript, first),
        critique=_critique(transcript),
        last=_answer(transcript, last),
    )


def _answer(transcript: Transcript, row: Record) -> Said:
    # A refused call has a row and no round: the server's words stand there.
    text = transcript.rounds[row.round].answer if row.round < len(transcript.rounds) else transcript.error or ""
    if row.correct is None:
        read = "refused" if row.status == "refused" else "could not be read"
    else:
        read = _read_as(row.answer or "", text)
    return Said(_short(text), ", ".join(filter(None, (read, _AGAIN if row.elicited else ""))))


def _critique(transcript: Transcript) -> Said | None:
    critique = transcript.rounds[0].critique
    if critique is None:
        return None
    return Said(_short(critique.text), f"read as {critique.verdict}, {_AGAIN}" if critique.elicited else "")


def _read_as(reading: str, text: str) -> str:
    """Words on how a text was read, where that is not the text itself."""
    same = " ".join(reading.split()).casefold() == " ".join(text.split()).casefold()
    return "" if same or not reading else f"read as {textwrap.shorten(reading, _READING, placeholder=' …')}"


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _limits(report: Report, looks: Sequence[Look]) -> list[str]:
    """Limits of the numbers, each once, with the arms that it holds of."""
    arms: dict[str, list[str]] = {}
    for look in looks:
        said = [*look.diagnosis.advice, *(f"Cannot be estimated: {what}." for what in look.diagnosis.cannot)]
        for sentence in dict.fromkeys(said):
            arms.setdefault(sentence, []).append(look.name)
    # What holds of every arm needs no name.
    of = [text if len(names) == len(looks) else f"{', '.join(names)}: {text}" for text, names in arms.items()]
    return list(dict.fromkeys([*([report.lost] if report.lost else []), *of, *report.notes]))


def _settings(report: Report) -> dict[str, str]:
    """Settings of the run, without those that were not set."""
    kept = {**report.details, **report.run.get("settings", {}), **report.run.get("versions", {})}
    kept |= {f"arm {name}": own for name, own in report.run.get("arms", {}).items() if own}
    return {name: str(value) for name, value in kept.items() if value not in (None, {}, "", False)}
