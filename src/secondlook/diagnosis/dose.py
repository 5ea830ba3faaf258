"""Does a better critic give more right answers? Dose-response by design, and correlation across groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.intervals import Estimate, clustered_mean, clustered_proportion
from secondlook.diagnosis.table import Arm

_FEWEST_GROUPS = 4
_PERMUTATIONS = 9999  # and the pairing that was seen: 10,000


@dataclass(frozen=True, slots=True)
class Dose:
    """Accuracy under one probability of a flipped verdict."""

    noise: float
    accuracy: Estimate | None


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """Accuracy of the last answer against the probability that verdicts were flipped.

    Attributes:
        slope: Change of accuracy from never to always flipped, by least squares.
        curvature: Accuracy at the ends above what the middle leads one to expect: coefficient of p² in a quadratic fit.
            Zero lies in its interval where a line will do; ``None`` with fewer than three doses.
        linear: Whether zero does; ``None`` without an interval.
        n: Samples asked at every dose.
        left_out: Samples that were not.
    """

    critic: str
    round: int
    doses: list[Dose]
    slope: Estimate | None
    curvature: Estimate | None
    linear: bool | None
    n: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Correlation:
    """Gain against critic accuracy over groups: Pearson's r and Spearman's rho, each with its permutation p-value."""

    groups: int
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def dose_response(arms: Sequence[Arm]) -> DoseResponse | str:
    """Fit a line through arms of one critic that differ in their noise alone; or say why there is none.

    The same samples are asked at every dose, so slope and curvature are computed within each sample and averaged; their
    intervals are paired and clustered by template.
    """
    arms = sorted((arm for arm in arms if arm.noise is not None), key=lambda arm: arm.noise or 0.0)
    doses = np.asarray([arm.noise for arm in arms], dtype=float)
    if len(np.unique(doses)) < 2:
        return "no two arms of one critic differ in noise_p, the probability of a flipped verdict"
    if len(np.unique(doses)) < len(doses):
        return "two arms have the same critic and noise_p"
    shared = reduce(np.intersect1d, [arm.sample[arm.state[:, 0] >= 0] for arm in arms])
    if not shared.size:
        return "its arms share no sample"
    everyone = reduce(np.union1d, [arm.sample for arm in arms])
    # The samples of an arm are in ascending order, as the table's grid makes them.
    arms = [arm.take(np.searchsorted(arm.sample, shared)) for arm in arms]
    round_ = min(arm.rounds for arm in arms) - 1
    right = np.stack([arm.right[:, round_] for arm in arms], axis=1).astype(float)
    cluster = arms[0].cluster

    def coefficient(degree: int) -> Estimate | None:
        # Least squares is linear in the outcomes: its row for this coefficient, applied within each sample.
        fit = np.linalg.pinv(np.vander(doses, degree + 1, increasing=True))
        return clustered_mean(right @ fit[degree], cluster)

    curvature = coefficient(2) if len(doses) > 2 else None
    linear = None
    if curvature and curvature.low is not None and curvature.high is not None:
        linear = curvature.low <= 0 <= curvature.high
    return DoseResponse(
        critic=arms[0].critic,
        round=round_,
        doses=[Dose(float(p), clustered_proportion(right[:, index], cluster)) for index, p in enumerate(doses)],
        slope=coefficient(1),
        curvature=curvature,
        linear=linear,
        n=len(shared),
        left_out=len(everyone) - len(shared),
    )


def correlate(gains: Sequence[float], critic_accuracies: Sequence[float], *, seed: int = 0) -> Correlation | str:
    """Does the gain of a group go with its critic's accuracy? Or why that cannot be said.

    P-values are two-sided, from permutations of the pairing: all of them if there are few groups, else 9,999 drawn.
    """
    x, y = np.asarray(critic_accuracies, dtype=float), np.asarray(gains, dtype=float)
    if len(x) < _FEWEST_GROUPS:
        return f"it takes {_FEWEST_GROUPS} groups with an examined answer, and there are {len(x)}"
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return f"all groups have the same {'critic accuracy' if np.ptp(x) == 0 else 'gain'}"
    from scipy import stats  # here: importing it takes as long as all else that a diagnosis needs

    return Correlation(len(x), *_permuted(x, y, seed), *_permuted(stats.rankdata(x), stats.rankdata(y), seed))


def _permuted(x: Array, y: Array, seed: int) -> tuple[float, float]:
    """Correlation, and its p-value under permutations of the pairing."""
    # A permutation changes no mean and no norm. With y centred and scaled by both norms, r is one product.
    centred = (y - y.mean()) / (np.linalg.norm(x - x.mean()) * np.linalg.norm(y - y.mean()))

    def r(z: Array, axis: int = -1) -> Array:
        return np.asarray(np.tensordot(z, centred, axes=(axis, 0)))

    from scipy import stats

    rng = np.random.default_rng(seed)
    result = stats.permutation_test(
        (x,), r, permutation_type="pairings", vectorized=True, n_resamples=_PERMUTATIONS, rng=rng
    )
    return float(result.statistic), float(result.pvalue)
