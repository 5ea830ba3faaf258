"""Did it change? Right and wrong before and after, paired by sample, clustered by question template."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from secondlook.diagnosis.clusters import Array, Spread, cluster_index, effective_size, spread
from secondlook.diagnosis.intervals import Estimate

_HALVINGS = 60  # bring an end to the resolution of a float
_LEAST_P = -300.0  # as a power of ten: what a float can hold


@dataclass(frozen=True, slots=True)
class Change:
    """Share right after minus share right before.

    Attributes:
        estimate: The paired difference with its clustered interval; ``None`` without any pair.
        p: Two-sided p-value of no change, of the same inference as the interval: below 0.05 exactly where the 95%
            interval excludes zero. ``None`` where there is no interval.
        gained: Pairs wrong before and right after; of repeats, the expected number where they are paired by lot.
        lost: Pairs right before and wrong after, likewise.
        mcnemar: Exact McNemar p-value, which takes samples for independent: shown, never the verdict's. Not a number
            where samples were repeated.
        design: Design effect allowed for: the pairs are worth ``n / design`` independent ones.
    """

    estimate: Estimate | None
    p: float | None
    gained: int
    lost: int
    mcnemar: float
    design: float


def paired_change(
    before: ArrayLike, after: ArrayLike, clusters: ArrayLike, level: float = 0.95, repeats: int = 1
) -> Change:
    """Paired change of a share, with an interval that knows of clusters.

    Tango's score interval (Tango 1998) at the effective sample size of the clustered differences
    (:func:`secondlook.diagnosis.clusters.effective_size`): with single questions for clusters it is Tango's own, and
    at no change its test is McNemar's. Chosen by simulation over t intervals (CR1, CR2), bootstrap-t and wild
    bootstrap, which cover too seldom where flips are rare or templates few.

    A sample answered several times is so many pairs, a cluster or part of one: every answer before with every one
    after, weighted alike, so that no pairing of repeats is chosen and the sample weighs as much as any other.

    Args:
        before: Right (1) or wrong (0) before, shape ``(n,)``; of repeats, the share that is right.
        after: The same of the same samples after.
        clusters: The question template of each sample, shape ``(n,)``.
        level: Coverage.
        repeats: Answers of each sample.

    Raises:
        ValueError: If lengths differ or a value is neither 0 nor 1 (of repeats: not a share): what cannot be judged is
            for the caller to count as not right, or to leave out and report.
    """
    first, of, gained, lost = _counted(before, after, clusters, repeats)
    if not first.size:
        return Change(None, None, 0, 0, 1.0, math.nan)
    up, down, count = round(gained.sum()), round(lost.sum()), int(of.clusters)
    low, high = _ends(of, gained, lost, level)
    p = float(change_p(of, gained.sum(), lost.sum())) if count >= 2 else None
    worth = float(effective_size(of, _events(of, gained.sum() + lost.sum()), 1 - level))
    exact = min(1.0, 2 * float(special.bdtr(min(up, down), up + down, 0.5)))
    return Change(
        estimate=Estimate(float(of.mean), low, high, first.size, count),
        p=p,
        gained=up,
        lost=down,
        mcnemar=exact if repeats == 1 else math.nan,
        design=repeats * first.size / worth,
    )


def change_of(before: ArrayLike, after: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate | None:
    """The change of :func:`paired_change` with its interval, without what takes longer."""
    first, of, gained, lost = _counted(before, after, clusters, 1)
    if not first.size:
        return None
    return Estimate(float(of.mean), *_ends(of, gained, lost, level), first.size, int(of.clusters))


def _counted(
    before: ArrayLike, after: ArrayLike, clusters: ArrayLike, repeats: int
) -> tuple[Array, Spread, Array, Array]:
    """The values before, the spread of the differences, and what each cluster gained and lost."""
    first, last = (_right(values, name, repeats) for values, name in ((before, "before"), (after, "after")))
    if first.shape != last.shape:
        raise ValueError(f"before has {first.size} samples and after {last.size}; pair them by sample first")
    index = cluster_index(clusters, first.size)
    gained = np.asarray(repeats * np.bincount(index, weights=last * (1 - first)), dtype=float)
    lost = np.asarray(repeats * np.bincount(index, weights=first * (1 - last)), dtype=float)
    # Differences are −1, 0 or 1: the sum of their squares is the number of pairs that changed.
    return first, spread(gained - lost, gained + lost, repeats * np.bincount(index)), gained, lost


def _ends(of: Spread, gained: Array, lost: Array, level: float) -> tuple[float | None, float | None]:
    """Ends of the interval; none of a single cluster."""
    if of.clusters < 2:
        return None, None
    low, high = change_interval(of, gained.sum(), lost.sum(), level)
    return float(low), float(high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for their number by Holm's step-down rule (Holm 1979), in the order given.

    ``None`` stays ``None`` and is not counted: a group of which nothing can be said was not tested.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def samples_for(half_width: float, gained: int, lost: int, n: int, design: float = 1.0) -> int:
    """Samples of which the 95% interval of a paired change has this half width, by the interval of so many seen.

    Tango's interval at n / design pairs, as in :func:`paired_change`, with the shares gained and lost that were seen;
    so more samples take more templates of the same size. With a fifth of the answers changing, ±3 points take 900.

    Raises:
        ValueError: If a number is out of range.
    """
    if not 0 < half_width < 1:
        raise ValueError(f"half width is {half_width:g}; give a share, e.g. 0.03 for ±3 points")
    if n < 1:
        raise ValueError(f"n is {n}; an interval needs at least one sample")
    if min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost are no part of {n}; give counts of pairs that changed")
    if not design >= 1:
        raise ValueError(f"design effect is {design:g}; it is at least 1 (single questions for clusters)")
    z = float(-special.ndtri(0.025))

    def wide(samples: int) -> bool:
        worth = np.asarray(samples / design)
        low, high = (_end(worth * gained / n, worth * lost / n, worth, z, outer) for outer in (-1.0, 1.0))
        return bool(high - low > 2 * half_width)

    most = 1
    while wide(most):
        most *= 2
    return bisect_left(range(most), True, lo=1, key=lambda samples: not wide(samples))


def change_interval(of: Spread, gained: ArrayLike, lost: ArrayLike, level: float) -> tuple[Array, Array]:
    """Ends of the interval of a change, for one dataset or many.

    ``of`` is the spread of the differences, and the counts of pairs gained and lost have the shape of its leading axes.
    """
    up, down = np.asarray(gained, dtype=float), np.asarray(lost, dtype=float)
    n = effective_size(of, _events(of, up + down), 1 - level)
    scale = n / of.n
    z = float(-special.ndtri((1 - level) / 2))
    return _end(up * scale, down * scale, n, z, -1.0), _end(up * scale, down * scale, n, z, 1.0)


def change_p(of: Spread, gained: ArrayLike, lost: ArrayLike) -> Array:
    """Two-sided p-value of no change: 1 minus the level at which the interval just reaches zero."""
    up, down = np.asarray(gained, dtype=float), np.asarray(lost, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(up + down > 0, np.abs(up - down) / np.sqrt(up + down), 0.0)
    events = _events(of, up + down)
    low, high = np.full(score.shape, _LEAST_P), np.zeros(score.shape)  # powers of ten
    # The effective size depends on alpha through its t quantile, so that p has no closed form: bisect its logarithm.
    for _ in range(_HALVINGS):
        alpha = 10 ** ((low + high) / 2)
        outside = score * np.sqrt(effective_size(of, events, alpha) / of.n) > -special.ndtri(alpha / 2)
        low, high = np.where(outside, low, (low + high) / 2), np.where(outside, (low + high) / 2, high)
    return np.asarray(10**high)


def _events(of: Spread, changed: ArrayLike) -> Array:
    """Count of the rarer of change and no change."""
    times = np.asarray(changed, dtype=float)
    return np.asarray(np.minimum(times, of.n - times))


def _end(gained: Array, lost: Array, n: Array, z: float, outer: float) -> Array:
    """The change farthest towards ``outer`` that the data do not reject: Tango's score lies within z."""
    # The score falls as the supposed change rises, so bisection finds the one end on this side.
    inside, outside = (gained - lost) / n, np.full(np.shape(n), outer)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        near = np.abs(_tango(middle, gained, lost, n)) <= z
        inside, outside = np.where(near, middle, inside), np.where(near, outside, middle)
    return np.asarray(inside)


def _tango(change: Array, gained: Array, lost: Array, n: Array) -> Array:
    """Tango's score of a supposed change: its distance from the one seen, in standard errors under the supposition.

    Those come from the likeliest share of losses among all that go with the change (Tango 1998, equation 2.4).
    """
    b = gained + lost - (2 * n - gained + lost) * change
    # Rounding may take the discriminant below zero at the ends of the range.
    root = np.sqrt(np.maximum(b**2 + 8 * n * lost * change * (1 - change), 0.0))
    losing = (b + root) / (4 * n)
    # A change of ±1 leaves no variance: the floor below rejects it unless it is the one that was seen.
    variance = n * (2 * losing + change * (1 - change))
    return np.asarray((gained - lost - n * change) / np.sqrt(np.maximum(variance, 1e-300)))


def _right(values: ArrayLike, name: str, repeats: int) -> Array:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1:
        raise ValueError(f"{name} has shape {x.shape}; give one number per sample")
    if repeats == 1 and (other := x[(x != 0) & (x != 1)]).size:
        raise ValueError(
            f"{name} holds other numbers than 0 and 1, found {other[0]:g}; decide how unreadable answers count"
        )
    if (other := x[~((x >= 0) & (x <= 1))]).size:
        raise ValueError(f"{name} holds shares of right answers, found {other[0]:g}; leave out what has no score")
    return x
