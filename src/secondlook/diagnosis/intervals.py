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
        The estimate, or ``None`` if there are no observations. It has no interval with fewer than two clusters, nor
        where clusters do not differ. If every single value is alike and ``bounds`` are finite, the interval allows
        for what was not seen: by Wilson's interval for G of G clusters at least a certain share of all values is like
        these, and the others may lie anywhere in the bounds.

    Raises:
        ValueError: If a value is missing or the lengths differ.
    """
    x, variance, count = _clustered(values, clusters)
    if x.size == 0:
        return None
    mean = float(x.mean())
    if variance == 0.0 and count >= 2 and np.isfinite(bounds).all() and np.ptp(x) == 0.0:
        seen, _ = _wilson(1.0, count, level)
        low, high = (seen * mean + (1 - seen) * bound for bound in bounds)
        return Estimate(mean, low, high, x.size, count)
    if variance == 0.0:
        return Estimate(mean, None, None, x.size, count)
    half = float(stats.t.ppf(0.5 + level / 2, count - 1) * np.sqrt(variance))
    return Estimate(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), x.size, count)


def clustered_proportion(values: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate | None:
    """Share of ones with a Wilson interval at the effective sample size.

    The effective size is n divided by the design effect (clustered over binomial variance, at least 1) and, as the
    design effect of few clusters is itself uncertain, by the squared ratio of the t quantiles at G − 1 and n − 1
    degrees of freedom (Korn and Graubard 1998). Where all values are alike, or there is but one cluster, no design
    effect can be estimated, and the number of clusters is used instead.

    Args:
        values: Zeros and ones, shape ``(n,)``.
        clusters: The cluster of each observation, shape ``(n,)``.
        level: Coverage.

    Returns:
        The estimate, or ``None`` if there are no observations.

    Raises:
        ValueError: If a value is neither 0 nor 1, or the lengths differ.
    """
    x, variance, count = _clustered(values, clusters)
    if x.size == 0:
        return None
    if (other := x[(x != 0) & (x != 1)]).size:
        raise ValueError(f"a share is of zeros and ones, found {other[0]:g}")
    share = float(x.mean())
    effective = float(count)
    if count >= 2 and 0 < share < 1:
        # With the small-sample correction of the clustered variance, so that single answers have a design effect of 1.
        binomial = share * (1 - share) / (x.size - 1)
        few = stats.t.ppf(0.5 + level / 2, x.size - 1) / stats.t.ppf(0.5 + level / 2, count - 1)
        effective = float(x.size / max(1.0, variance / binomial) * few**2)
    low, high = _wilson(share, effective, level)
    return Estimate(share, low, high, x.size, count)


def _clustered(values: ArrayLike, clusters: ArrayLike) -> tuple[np.ndarray, float, int]:
    """The values, the cluster-robust variance of their mean, and the number of clusters."""
    x = np.asarray(values, dtype=float)
    labels = np.asarray(clusters)
    if x.shape != labels.shape or x.ndim != 1:
        raise ValueError(f"values have shape {x.shape} and clusters {labels.shape}; give one cluster per value")
    if not np.isfinite(x).all():
        raise ValueError("a value is missing or infinite; leave such observations out and report their number")
    _, index = np.unique(labels, return_inverse=True)
    count = int(index.max()) + 1 if x.size else 0
    if count < 2:
        return x, 0.0, count
    totals = np.bincount(index, weights=x - x.mean())
    variance = count / (count - 1) * float((totals**2).sum()) / x.size**2
    # Rounding leaves a trace of variance where there is none.
    trace = (1e-12 * float(np.abs(x).max())) ** 2
    return x, variance if variance > trace else 0.0, count


def _wilson(share: float, n: float, level: float) -> tuple[float, float]:
    """Wilson's score interval for a share at a (possibly fractional) sample size (Wilson 1927)."""
    z = float(stats.norm.ppf(0.5 + level / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
