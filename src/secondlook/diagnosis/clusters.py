"""Statistics of clusters: variance of a mean, its degrees of freedom, the effective sample size.

Questions written from one template are not independent. Everything here works on sums by cluster, so that a million
records cost no more than their templates, and on many datasets at once (leading axes), so that the very code that
makes the intervals can be calibrated by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[Any]

# Found by simulation (results/diagnosis/calibration.json): with fewer events, clusters cannot be seen to matter, and
# an intra-cluster correlation of 0.1 is taken as far as few events (about 4) leave it open.
PRIOR_ICC = 0.10
PRIOR_EVENTS = 4.0
# Share of the relative variance of the design effect that is added to it where the outcome is rare.
RARITY = 0.4


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over ``n`` clustered observations and how uncertain it is; every field has the shape of the leading axes.

    Attributes:
        clusters: Clusters that have any observation.
        variance: Cluster-robust variance of the mean, CR2 (Bell and McCaffrey 2002).
        simple: Variance of the mean if observations were independent.
        dof: Satterthwaite's degrees of freedom of ``variance``, under an exchangeable correlation within clusters.
        weight: Mean size of the cluster that an observation is in, Σ n_g² / Σ n_g: the largest design effect there is.
    """

    mean: Array
    n: Array
    clusters: Array
    variance: Array
    simple: Array
    dof: Array
    weight: Array


def cluster_index(clusters: ArrayLike, n: int) -> NDArray[np.intp]:
    """The clusters as numbers from 0, shape ``(n,)``; that there is not one per observation is an error."""
    labels = clusters if isinstance(clusters, pd.Series) else np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"values have shape ({n},) and clusters {labels.shape}; give one cluster per value")
    index = pd.factorize(labels)[0]  # a hash table: sorting a million names takes seconds
    if (index < 0).any():
        raise ValueError("a cluster is missing; give every observation its template, or its own name as a cluster")
    return np.asarray(index, dtype=np.intp)


def spread(totals: ArrayLike, squares: ArrayLike, sizes: ArrayLike) -> Spread:
    """The mean of clustered observations and its spread, from sums by cluster.

    For a mean, CR2 divides the squared residual total of cluster g by 1 − n_g/n, and the degrees of freedom are
    (tr M)² / tr M² with M_gh the covariance of two such totals; both have closed forms, so nothing of the size of the
    data is formed (Bell and McCaffrey 2002; Pustejovsky and Tipton 2018).

    Args:
        totals: Sum of the values of each cluster, shape ``(..., G)``.
        squares: Sum of the squared values, likewise.
        sizes: Observations of each cluster, likewise; an empty one does not count.
    """
    total, square, size = (np.asarray(part, dtype=float) for part in np.broadcast_arrays(totals, squares, sizes))
    n = size.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(-1) / n
        share = size / n[..., None]
        # CR2: a cluster pulls the mean towards itself, so that its residual is too small by 1 − n_g/n.
        # One cluster alone leaves nothing to estimate a variance from: NaN.
        stretch = np.where(share < 1, 1 / (1 - share), np.nan)
        residual = total - size * mean[..., None]
        scatter = (stretch * residual**2).sum(-1)
        # A difference of two sums that may be large: rounding can take it below zero.
        single = np.maximum(square.sum(-1) - n * mean**2, 0.0) / (n - 1)
        pairs = (size * (size - 1)).sum(-1)
        # The working model of the degrees of freedom: the intra-cluster correlation that the data show, never negative.
        # Residual totals have the variances σ² n_g (1 + ρ (n_g − 1)); their sum is solved for ρ.
        correlation = np.clip((scatter - single * n) / (single * pairs), 0.0, 1.0)
        correlation = np.nan_to_num(correlation, nan=0.0)
        dof = _satterthwaite(share, stretch, size * (1 + correlation[..., None] * (size - 1)))
        return Spread(
            mean=mean,
            n=n,
            clusters=(size > 0).sum(-1).astype(float),
            variance=scatter / n**2,
            simple=single / n,
            dof=dof,
            weight=(size**2).sum(-1) / n,
        )


def effective_size(of: Spread, events: ArrayLike, alpha: ArrayLike) -> Array:
    """Number of independent observations that clustered ones are worth, for a score interval with a normal quantile.

    n over the design effect D. Its estimate D̂ = variance / simple is at least 1 and, with few events, at least what
    an intra-cluster correlation of 0.1 would make of it. Its uncertainty enters as Korn and Graubard (1998) let it,
    by the squared ratio of the t and normal quantiles, and grows where few clusters hold the rarer outcome:
    D = 1 + (t/z)² (1 + 0.4 (n/events − 1) / dof) (D̂ − 1). It is at most what clusters that are each all alike would
    have. Where nothing varies, that is what is taken.

    Args:
        of: The spread.
        events: How often the rarer outcome was seen, shape of the leading axes.
        alpha: 1 minus the coverage of the interval.
    """
    rare = np.asarray(events, dtype=float)
    seen = np.maximum(rare, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        floor = 1 + PRIOR_ICC * PRIOR_EVENTS**2 / (PRIOR_EVENTS**2 + rare**2) * (of.weight - 1)
        # fmax and fmin pass over the NaN that stands where nothing varies.
        estimate = np.fmax(of.variance / of.simple, floor)
        dof = np.maximum(of.dof, 1.0)
        tail = np.asarray(alpha, dtype=float) / 2
        few = (special.stdtrit(dof, tail) / special.ndtri(tail)) ** 2  # as scipy.stats has them, but fast
        wide = 1 + few * (1 + RARITY * (of.n / seen - 1) / dof) * (estimate - 1)
        design = np.fmin(wide, np.maximum(of.weight, estimate))
    known = (rare > 0) & (of.clusters >= 2)
    return np.asarray(of.n / np.where(known, design, of.weight), dtype=float)


def _satterthwaite(share: Array, stretch: Array, variance: Array) -> Array:
    """(tr M)² / tr M², M_gh = a_g a_h (v_g δ_gh − s_g v_h − v_g s_h + s_g s_h Σv), a_g² the stretch of cluster g."""
    whole = variance.sum(-1)
    across = share * whole[..., None] - 2 * variance
    diagonal = stretch * (variance + share * across)

    def sums(x: Array, y: Array) -> Array:
        return np.asarray((stretch * x * y).sum(-1))

    ss, sv, vv = sums(share, share), sums(share, variance), sums(variance, variance)
    # Squares over all pairs g, h without the term in δ_gh, by three sums; then the diagonal is put right.
    everywhere = 2 * ss * vv + 2 * sv**2 + (whole * ss) ** 2 - 4 * whole * ss * sv
    outside = everywhere - ((stretch * share * across) ** 2).sum(-1)
    return np.asarray(diagonal.sum(-1) ** 2 / (outside + (diagonal**2).sum(-1)))
