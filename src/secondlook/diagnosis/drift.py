"""Do rates stay from round to round? Those of later steps against the fitted ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import RIGHT, STATES, WRONG
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.paired import holm
from secondlook.diagnosis.table import Arm
from secondlook.diagnosis.transitions import followed

_FEWEST = 10  # transitions a rate must rest on, on either side
_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Drift:
    """One rate in later steps against the fitted ones.

    Attributes:
        rate: ``right → right`` (CL) or ``wrong → right`` (CS).
        later: Rate in all later steps together.
        difference: Later minus fitted, with its clustered interval.
        adjusted: P-value of no difference, adjusted for the number of rates (Holm).
        drifts: Whether it is below 0.05.
    """

    rate: str
    fitted: float
    later: float
    difference: Estimate
    adjusted: float
    drifts: bool


def drift_of(arm: Arm, steps: int) -> list[Drift]:
    """Compare the rates after the fitted steps with those in them; empty if there are no later steps.

    A sample adds to both sides, and templates share what makes them hard: the variance of the difference is that of
    sums over templates of the residuals around the common rate (a score test, clustered; t with G − 1 degrees of
    freedom). The interval is from the same variance.
    """
    found = []
    for state in (RIGHT, WRONG):
        sides = (range(steps), range(steps, arm.rounds - 1))
        hits, clusters = zip(*(_after(arm, side, state) for side in sides), strict=True)
        _, index = np.unique(np.concatenate(clusters), return_inverse=True)
        count = int(index.max()) + 1 if index.size else 0
        if min(len(hit) for hit in hits) < _FEWEST or count < 2:
            continue
        fitted, later = (float(hit.mean()) for hit in hits)
        spread = _spread(hits, index, count)
        difference = later - fitted
        # Without a spread all answers went the same way on both sides.
        p = float(2 * special.stdtr(count - 1, -abs(difference) / spread)) if spread else 1.0
        half = float(special.stdtrit(count - 1, 0.975)) * spread
        low, high = (max(-1.0, difference - half), min(1.0, difference + half)) if spread else (None, None)
        found.append((STATES[state], fitted, later, Estimate(difference, low, high, index.size, count), p))
    adjusted = holm([p for *_, p in found])
    return [
        Drift(f"{state} → right", fitted, later, difference, p, p < _LEVEL)
        for (state, fitted, later, difference, _), p in zip(found, adjusted, strict=True)
        if p is not None
    ]


def _after(arm: Arm, steps: range, state: int) -> tuple[Array, Array]:
    """Whether the answers after a state were right, over some steps, and their templates."""
    which = [(step, followed(arm, step) & (arm.state[:, step] == state)) for step in steps]
    hits = [arm.right[at, step + 1] for step, at in which]
    # np.concatenate refuses an empty list, which a side without steps would be.
    return np.concatenate([np.empty(0), *hits]), np.concatenate(
        [np.empty(0, int), *(arm.cluster[at] for _, at in which)]
    )


def _spread(hits: tuple[Array, ...], index: Array, count: int) -> float:
    """Clustered standard error of the difference of two means, from residuals around the common one.

    It is at least that of independent samples: where one side has few hits, or none, its residuals hardly vary.
    """
    first, last = hits
    pooled = float(np.concatenate(hits).mean())
    signed = np.concatenate([(pooled - first) / len(first), (last - pooled) / len(last)])
    totals = np.bincount(index, weights=signed, minlength=count)
    clustered = count / (count - 1) * float((totals**2).sum())
    alone = pooled * (1 - pooled) * (1 / len(first) + 1 / len(last))
    return float(np.sqrt(max(clustered, alone)))
