"""Fill docs/findings.md from the records of real models, and draw what a second look did (``--check``: compare)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidence_tables import block, redraw, refresh
from matplotlib import rc_context
from matplotlib.figure import Figure
from real_records import REAL, RealArm, arms, models

from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.form import Diagnosis
from secondlook.diagnosis.intervals import Estimate
from secondlook.evidence.outcome import side
from secondlook.evidence.report import interval
from secondlook.layout import DASH, share
from secondlook.layout import points as moved
from secondlook.local.weights import catalogue
from secondlook.studies.pairs import accuracy, arms_of, change

ROOT = Path(__file__).parent.parent
PAGE, PICTURE = ROOT / "docs" / "findings.md", ROOT / "docs" / "findings.svg"
CONTROLS = ("none", "vote", "always-unknown")
_FIRST = ("self", "tool", "oracle", "none")


@dataclass(frozen=True)
class Look:
    """What the second looks of an arm did, mostly one.

    Attributes:
        arm: Who was asked what.
        found: The diagnosis of its last look, beside the controls of the same task.
    """

    arm: RealArm
    found: Diagnosis

    @property
    def critic(self) -> str:
        """The critic, and in what the arm differs from the plain one."""
        return ", ".join(filter(None, [self.arm.critic, self.arm.differs]))

    @property
    def named(self) -> str:
        """The critic for a table, and beside it in what the arm differs."""
        return ", ".join(filter(None, [f"`{self.arm.critic}`", self.arm.differs]))

    @property
    def gain(self) -> Estimate | None:
        """Accuracy after the last look less that before, paired."""
        return self.found.rounds[self.arm.looks].gain

    def against(self, control: str) -> Estimate | None:
        """Accuracy less that of a control."""
        return next((one.change for one in self.found.overall.comparisons if one.against == control), None)


def looks(model: str) -> list[Look]:
    """Every arm of a model that looks again, task by task; refusals have no accuracy, and are left to S7."""
    every = [arm for arm in arms(model) if arm.task != "requests"]
    found = []
    for arm in sorted(every, key=_order):
        beside = [one for one in every if one.task == arm.task and one.plain and one.name in CONTROLS]
        if arm.name not in CONTROLS or arm.name == "none":
            tables = [arm.records.query("arm == @arm.name"), *(one.records for one in beside if one.name != arm.name)]
            if arm.task == "BBQ":
                tables.append(arm.records.query("arm == 'always-unknown'"))
            table = pd.concat(tables, ignore_index=True)
            found.append(Look(arm, diagnose(table, arm=arm.name, round_=arm.looks)))
    return found


def _order(arm: RealArm) -> tuple[Any, ...]:
    at = _FIRST.index(arm.name) if arm.name in _FIRST else len(_FIRST)
    return (arm.task, bool(arm.differs), at, arm.settings.get("noise") or 0.0, arm.differs)


def table(found: list[Look]) -> str:
    """A line for each arm that looks again."""
    lines = [
        "| task | critic | n | right before | change, points | over `none` | over a vote | critic right | a* "
        "| alarms true | need |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for look in found:
        even, critic = look.found.break_even, look.found.overall.critic
        alarms = even.alarms if even else None
        cells = (
            look.arm.task,
            look.named,
            str(look.found.overall.n),
            share(look.found.overall.accuracy),
            moved(look.gain),
            moved(look.against("none")),
            moved(look.against("vote")),
            share(critic.accuracy, digits=0) if critic else DASH,
            share(even.accuracy, digits=0) if even else DASH,
            share(alarms.precision, digits=0) if alarms else DASH,
            share(alarms.needed, digits=0) if alarms else DASH,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_context(found: list[Look]) -> str:
    """A line for each arm of BBQ: accuracy and its change in either kind of context, and answers that name nobody."""
    lines = [
        "| critic | ambiguous: right before | change, points | disambiguated: right before | change, points "
        "| names nobody, before | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for look in found:
        if look.arm.task != "BBQ":
            continue
        (arm,) = arms_of(look.arm.records.query("arm == @look.arm.name")).values()
        assert arm.bias is not None
        kinds = [arm.take(arm.context == code) for code in np.unique(arm.context)]  # numbered by their names
        cells = (
            look.named,
            *(
                cell
                for kind in kinds
                for cell in (share(accuracy(kind, 0)), moved(change(kind, kind, last=look.arm.looks)))
            ),
            *(f"{100 * (arm.bias[:, round_] == 0).mean():.1f}%" for round_ in (0, look.arm.looks)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results(model: str) -> Iterator[dict[str, Any]]:
    """The results of a model's studies, S before R."""
    files = sorted(
        (REAL / model).glob("*/result.json"), key=lambda file: (file.parent.name[0] != "S", file.parent.name)
    )
    yield from (json.loads(file.read_text("utf-8")) for file in files)


def outcomes(found: list[dict[str, Any]]) -> str:
    """A line for each part of each claim."""
    lines = ["| claim | part | claimed | found [95%] | n | outcome, for this model |", "|---|---|---|---|---|---|"]
    for result in found:
        for part in result["parts"]:
            whose = " *(ours)*" if part["whose"] == "ours" and result["source"] != "ours" else ""
            at = side(part.get("above"), part.get("below"))
            cells = (result["id"], part["says"] + whose, at, interval(part), str(part["n"]), part["outcome"])
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(by_model: dict[str, list[Look]]) -> Figure:
    """Change of accuracy after the last look, with its interval, a panel for each model."""
    rows = sum(len(found) for found in by_model.values())
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(7.2, 1.2 + 0.26 * rows), layout="constrained")
        heights = [len(found) for found in by_model.values()]
        every = figure.subplots(len(by_model), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (model, found) in zip(every, by_model.items(), strict=True):
            for row, look in enumerate(found):
                gain = look.gain
                assert gain is not None
                colour = "#857c6e" if look.arm.name in CONTROLS else "#0b5cad"
                if gain.low is not None and gain.high is not None:
                    axes.plot([100 * gain.low, 100 * gain.high], [row, row], color=colour, linewidth=1.4)
                axes.plot([100 * gain.value], [row], "o", color=colour, markersize=5)
            axes.axvline(0, color="#3c3832", linewidth=0.8)
            axes.set_yticks(range(len(found)), [f"{look.arm.task} · {look.critic}" for look in found])
            axes.invert_yaxis()
            axes.set_title(called(model), loc="left", fontsize=9)
            axes.grid(visible=True, axis="x", alpha=0.25, linewidth=0.6)
            for edge in ("top", "right", "left"):
                axes.spines[edge].set_visible(False)
        every[-1].set_xlabel("accuracy after the last look less that before, points, with its 95% interval")
    return figure


def called(model: str) -> str:
    """A model with its quantisation."""
    known = catalogue().get(model)
    return f"{known.title}, {known.quantisation}" if known else model


def main() -> int:
    """Fill and draw, or compare."""
    # Of a model whose first arm is not whole yet there is nothing to say.
    by_model = {model: found for model in models() if (found := looks(model))}

    def filled(text: str) -> str:
        for model, found in by_model.items():
            text = block(text, f"{model}:looks", table(found))
            text = block(text, f"{model}:contexts", by_context(found))
            if told := [*results(model)]:
                text = block(text, f"{model}:outcomes", outcomes(told))
        return text

    otherwise = "does not show results/real/; run: python tools/findings.py"
    drawn = redraw(PICTURE, draw(by_model), f"docs/findings.svg {otherwise}")
    return drawn or refresh(PAGE, filled, f"docs/findings.md {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
