"""The recursion's limits on real models, by the records in results/real: does it cover, and which rule tells?

`python tools/limits_on_real.py` prints two tables. The first: of every arm with two looks or more, how many later
rounds lie in the 95% prediction interval of a forecast fitted on the first step, and which rates drift. The second:
of every arm that looks again, what the rule "error introduced is 0.5% or less" (arXiv 2604.22273) and the measured
break-even, repaired / introduced > right / wrong, say of the first look on half of the templates, and whether the
other half gained. Each half judges the other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from gate_tables import studies

from secondlook.diagnosis.forecast import Forecast, forecast
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.table import Arm, check_table
from secondlook.diagnosis.trained import deal

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


def arms() -> Iterator[tuple[str, str, Arm]]:
    """Every arm of every study that looks again, but for votes, which look at nothing."""
    for model, name, records in studies():
        for arm in check_table(records).arms.values():
            if arm.rounds > 1 and arm.variant != "resample" and arm.critic != "always-unknown":
                yield model, name, arm


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


def main() -> None:
    """Print both tables."""
    lines = ["model | study | arm | rounds inside | drifts", "---|---|---|---|---"]
    inside = total = 0
    for model, name, arm in arms():
        if (found := covered(arm)) is None:
            continue
        tested = [round_ for round_ in found.rounds if round_.inside is not None]
        inside, total = inside + sum(bool(round_.inside) for round_ in tested), total + len(tested)
        drifts = ", ".join(drift.rate for drift in found.drift if drift.drifts) or "none"
        lines.append(
            f"{model} | {name} | {arm.name} | {sum(bool(r.inside) for r in tested)} of {len(tested)} | {drifts}"
        )
    lines.append(f"all | | | {inside} of {total} |")
    said = [one for _, _, arm in arms() for one in halves(arm)]
    lines += ["", "rule | halves it speaks of | right about the sign | of those shown", "---|---|---|---"]
    for rule, label in (("near_zero", "error introduced ≤ 0.5%"), ("break_even", "measured break-even")):
        for which, some in (("all", said), ("shown", [one for one in said if one.shown])):
            right = sum(getattr(one, rule) == (one.gained > 0) for one in some)
            if which == "all":
                cells = [label, str(len(some)), str(right)]
            else:
                cells.append(f"{right} of {len(some)}")
        lines.append(" | ".join(cells))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
