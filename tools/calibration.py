"""Do the intervals of `secondlook.diagnosis` cover what they say, and do verdicts stay silent where nothing changes?

Simulates records whose truth is known and asks the very code that makes the intervals. `python tools/calibration.py`
writes results/diagnosis/calibration.json; `make soak` runs it again and compares.

A dataset: templates with sizes alike or lognormal; each template draws its own accuracy, P(right → right) and
P(wrong → right) from beta distributions with the cell's rates as means and its intra-cluster correlation; each record
then is right before, and right after, by chance. Of records that differ in nothing but their template only the sums by
template matter, so these are drawn, for all datasets of a cell at once, from the binomials the sums follow.
"""

from __future__ import annotations

import itertools
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy import stats

from secondlook.diagnosis.clusters import Array, Spread, spread
from secondlook.diagnosis.intervals import proportion_interval
from secondlook.diagnosis.paired import change_interval, change_p, holm

TARGET = Path(__file__).parent.parent / "results" / "diagnosis" / "calibration.json"
SEED = 20250
DATASETS = 2000
LEVEL = 0.95

# Accuracy, P(right -> right), P(wrong -> right).
RATES = (
    (0.05, 0.95, 0.05),
    (0.20, 0.80, 0.30),
    (0.30, 0.95, 0.20),
    (0.50, 0.95, 0.05),
    (0.50, 0.50, 0.50),
    (0.70, 0.90, 0.50),
    (0.80, 0.95, 0.50),
    (0.95, 0.95, 0.05),
    (0.95, 0.50, 0.80),
)
NULL = ((0.7, 0.9, 0.7 * 0.1 / 0.3), (0.9, 0.95, 0.45), (0.5, 0.8, 0.2), (0.2, 0.6, 0.1))  # A (1 - CL) = (1 - A) CS
HELPED = ((0.6, 0.90, 0.275), (0.7, 0.85, 0.155 / 0.3))  # + 5 points; 17% and 26% of the answers change


@dataclass(frozen=True)
class Cell:
    """One truth to draw datasets from."""

    n: int
    clusters: int
    size_cv: float
    icc: float
    accuracy: float
    keeps: float
    repairs: float

    @property
    def change(self) -> float:
        """The true change of accuracy."""
        return (1 - self.accuracy) * self.repairs - self.accuracy * (1 - self.keeps)


@dataclass(frozen=True)
class Data:
    """Sums by template, shape ``(datasets, clusters)``."""

    sizes: Array
    right: Array
    kept: Array
    repaired: Array

    @property
    def lost(self) -> Array:
        """Right before, wrong after."""
        return self.right - self.kept

    @property
    def change(self) -> Spread:
        """Spread of the differences."""
        return spread(self.repaired - self.lost, self.repaired + self.lost, self.sizes)


def draw(cell: Cell, datasets: int, rng: np.random.Generator) -> Data:
    """Datasets of a cell."""
    shape = (datasets, cell.clusters)
    sizes = np.broadcast_to(template_sizes(cell), shape)
    right = rng.binomial(sizes, _rates(cell.accuracy, cell.icc, shape, rng))
    kept = rng.binomial(right, _rates(cell.keeps, cell.icc, shape, rng))
    repaired = rng.binomial(sizes - right, _rates(cell.repairs, cell.icc, shape, rng))
    return Data(*(part.astype(float) for part in (sizes, right, kept, repaired)))


def template_sizes(cell: Cell) -> np.ndarray:
    """Sizes of the templates: lognormal quantiles with the cell's coefficient of variation, at least 1 each."""
    scale = np.sqrt(np.log(1 + cell.size_cv**2))
    weights = np.exp(scale * stats.norm.ppf((np.arange(cell.clusters) + 0.5) / cell.clusters))
    edges = np.rint(weights.cumsum() / weights.sum() * (cell.n - cell.clusters)).astype(int)
    return np.diff(edges, prepend=0) + 1


def _rates(mean: float, icc: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if icc == 0:
        return np.full(shape, mean)
    total = (1 - icc) / icc
    return rng.beta(mean * total, (1 - mean) * total, shape)


def covered(cell: Cell, data: Data) -> dict[str, float]:
    """How often each interval holds the truth; datasets without, e.g., a wrong answer have no interval of CS."""
    shares = {}
    low, high = change_interval(data.change, data.repaired.sum(-1), data.lost.sum(-1), LEVEL)
    shares["change"] = _holds(low, high, cell.change)
    wrong = data.sizes - data.right
    for name, hits, base, truth in (
        ("accuracy", data.right, data.sizes, cell.accuracy),
        ("CL", data.kept, data.right, cell.keeps),
        ("CS", data.repaired, wrong, cell.repairs),
    ):
        some = base.sum(-1) > 0
        low, high = proportion_interval(spread(hits[some], hits[some], base[some]), LEVEL)
        shares[name] = _holds(low, high, truth)
    return shares


def _holds(low: Array, high: Array, truth: float) -> float:
    return float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))


def coverage(datasets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage over the whole grid."""
    grid = itertools.product((200, 1000), (25, 50, 100, 200), (0.0, 0.75), (0.0, 0.1, 0.3), RATES)
    cells = [Cell(n, clusters, cv, icc, *rates) for n, clusters, cv, icc, rates in grid]
    rows = [(cell, covered(cell, draw(cell, datasets, rng))) for cell in cells]
    return {
        name: _summary([(cell, found[name]) for cell, found in rows]) for name in ("change", "accuracy", "CL", "CS")
    } | {"cells": [[*asdict(cell).values(), *(round(value, 4) for value in found.values())] for cell, found in rows]}


def _summary(rows: list[tuple[Cell, float]]) -> dict[str, Any]:
    shares = np.array([share for _, share in rows])
    worst = min(rows, key=lambda row: row[1])

    def mean_by(field: str) -> dict[str, float]:
        values = np.array([getattr(cell, field) for cell, _ in rows])
        return {f"{value:g}": round(float(shares[values == value].mean()), 4) for value in np.unique(values)}

    return {
        "mean": round(float(shares.mean()), 4),
        "least": round(float(shares.min()), 4),
        "most": round(float(shares.max()), 4),
        "below 0.925": int((shares < 0.925).sum()),
        "cells": len(rows),
        "worst cell": asdict(worst[0]),
        "mean by icc": mean_by("icc"),
        "mean by clusters": mean_by("clusters"),
        "mean by size_cv": mean_by("size_cv"),
    }


def candidates(datasets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Intervals of the change that were not chosen, beside the one that was, on a part of the grid."""
    grid = itertools.product((200, 1000), (25, 50), (0.0, 0.1, 0.3), RATES[::2])
    cells = [Cell(n, clusters, 0.75, icc, *rates) for n, clusters, icc, rates in grid]
    shares: dict[str, list[float]] = {}
    for cell in cells:
        data = draw(cell, datasets, rng)
        for name, (low, high) in _intervals(data, rng):
            shares.setdefault(name, []).append(_holds(low, high, cell.change))
    return {
        name: {
            "mean": round(float(np.mean(found)), 4),
            "least": round(float(np.min(found)), 4),
            "below 0.925": int((np.array(found) < 0.925).sum()),
            "cells": len(found),
        }
        for name, found in shares.items()
    }


def _intervals(data: Data, rng: np.random.Generator) -> Iterator[tuple[str, tuple[Array, Array]]]:
    of, totals, sizes = data.change, data.repaired - data.lost, data.sizes
    mean, n, count = of.mean, of.n, of.clusters
    residual = totals - sizes * mean[:, None]
    plain = (residual**2).sum(-1) / n**2

    def around(half: Array) -> tuple[Array, Array]:
        return mean - half, mean + half

    yield "t, CR1, G - 1", around(stats.t.isf(0.025, count - 1) * np.sqrt(plain * count / (count - 1)))
    yield "t, CR2, Satterthwaite", around(stats.t.isf(0.025, of.dof) * np.sqrt(of.variance))
    for name, resample in (("bootstrap", _pairs), ("wild bootstrap", _wild)):
        means, errors = resample(totals, sizes, residual, rng)
        score = (means - mean) / np.maximum(errors, 1e-12)
        low, high = np.quantile(score, (0.025, 0.975), axis=0)
        yield f"{name}-t over clusters", (mean - high * np.sqrt(plain), mean - low * np.sqrt(plain))
        if name == "bootstrap":
            yield "percentile bootstrap over clusters", tuple(np.quantile(means, (0.025, 0.975), axis=0))
    yield "score, effective size (chosen)", change_interval(of, data.repaired.sum(-1), data.lost.sum(-1), LEVEL)


def _pairs(
    totals: Array, sizes: Array, _: Array, rng: np.random.Generator, replicates: int = 399
) -> tuple[Array, Array]:
    """Whole clusters drawn with replacement; mean and standard error of each replicate and dataset."""
    clusters = totals.shape[1]
    weight = rng.multinomial(clusters, np.full(clusters, 1 / clusters), replicates).astype(float)
    n = weight @ sizes.T
    means = weight @ totals.T / n
    squares = weight @ (totals**2).T - 2 * means * (weight @ (totals * sizes).T) + means**2 * (weight @ (sizes**2).T)
    return means, np.sqrt(np.maximum(squares, 0)) / n


def _wild(
    totals: Array, sizes: Array, residual: Array, rng: np.random.Generator, replicates: int = 399
) -> tuple[Array, Array]:
    """Signs of cluster residuals drawn (Rademacher)."""
    sign = rng.choice([-1.0, 1.0], (replicates, totals.shape[1]))
    n = sizes.sum(-1)
    shift = sign @ residual.T / n
    cross = sign @ (residual * sizes).T
    squares = (residual**2).sum(-1) - 2 * shift * cross + shift**2 * (sizes**2).sum(-1)
    return totals.sum(-1) / n + shift, np.sqrt(np.maximum(squares, 0)) / n


def null(seeds: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """How often `helps` or `hurts` is said of subjects whose accuracy does not change: overall, and of any group."""
    rows = []
    for (n, clusters, icc), rates in itertools.product(
        ((100, 25, 0.1), (500, 25, 0.1), (500, 50, 0.0), (500, 50, 0.3)), NULL
    ):
        cell = Cell(n, clusters, 0.75, icc, *rates)
        groups = [draw(cell, seeds, rng) for _ in range(11)]
        whole = Data(*(np.concatenate([getattr(group, part) for group in groups], 1) for part in Data.__annotations__))
        p_groups = np.stack([_p(group) for group in groups], 1)
        adjusted = np.array([holm(list(row)) for row in p_groups])
        rows.append(
            {
                "per group": asdict(cell),
                "groups": len(groups),
                "seeds": seeds,
                "said overall": float(np.mean(_p(whole) < 0.05)),
                "said of any group, after Holm": float(np.mean((adjusted < 0.05).any(1))),
                "said of any group, unadjusted": float(np.mean((p_groups < 0.05).any(1))),
            }
        )
    return rows


def _p(data: Data) -> Array:
    return change_p(data.change, data.repaired.sum(-1), data.lost.sum(-1))


def power(datasets: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """How often a gain of 5 points is seen."""
    rows = []
    for rates, n, icc in itertools.product(HELPED, (200, 500, 1000, 2000), (0.0, 0.1)):
        cell = Cell(n, n // 8, 0.75, icc, *rates)
        data = draw(cell, datasets, rng)
        helps = (_p(data) < 0.05) & (data.change.mean > 0)
        changes = cell.accuracy * (1 - cell.keeps) + (1 - cell.accuracy) * cell.repairs
        rows.append({"discordance": round(changes, 3), **asdict(cell), "power": round(float(helps.mean()), 3)})
    return rows


def few(datasets: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Fewer templates than are asked for: what then still holds. No bound is set here."""
    rows = []
    for clusters, icc in itertools.product((5, 10, 15), (0.0, 0.1, 0.3)):
        found = [
            covered(cell, draw(cell, datasets, rng)) for cell in (Cell(400, clusters, 0.0, icc, *r) for r in RATES)
        ]
        mean = {name: round(float(np.mean([row[name] for row in found])), 4) for name in found[0]}
        least = {name: round(float(np.min([row[name] for row in found])), 4) for name in found[0]}
        rows.append({"clusters": clusters, "icc": icc, "mean": mean, "least": least})
    return rows


PARTS: dict[str, Callable[[int, np.random.Generator], Any]] = {
    "coverage": coverage,
    "null subjects": null,
    "power at +5 points": power,
    "candidates": candidates,
    "fewer than 25 templates": few,
}


def calibrate() -> dict[str, Any]:
    """Everything, each part from a seed of its own."""
    number = {"coverage": DATASETS, "null subjects": 1000, "power at +5 points": DATASETS, "candidates": 1000}
    result: dict[str, Any] = {
        "what": "coverage of 95% intervals, false verdicts and power of secondlook.diagnosis, by simulation",
        "command": "python tools/calibration.py",
        "seconds": 0,
        "seed": SEED,
        "datasets": {name: number.get(name, DATASETS) for name in PARTS},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "columns of coverage.cells": [*Cell.__annotations__, "change", "accuracy", "CL", "CS"],
    }
    started = time.monotonic()
    for place, (name, part) in enumerate(PARTS.items()):
        result[name] = part(number.get(name, DATASETS), np.random.default_rng([SEED, place]))
    result["seconds"] = round(time.monotonic() - started)
    return result


def to_json(result: dict[str, Any]) -> str:
    """As the file has it: a line for each row of a list."""
    text = json.dumps(result, indent=1)
    rows = result["coverage"]["cells"]
    for row in rows:
        text = text.replace(json.dumps(row, indent=1).replace("\n", "\n   "), json.dumps(row), 1)
    return text + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(to_json(calibrate()), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
