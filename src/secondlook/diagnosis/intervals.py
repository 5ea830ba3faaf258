"""Intervals that know of clusters: questions written from one template are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval; the interval is ``None`` where it cannot be estimated.

    Attributes:
        value: The point estimate.
        low: Lower end, or ``None``.
        high: Upper end, or ``None``.
        n: How many observations it rests on.
        clusters: How many clusters they come from.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int


def clustered_mean(
    values: ArrayLike,
    clusters: ArrayLike,
    level: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate | None:
    """Mean with a cluster-robust t interval (G − 1 degrees of freedom, G/(G − 1) correction).

    Args:
        values: One number per observation, shape ``(n,)``.
        clusters: The cluster of each observation, shape ``(n,)``.
        level: Coverage.
        bounds: The range the mean can lie in; the interval is cut to it.

    Returns:
        The estimate; without an interval if there are fewer than two clusters or if nothing varies;
        ``None`` if there are no observations.
    """
    x, variance, count = _clustered(values, clusters)
    if x.size == 0:
        return None
    mean = float(x.mean())
    if count < 2 or variance == 0.0:
        return Estimate(mean, None, None, x.size, count)
    half = float(stats.t.ppf(0.5 + level / 2, count - 1) * np.sqrt(variance))
    return Estimate(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), x.size, count)


def clustered_proportion(values: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate | None:
    """Share of ones with a Wilson interval at the effective sample size.

    The effective size is n divided by the design effect (clustered over binomial variance), never above n; where
    every value is alike no design effect can be estimated, and the number of clusters is used instead.

    Args:
        values: Zeros and ones, shape ``(n,)``.
        clusters: The cluster of each observation, shape ``(n,)``.
        level: Coverage.

    Returns:
        The estimate, or ``None`` if there are no observations.
    """
    x, variance, count = _clustered(values, clusters)
    if x.size == 0:
        return None
    share = float(x.mean())
    binomial = share * (1 - share) / x.size
    effective = x.size / max(1.0, variance / binomial) if variance > 0 and binomial > 0 else float(count)
    low, high = _wilson(share, effective, level)
    return Estimate(share, low, high, x.size, count)


def _clustered(values: ArrayLike, clusters: ArrayLike) -> tuple[np.ndarray, float, int]:
    """The values, the cluster-robust variance of their mean, and the number of clusters."""
    x = np.asarray(values, dtype=float)
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(index.max()) + 1 if x.size else 0
    if count < 2:
        return x, 0.0, count
    totals = np.bincount(index, weights=x - x.mean())
    variance = count / (count - 1) * float((totals**2).sum()) / x.size**2
    # Rounding leaves a trace of variance where there is none.
    return x, variance if variance > 1e-24 else 0.0, count


def _wilson(share: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's score interval for a share at a (possibly fractional) sample size (Wilson 1927)."""
    z = float(stats.norm.ppf(0.5 + level / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
