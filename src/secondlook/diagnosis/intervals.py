"""Intervals that know of clusters: questions written from one template are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from secondlook.diagnosis.clusters import Array, Spread, cluster_index, effective_size, spread


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval, ``None`` where there is none; from ``n`` observations in so many clusters."""

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
    """Mean with a cluster-robust t interval (CR2 variance, Satterthwaite's degrees of freedom).

    For shares use :func:`clustered_proportion`, for paired changes of right and wrong
    :func:`secondlook.diagnosis.paired.paired_change`: where outcomes are rare a t interval covers too seldom. There is
    no interval with fewer than two clusters, nor where clusters do not differ. If every single value is alike and
    ``bounds`` are finite, the interval allows for what was not seen: by Wilson's interval for G of G clusters at least
    a certain share of all values is like these, and the others may lie anywhere in the bounds.

    Args:
        values: One number per observation, shape ``(n,)``; without any there is no estimate.
        clusters: The cluster of each observation, shape ``(n,)``.
        level: Coverage.
        bounds: The range the mean can lie in; the interval is cut to it.

    Raises:
        ValueError: If a value is missing or the lengths differ.
    """
    x, of = _clustered(values, clusters)
    if x.size == 0:
        return None
    mean, variance, count = float(of.mean), float(of.variance), int(of.clusters)
    low: float | None = None
    high: float | None = None
    # Rounding leaves a trace of variance where there is none.
    if count >= 2 and variance > (1e-12 * float(np.abs(x).max())) ** 2:
        half = float(-special.stdtrit(of.dof, (1 - level) / 2) * np.sqrt(variance))
        low, high = max(mean - half, bounds[0]), min(mean + half, bounds[1])
    elif count >= 2 and np.isfinite(bounds).all() and np.ptp(x) == 0.0:
        seen = float(wilson(np.array(1.0), np.array(float(count)), level)[0])
        low, high = (seen * mean + (1 - seen) * bound for bound in bounds)
    return Estimate(mean, low, high, x.size, count)


def clustered_proportion(values: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate | None:
    """Share of ones with a Wilson interval at the effective sample size.

    The effective size (:func:`secondlook.diagnosis.clusters.effective_size`) is n over the design effect, made larger
    for the uncertainty of that. Where all values are alike, or there is but one cluster, no design effect can be
    estimated, and clusters are counted instead (Kish's number of them where their sizes differ). Arguments are as those
    of :func:`clustered_mean`.

    Raises:
        ValueError: If a value is neither 0 nor 1, or the lengths differ.
    """
    x, of = _clustered(values, clusters)
    if x.size == 0:
        return None
    if (other := x[(x != 0) & (x != 1)]).size:
        raise ValueError(f"a share is a mean of zeros and ones, found {other[0]:g}")
    low, high = proportion_interval(of, level)
    return Estimate(float(of.mean), float(low), float(high), x.size, int(of.clusters))


def proportion_interval(of: Spread, level: float) -> tuple[Array, Array]:
    """Ends of the interval of a share, for one dataset or many."""
    events = np.rint(np.minimum(of.mean, 1 - of.mean) * of.n)
    return wilson(of.mean, effective_size(of, events, 1 - level), level)


def wilson(share: Array, n: Array, level: float) -> tuple[Array, Array]:
    """Wilson's score interval for a share at a (possibly fractional) sample size (Wilson 1927)."""
    z = float(-special.ndtri((1 - level) / 2))
    # The roots in p of |share − p| = z √(p(1 − p)/n).
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(0.0, centre - half), np.minimum(1.0, centre + half)


def _clustered(values: ArrayLike, clusters: ArrayLike) -> tuple[Array, Spread]:
    """The values, and their spread over the clusters."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 1:
        raise ValueError(f"values have shape {x.shape}; give one number per observation")
    if not np.isfinite(x).all():
        raise ValueError("a value is missing or infinite; leave such observations out and report their number")
    index = cluster_index(clusters, x.size)
    return x, spread(np.bincount(index, weights=x), np.bincount(index, weights=x**2), np.bincount(index))
