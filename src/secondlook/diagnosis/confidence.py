"""Confidence: how well a probability tells right answers from wrong ones, with intervals that know of clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from secondlook.diagnosis.clusters import Array, cluster_index
from secondlook.diagnosis.intervals import Estimate, clustered_mean, clustered_proportion, wilson

_BINS = 10
_LEAST = 10  # observations of a bin, as far as there are as many


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Some neighbouring probabilities: their mean, and how often it came so."""

    mean: float
    observed: Estimate


@dataclass(frozen=True, slots=True)
class Confidence:
    """Quality of probabilities.

    Attributes:
        auroc: Probability that of an event and a non-event the event has the higher probability, ties counted half;
            ``None`` where all came alike.
        brier: Mean squared distance of probability and outcome.
        base: Brier score of a forecaster who knows only the share of events.
        curve: Calibration, by bins of about as many observations.
    """

    auroc: Estimate | None
    brier: Estimate
    base: float
    curve: list[CalibrationBin]


def confidence(probabilities: ArrayLike, events: ArrayLike, clusters: ArrayLike) -> Confidence | None:
    """Judge probabilities by what came; ``None`` without any.

    Args:
        probabilities: Of an event, shape ``(n,)``.
        events: Whether it came, shape ``(n,)``.
        clusters: The cluster of each observation, shape ``(n,)``.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(events, dtype=bool)
    if not p.size:
        return None
    index = cluster_index(clusters, p.size)
    brier = clustered_mean((p - y) ** 2, index, bounds=(0.0, 1.0))
    assert brier is not None
    return Confidence(auroc(p, y, index), brier, float(y.mean() * (1 - y.mean())), _curve(p, y, index))


def auroc(p: Array, events: ArrayLike, clusters: ArrayLike, level: float = 0.95) -> Estimate | None:
    """The area under the ROC curve, with an interval for clustered data (Obuchowski, Biometrics 1997).

    Each event's share of non-events below it, and the reverse, are summed by cluster; the interval is a t interval on
    the logit scale, which keeps it within 0 and 1. Where all pairs are ordered alike there is no scatter to see, and it
    is Wilson's for as many observations as the rarer outcome has clusters.
    """
    y, index = np.asarray(events, dtype=bool), cluster_index(clusters, p.size)
    high, low = p[y], p[~y]
    if not high.size or not low.size:
        return None
    # Each observation's part of the area. A cluster may hold both outcomes, so both go into its total.
    of_high, of_low = _placement(high, low), 1 - _placement(low, high)
    area, count = float(of_high.mean()), int(index.max()) + 1
    influence = np.empty(p.size)
    influence[y], influence[~y] = (of_high - area) / high.size, (of_low - area) / low.size
    totals = np.bincount(index, weights=influence, minlength=count)
    fewest = min(np.unique(index[y]).size, np.unique(index[~y]).size)
    if fewest < 2:
        return Estimate(area, None, None, p.size, count)
    variance = float((totals**2).sum()) * fewest / (fewest - 1)
    # 1e-18 is rounding: where all probabilities are alike every pair is a tie, and nothing scatters.
    if not 0 < area < 1 or variance < 1e-18:
        ends = wilson(np.array(area), np.array(float(fewest)), level)
        return Estimate(area, float(ends[0]), float(ends[1]), p.size, count)
    half = float(-special.stdtrit(fewest - 1, (1 - level) / 2)) * np.sqrt(variance) / (area * (1 - area))
    centre = np.log(area / (1 - area))
    least, most = (float(1 / (1 + np.exp(-(centre + side * half)))) for side in (-1, 1))
    return Estimate(area, least, most, p.size, count)


def _placement(mine: Array, others: Array) -> Array:
    """Share of the others that are lower than each of mine, ties counted half."""
    ranked = np.sort(others)
    below, upto = (np.searchsorted(ranked, mine, side=side) for side in ("left", "right"))
    return np.asarray((below + upto) / 2 / others.size)


def _curve(p: Array, events: NDArray[np.bool_], index: NDArray[np.intp]) -> list[CalibrationBin]:
    order = np.argsort(p, kind="stable")
    bins = []
    for part in np.array_split(order, max(1, min(_BINS, p.size // _LEAST))):
        observed = clustered_proportion(events[part].astype(float), index[part])
        assert observed is not None
        bins.append(CalibrationBin(float(p[part].mean()), observed))
    return bins
