"""Corrected: a mean of what a judge says, put right by what people say of a few of the same replies.

A judge that errs shifts every rate it gives. Prediction-powered inference (Angelopoulos et al., Science 2023) takes the
judge's mean over all replies and corrects it by the mean difference between people and judge over those that people
have labelled too. Its interval counts the scatter of both. The judge's weight is tuned (PPI++, Angelopoulos, Duchi and
Zrnic 2023), so that a useless judge is left out and the interval is never much wider than that of the labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from secondlook.diagnosis.clusters import Array, cluster_index, spread
from secondlook.diagnosis.intervals import Estimate, clustered_mean

_UNLABELLED = "a corrected mean needs labels of at least two clusters (found {n}); label replies to more questions"


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected mean.

    Attributes:
        estimate: The corrected mean with its interval.
        judged: The judge's own mean over all replies.
        labelled: The people's mean over those they labelled.
        weight: How far the judge is trusted: 1 as it is, 0 not at all.
    """

    estimate: Estimate
    judged: float
    labelled: float
    weight: float


def corrected_mean(
    judged: ArrayLike,
    labels: ArrayLike,
    clusters: ArrayLike,
    level: float = 0.95,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Corrected:
    """The mean of what people would say of all replies, from a judge of all and people of some.

    With judgements f, labels Y of a random part and weight w the estimate is w·mean(f) over all that are not labelled,
    plus mean(Y − w·f) over the labelled. Both means are of clustered observations, and their variances (CR2) add up but
    for clusters that are in both, which are counted by their joint residuals. The interval is a t interval with the
    degrees of freedom of the part that has fewer; a judge of weight 0 leaves the labelled part alone. Where nothing
    scatters, as when all labels are alike, the interval is that of the labels alone (:func:`clustered_mean`).

    Args:
        judged: What the judge says of each reply, shape ``(n,)``.
        labels: What people say of it, ``nan`` where nobody was asked, shape ``(n,)``.
        clusters: The cluster of each reply, e.g. its template, shape ``(n,)``.
        level: Coverage.
        bounds: The range the mean can lie in.

    Raises:
        ValueError: If the shapes differ, a judgement is missing, or labels come from fewer than two clusters.
    """
    f, y = np.asarray(judged, dtype=float), np.asarray(labels, dtype=float)
    if f.ndim != 1 or f.shape != y.shape:
        raise ValueError(f"judgements have shape {f.shape} and labels {y.shape}; give one of each per reply")
    if not np.isfinite(f).all():
        raise ValueError(
            "a judgement is missing; leave out replies that the judge could not read and report their number"
        )
    index = cluster_index(clusters, f.size)
    known = np.isfinite(y)
    if (groups := np.unique(index[known]).size) < 2:
        raise ValueError(_UNLABELLED.format(n=groups))
    rest = ~known
    weight = _weight(f, y, known) if rest.any() else 0.0
    value = float(y[known].mean())
    if rest.any():
        # The same as w · mean(f of the rest) + mean(Y − w·f of the labelled).
        value += weight * float(f[rest].mean() - f[known].mean())
    variance, dof = _variance(f, y, index, known, weight)
    low: float | None
    high: float | None
    # Rounding leaves a trace of variance where there is none.
    if variance > (1e-12 * max(abs(bound) for bound in bounds)) ** 2:
        half = float(-special.stdtrit(dof, (1 - level) / 2) * np.sqrt(variance))
        low, high = max(value - half, bounds[0]), min(value + half, bounds[1])
    else:
        alone = clustered_mean(y[known], index[known], level, bounds)
        assert alone is not None  # labels of two clusters are there
        value, low, high, weight = alone.value, alone.low, alone.high, 0.0
    estimate = Estimate(float(np.clip(value, *bounds)), low, high, f.size, int(index.max()) + 1)
    return Corrected(estimate, float(f.mean()), float(y[known].mean()), weight)


def _weight(f: Array, y: Array, known: NDArray[np.bool_]) -> float:
    """The weight of the judge that makes the variance least, within 0 and 1 (equation 6 of PPI++)."""
    scatter = float(f.var())
    if scatter == 0.0:
        return 0.0
    together = float(np.mean((y[known] - y[known].mean()) * (f[known] - f[known].mean())))
    share = known.sum() / (~known).sum()
    return float(np.clip(together / ((1 + share) * scatter), 0.0, 1.0))


def _variance(
    f: Array, y: Array, index: NDArray[np.intp], known: NDArray[np.bool_], weight: float
) -> tuple[float, float]:
    """The variance of the corrected mean, and its degrees of freedom."""
    count = int(index.max()) + 1
    groups = [(index[known], (y - weight * f)[known])]
    if weight:
        groups.append((index[~known], (weight * f)[~known]))
    residual = np.zeros(count)
    dof = np.inf
    for where, values in groups:
        sizes = np.bincount(where, minlength=count)
        totals = np.bincount(where, weights=values, minlength=count)
        of = spread(totals, np.bincount(where, weights=values**2, minlength=count), sizes)
        share = np.divide(sizes, values.size)
        # CR2 divides a cluster's squared residual by 1 − n_g/n. Here the residuals of both parts add up before they
        # are squared, so each takes the root.
        stretch = np.where(share < 1, 1 / np.sqrt(np.maximum(1 - share, 1e-12)), 1.0)
        residual += stretch * (totals - sizes * float(of.mean)) / values.size
        # A part that lies in one cluster has no degrees of freedom of its own.
        dof = min(dof, float(of.dof)) if np.isfinite(of.dof) else dof
    return float((residual**2).sum()), max(dof, 1.0) if np.isfinite(dof) else float(count - 1)
