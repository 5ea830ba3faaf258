"""Do the rates stay? Each rate of later steps against that of the fitted ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

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
        fitted: In the fitted steps.
        later: In all later ones together.
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
        sides = [range(steps), range(steps, arm.rounds - 1)]
        parts = [[(step, followed(arm, step) & (arm.state[:, step] == state)) for step in side] for side in sides]
        hits = [np.concatenate([arm.right[at, step + 1] for step, at in part] or [np.empty(0)]) for part in parts]
        clusters = [np.concatenate([arm.cluster[at] for _, at in part] or [np.empty(0, int)]) for part in parts]
        _, index = np.unique(np.concatenate(clusters), return_inverse=True)
        count = int(index.max()) + 1 if index.size else 0
        if min(len(hit) for hit in hits) < _FEWEST or count < 2:
            continue
        fitted, later = (float(hit.mean()) for hit in hits)
        pooled = float(np.concatenate(hits).mean())
        spread = _spread([hit - pooled for hit in hits], pooled, index, count)
        difference = later - fitted
        p = float(2 * stats.t.sf(abs(difference) / spread, count - 1)) if spread else 1.0
        half = float(stats.t.ppf(0.975, count - 1)) * spread
        low, high = (max(-1.0, difference - half), min(1.0, difference + half)) if spread else (None, None)
        found.append((STATES[state], fitted, later, Estimate(difference, low, high, index.size, count), p))
    adjusted = holm([p for *_, p in found])
    return [
        Drift(f"{state} → right", fitted, later, difference, p, p < _LEVEL)
        for (state, fitted, later, difference, _), p in zip(found, adjusted, strict=True)
        if p is not None
    ]


def _spread(residuals: list[np.ndarray], pooled: float, index: np.ndarray, count: int) -> float:
    """Clustered standard error of the difference of two means, from residuals around the common one.

    It is at least that of independent samples: where one side has few hits, or none, its residuals hardly vary.
    """
    signed = np.concatenate([-residuals[0] / len(residuals[0]), residuals[1] / len(residuals[1])])
    totals = np.bincount(index, weights=signed, minlength=count)
    clustered = count / (count - 1) * float((totals**2).sum())
    alone = pooled * (1 - pooled) * sum(1 / len(side) for side in residuals)
    return float(np.sqrt(max(clustered, alone)))
