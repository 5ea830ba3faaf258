"""Write the tables of docs/diagnosis.md on real models, or check them (``--check``): the recursion's limits.

The first: of every arm with two looks or more, how many later rounds lie in the 95% prediction interval of a forecast
fitted on the first step, and which rates drift. The second: of every arm that looks again, how often the rule "error
introduced is 0.5% or less" (arXiv 2604.22273) and the measured break-even, repaired / introduced > right / wrong, tell
on half of the templates whether the other half gains at the first look. Each half judges the other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from evidence_tables import block, refresh
from gate_tables import ROOT, studies

from secondlook.diagnosis.forecast import Forecast, forecast
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.table import Arm, check_table
from secondlook.fitting.trained import deal

PAGE = ROOT / "docs/diagnosis.md"
NEAR_ZERO = 0.005
"""Share of right answers made wrong, at or below which looking again is said to gain (arXiv 2604.22273)."""


@dataclass(frozen=True, slots=True)
class Said:
    """What rules say of one half, and what the other half did.

    Attributes:
        near_zero: Whether the error introduced is at most 0.5%.
        break_even: Whether more is repaired than introduced.
        gained: Change of accuracy on the other half; ``shown`` is whether its interval is on one side of zero.
    """

    near_zero: bool
    break_even: bool
    gained: float
    shown: bool


@cache
def arms() -> list[tuple[str, str, Arm]]:
    """Every arm of every study that looks again, but for votes, which look at nothing."""
    return [
        (model, name, arm)
        for model, name, records in studies()
        for arm in check_table(records).arms.values()
        if arm.rounds > 1 and arm.variant != "resample" and arm.critic != "always-unknown"
    ]


def covered(arm: Arm) -> Forecast | None:
    """A forecast with later rounds that were measured."""
    found = forecast(arm) if arm.rounds > 2 else ""
    return None if isinstance(found, str) else found


def halves(arm: Arm) -> Iterator[Said]:
    """Each half of the templates judged by the other."""
    if np.unique(arm.cluster).size < 4:
        return
    part = deal(pd.Series(arm.cluster), 2, 0)
    for half in (0, 1):
        mine, other = (arm.take((part == side) & (arm.state[:, 0] >= 0)) for side in (half, 1 - half))
        before, after = mine.right[:, 0], mine.right[:, 1]
        if before.all() or not before.any():
            continue
        introduced, repaired = float((~after[before]).mean()), float(after[~before].mean())
        odds = before.mean() / (1 - before.mean())
        change = paired_change(other.right[:, 0], other.right[:, 1], other.cluster).estimate
        assert change is not None
        shown = change.low is not None and change.high is not None and (change.low > 0 or change.high < 0)
        yield Said(introduced <= NEAR_ZERO, repaired > introduced * odds, change.value, shown)


def covers() -> str:
    """A line for each arm with later rounds: how many of them its forecast covers, and which rates drift."""
    lines = ["| model | study | arm | n | later rounds inside | rates that drift |", "|---|---|---|---|---|---|"]
    inside = total = 0
    for model, name, arm in arms():
        if (found := covered(arm)) is None:
            continue
        tested = [round_ for round_ in found.rounds if round_.inside is not None]
        held = sum(bool(round_.inside) for round_ in tested)
        inside, total = inside + held, total + len(tested)
        drifts = ", ".join(drift.rate for drift in found.drift if drift.drifts) or "none"
        lines.append(f"| {model} | {name} | {arm.name} | {found.n} | {held} of {len(tested)} | {drifts} |")
    return "\n".join([*lines, f"| all | | | | {inside} of {total} | |"]) + "\n"


def rules() -> str:
    """A line for each rule: how often what it says of one half is what the other half did."""
    # A study of several looks asks the first one again: of two studies of one task and arm the first is taken.
    once = {(model, name.split(",")[0], arm.name): arm for model, name, arm in reversed(arms())}
    said = [one for arm in once.values() for one in halves(arm) if one.gained]  # no change has no sign
    shown = [one for one in said if one.shown]
    lines = ["| rule | right about the sign of the change | of changes that are shown |", "|---|---|---|"]
    for rule, label in (("near_zero", "error introduced ≤ 0.5%"), ("break_even", "measured break-even")):
        right, sure = (sum(getattr(one, rule) == (one.gained > 0) for one in some) for some in (said, shown))
        lines.append(f"| {label} | {right} of {len(said)} halves | {sure} of {len(shown)} |")
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """The page as it should be."""
    return block(block(text, "limits", covers()), "rules", rules())


if __name__ == "__main__":
    sys.exit(refresh(PAGE, filled, f"{PAGE.name} does not show its records; run: python tools/limits_on_real.py"))
