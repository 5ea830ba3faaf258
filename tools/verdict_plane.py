"""Draw what was measured of alarms beside T12's line, and put its table into docs/theory.md (``--check``: compare).

Points are those of ``results/diagnosis/alarms.json``, which planted_alarms.py makes anew from the planted studies,
and of real models every arm of the records in ``results/real/`` and every diagnosis under ``results/``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import real_records
from evidence_tables import block, redraw, refresh
from matplotlib import rc_context
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.form import FORMAT, Diagnosis, from_json
from secondlook.diagnosis.intervals import Estimate
from secondlook.layout import points as moved
from secondlook.layout import share

ROOT = Path(__file__).parent.parent
RESULTS, PAGE = ROOT / "results", ROOT / "docs" / "theory.md"
PLANE, LOOKS = ROOT / "docs" / "verdicts.svg", ROOT / "docs" / "looks"
KEPT = RESULTS / "diagnosis" / "alarms.json"


@dataclass(frozen=True)
class Point:
    """One arm's first look.

    Attributes:
        name: Study, model and critic.
        planted: Whether of a planted subject.
        precision: P(wrong | alarm).
        needed: What it has to exceed, harm / (harm + repair).
        harm: Of right answers, after an alarm.
        repair: Of wrong ones, after an alarm.
        critic: Its accuracy.
        even: The accuracy a* that a symmetric critic needs.
        gain: Of the look, in accuracy.
    """

    name: str
    planted: bool
    precision: Estimate
    needed: Estimate
    harm: float
    repair: float
    critic: Estimate | None
    even: Estimate | None
    gain: Estimate | None

    @property
    def height(self) -> float:
        """Gain through alarms, per alarm, over the mean of harm and repair: on T12's line 2 · precision − 1."""
        true = self.precision.value
        return 2 * (true * self.repair - (1 - true) * self.harm) / (self.harm + self.repair)

    @property
    def off(self) -> float:
        """How far above T12's line: (repair − harm) / (repair + harm)."""
        return self.height - (2 * self.precision.value - 1)


def point(name: str, found: Diagnosis) -> Point | None:
    """The point of a diagnosis; none without alarms at right answers and at wrong ones, or if they change nothing."""
    even = found.break_even
    if even is None or even.alarms is None or even.alarms.needed is None:
        return None
    alarms = {one.state: one.changed for one in found.steps[0].responses if one.verdict == "wrong"}
    harm, repair = alarms["right"], alarms["wrong"]
    assert harm is not None
    assert repair is not None
    rates = harm.value, repair.value
    seen = even.alarms.precision, even.alarms.needed
    critic = found.overall.critic.accuracy
    return Point(name, "planted" in (found.model or ""), *seen, *rates, critic, even.accuracy, found.rounds[1].gain)


def points() -> list[Point]:
    """What is kept of planted subjects, every arm of the records of real models, and every diagnosis."""
    kept = TypeAdapter(list[Point]).validate_json(KEPT.read_bytes()) if KEPT.is_file() else []
    # A study of several looks asks the first one again, which has its point already.
    for arm in (arm for model in real_records.models() for arm in real_records.arms(model) if arm.looks == 1):
        kept += arms(arm.records, arm.model, arm.task, arm.differs).values()
    for file in sorted(RESULTS.rglob("*.json")):
        told = json.loads(file.read_text("utf-8"))
        if isinstance(told, dict) and told.get("format") == FORMAT:
            one = from_json(file.read_bytes())
            kept += [found for found in [point(f"{one.model}, {one.arm}", one)] if found is not None]
    return kept


def arms(frame: pd.DataFrame, name: str, *told: str) -> dict[str, Point]:
    """The points of those arms of a table whose critic raised alarms."""
    found = {}
    for arm, rows in frame.groupby("arm"):
        if (rows["verdict"] == "wrong").any() and rows["round"].max() > 0:
            called = ", ".join(filter(None, [name, real_records.unflipped(str(arm)), *told]))
            if one := point(called, diagnose(rows, arm=str(arm), round_=1)):
                found[called] = one
    return found


def table(found: list[Point]) -> str:
    """A line for each point."""
    lines = [
        "| study | true alarms | needed | off the line | critic right | a* | gain, points |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        shares = (share(part, digits=0, interval=True) for part in (one.precision, one.needed))
        critic = (share(part, digits=0) for part in (one.critic, one.even))
        cells = (one.name, *shares, f"{one.off:+.2f}", *critic, moved(one.gain))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(found: list[Point]) -> Figure:
    """The plane: planted subjects hollow, real models filled, whiskers for precision."""
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes: Any = figure.subplots()
        axes.plot([0, 1], [-1, 1], color="#8a2f8f", linewidth=1.6, label="T12, and harm = repair")
        axes.axhline(0, color="#857c6e", linewidth=0.8)
        axes.axvline(0.5, color="#857c6e", linewidth=0.8, linestyle=":")
        for planted, label in ((True, "planted subjects"), (False, "real models")):
            own = [one for one in found if one.planted == planted]
            for one in own:
                if one.precision.low is not None and one.precision.high is not None:
                    ends = [one.precision.low, one.precision.high]
                    axes.plot(ends, [one.height] * 2, color="#0b5cad", linewidth=0.8, alpha=0.6)
            if own:
                x, fill = [one.precision.value for one in own], "none" if planted else "#0b5cad"
                y = [one.height for one in own]
                axes.scatter(x, y, s=28, facecolors=fill, edgecolors="#0b5cad", label=label, zorder=3)
                needed = [one.needed.value for one in own]
                axes.scatter(needed, [0.0] * len(own), s=14, marker="|", color="#c2410c", zorder=2)
        axes.scatter([], [], s=14, marker="|", color="#c2410c", label="their own harm/(harm + repair)")
        says = "gain through alarms, per alarm\n(over the mean of harm and repair)"
        axes.set(xlabel="alarm precision P(wrong | alarm)", ylabel=says, xlim=(0, 1))
        axes.grid(visible=True, alpha=0.25, linewidth=0.6)
        axes.legend(fontsize=8, frameon=False)
    return figure


def main() -> int:
    """Draw, and write the table, or compare it."""
    found = points()
    if "--check" not in sys.argv[1:]:
        from secondlook.evidence import figures
        from secondlook.reproduce.worth_picture import picture

        figures.draw(picture() | {"id": "T12", "title": "forward passes"}, LOOKS, endings=(".svg",))
    otherwise = "does not show the diagnoses under results/; run: python tools/verdict_plane.py"
    drawn = redraw(PLANE, draw(found), f"docs/{PLANE.name} {otherwise}")
    return drawn or refresh(PAGE, lambda text: block(text, "plane", table(found)), f"docs/theory.md {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
