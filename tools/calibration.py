"""Do the intervals of `secondlook.diagnosis` cover what they say, and are findings silent where nothing changes?

Simulates records whose truth is known and asks the very code that makes the intervals. `python tools/calibration.py`
writes results/diagnosis/calibration.json; `make soak` runs it again and holds it to its bounds.

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
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass, fields
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
DATASETS, REPLICATES = 2000, 399
LEVEL = 0.95

# Accuracy, P(right -> right), P(wrong -> right).
RATES = (
    *((0.05, 0.95, 0.05), (0.20, 0.80, 0.30), (0.30, 0.95, 0.20), (0.50, 0.95, 0.05), (0.50, 0.50, 0.50)),
    *((0.70, 0.90, 0.50), (0.80, 0.95, 0.50), (0.95, 0.95, 0.05), (0.95, 0.50, 0.80)),
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
    def counts(self) -> tuple[Spread, Array, Array]:
        """Spread of the differences, and how many answers were repaired and lost."""
        lost = self.right - self.kept
        return spread(self.repaired - lost, self.repaired + lost, self.sizes), self.repaired.sum(-1), lost.sum(-1)

    @property
    def p(self) -> Array:
        """P-value of no change."""
        return change_p(*self.counts)


def draw(cell: Cell, datasets: int, rng: np.random.Generator) -> Data:
    """Datasets of a cell; template sizes are lognormal quantiles with its coefficient of variation, at least 1 each."""
    shape = (datasets, cell.clusters)
    # exp of a normal with this standard deviation has the coefficient of variation sqrt(exp(scale²) - 1).
    scale = np.sqrt(np.log(1 + cell.size_cv**2))
    weights = np.exp(scale * stats.norm.ppf((np.arange(cell.clusters) + 0.5) / cell.clusters))
    # Sums are rounded, not sizes, so that the sizes add up to n.
    edges = np.rint(weights.cumsum() / weights.sum() * (cell.n - cell.clusters)).astype(int)
    sizes = np.broadcast_to(np.diff(edges, prepend=0) + 1, shape)

    def rates(mean: float) -> Array:
        if cell.icc == 0:
            return np.full(shape, mean)
        total = (1 - cell.icc) / cell.icc  # Beta(a, b) has the intra-cluster correlation 1 / (a + b + 1)
        return rng.beta(mean * total, (1 - mean) * total, shape)

    right = rng.binomial(sizes, rates(cell.accuracy))
    kept = rng.binomial(right, rates(cell.keeps))
    repaired = rng.binomial(sizes - right, rates(cell.repairs))
    return Data(*(part.astype(float) for part in (sizes, right, kept, repaired)))


def covered(cell: Cell, data: Data) -> dict[str, float]:
    """How often each interval holds the truth; datasets without, e.g., a wrong answer have no interval of CS."""
    shares = {"change": _holds(*change_interval(*data.counts, LEVEL), cell.change)}
    for name, hits, base, truth in (
        ("accuracy", data.right, data.sizes, cell.accuracy),
        ("CL", data.kept, data.right, cell.keeps),
        ("CS", data.repaired, data.sizes - data.right, cell.repairs),
    ):
        some = base.sum(-1) > 0
        shares[name] = _holds(*proportion_interval(spread(hits[some], hits[some], base[some]), LEVEL), truth)
    return shares


def _holds(low: Array, high: Array, truth: float) -> float:
    # An end that equals the truth but for rounding holds it.
    return float(np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)))


def coverage(datasets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage over the whole grid."""
    grid = itertools.product((200, 1000), (25, 50, 100, 200), (0.0, 0.75), (0.0, 0.1, 0.3), RATES)
    cells = [Cell(n, clusters, cv, icc, *rates) for n, clusters, cv, icc, rates in grid]
    rows = [covered(cell, draw(cell, datasets, rng)) for cell in cells]
    result: dict[str, Any] = {}
    for name in rows[0]:
        shares = np.array([row[name] for row in rows])
        extremes = {"most": round(float(shares.max()), 4), "worst cell": asdict(cells[int(shares.argmin())])}
        result[name] = _summary(shares) | extremes
        for field in ("icc", "clusters", "size_cv"):
            of = np.array([getattr(cell, field) for cell in cells])
            means = {f"{value:g}": round(float(shares[of == value].mean()), 4) for value in np.unique(of)}
            result[name][f"mean by {field}"] = means
    lines = [
        [*astuple(cell), *(round(share, 4) for share in row.values())] for cell, row in zip(cells, rows, strict=True)
    ]
    return result | {"cells": lines}


def _summary(shares: Array) -> dict[str, Any]:
    ends = {"mean": round(float(shares.mean()), 4), "least": round(float(shares.min()), 4)}
    return ends | {"below 0.925": int((shares < 0.925).sum()), "cells": len(shares)}


def candidates(datasets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Intervals of the change that were not chosen, beside the one that was, on a part of the grid."""
    grid = itertools.product((200, 1000), (25, 50), (0.0, 0.1, 0.3), RATES[::2])
    shares: dict[str, list[float]] = defaultdict(list)
    for cell in [Cell(n, clusters, 0.75, icc, *rates) for n, clusters, icc, rates in grid]:
        for name, ends in _intervals(draw(cell, datasets, rng), rng):
            shares[name].append(_holds(*ends, cell.change))
    return {name: _summary(np.array(found)) for name, found in shares.items()}


def _intervals(data: Data, rng: np.random.Generator) -> Iterator[tuple[str, tuple[Array, Array]]]:
    of, totals, sizes = data.counts[0], data.repaired - (data.right - data.kept), data.sizes
    mean, n, count = of.mean, of.n, of.clusters
    residual = totals - sizes * mean[:, None]
    plain = (residual**2).sum(-1) / n**2  # the sandwich variance of a ratio, without correction (CR0)
    for name, half in (
        ("t, CR1, G - 1", stats.t.isf(0.025, count - 1) * np.sqrt(plain * count / (count - 1))),
        ("t, CR2, Satterthwaite", stats.t.isf(0.025, of.dof) * np.sqrt(of.variance)),
    ):
        yield name, (mean - half, mean + half)
    for name, resample in (("bootstrap", _pairs), ("wild bootstrap", _wild)):
        means, errors = resample(totals, sizes, residual, rng)
        score = (means - mean) / np.maximum(errors, 1e-12)
        low, high = np.quantile(score, (0.025, 0.975), axis=0)
        yield f"{name}-t over clusters", (mean - high * np.sqrt(plain), mean - low * np.sqrt(plain))
        if name == "bootstrap":
            yield "percentile bootstrap over clusters", tuple(np.quantile(means, (0.025, 0.975), axis=0))
    yield "score, effective size (chosen)", change_interval(*data.counts, LEVEL)


def _pairs(totals: Array, sizes: Array, _: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Whole clusters drawn with replacement; mean and standard error of each replicate and dataset."""
    clusters = totals.shape[1]
    weight = rng.multinomial(clusters, np.full(clusters, 1 / clusters), REPLICATES).astype(float)
    n = weight @ sizes.T
    means = weight @ totals.T / n
    # Σ weight (total - size · mean)², multiplied out to save an array of replicates × datasets × clusters. Its parts
    # cancel, and rounding may end below 0.
    squares = weight @ (totals**2).T - 2 * means * (weight @ (totals * sizes).T) + means**2 * (weight @ (sizes**2).T)
    return means, np.sqrt(np.maximum(squares, 0)) / n


def _wild(totals: Array, sizes: Array, residual: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Signs of cluster residuals drawn (Rademacher)."""
    sign = rng.choice([-1.0, 1.0], (REPLICATES, totals.shape[1]))
    n = sizes.sum(-1)
    shift = sign @ residual.T / n
    cross = sign @ (residual * sizes).T
    # Σ (sign · residual - size · shift)², multiplied out as in `_pairs`.
    squares = (residual**2).sum(-1) - 2 * shift * cross + shift**2 * (sizes**2).sum(-1)
    return totals.sum(-1) / n + shift, np.sqrt(np.maximum(squares, 0)) / n


def null(seeds: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """How often `helps` or `hurts` is said of subjects whose accuracy does not change: overall, and of any group."""
    rows = []
    kinds = ((100, 25, 0.1), (500, 25, 0.1), (500, 50, 0.0), (500, 50, 0.3))
    for (n, clusters, icc), rates in itertools.product(kinds, NULL):
        cell = Cell(n, clusters, 0.75, icc, *rates)
        groups = [draw(cell, seeds, rng) for _ in range(11)]  # as many as BBQ has categories
        whole = Data(*(np.concatenate([getattr(group, part.name) for group in groups], 1) for part in fields(Data)))
        p_groups = np.stack([group.p for group in groups], 1)
        adjusted = np.array([holm(list(row)) for row in p_groups])
        said = {"overall": whole.p[:, None], "of any group, after Holm": adjusted, "of any group, unadjusted": p_groups}
        shares = {f"said {of}": float(np.mean((p < 0.05).any(1))) for of, p in said.items()}
        rows.append({"per group": asdict(cell), "groups": len(groups), "seeds": seeds, **shares})
    return rows


def power(datasets: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """How often a gain of 5 points is seen."""
    rows = []
    for rates, n, icc in itertools.product(HELPED, (200, 500, 1000, 2000), (0.0, 0.1)):
        cell = Cell(n, n // 8, 0.75, icc, *rates)
        data = draw(cell, datasets, rng)
        helps = (data.p < 0.05) & (data.counts[0].mean > 0)
        changes = cell.accuracy * (1 - cell.keeps) + (1 - cell.accuracy) * cell.repairs
        rows.append({"discordance": round(changes, 3), **asdict(cell), "power": round(float(helps.mean()), 3)})
    return rows


def few(datasets: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Fewer templates than are asked for: what then still holds. No bound is set here."""
    rows = []
    for clusters, icc in itertools.product((5, 10, 15), (0.0, 0.1, 0.3)):
        cells = [Cell(400, clusters, 0.0, icc, *rates) for rates in RATES]
        found = [covered(cell, draw(cell, datasets, rng)) for cell in cells]
        shares = {name: _summary(np.array([row[name] for row in found])) for name in found[0]}
        ends = {end: {name: of[end] for name, of in shares.items()} for end in ("mean", "least")}
        rows.append({"clusters": clusters, "icc": icc, **ends})
    return rows


PARTS: dict[str, tuple[int, Callable[[int, np.random.Generator], Any]]] = {
    "coverage": (DATASETS, coverage),
    "null subjects": (1000, null),
    "power at +5 points": (DATASETS, power),
    "candidates": (1000, candidates),
    "fewer than 25 templates": (DATASETS, few),
}


def calibrate() -> dict[str, Any]:
    """Everything, each part from a seed of its own."""
    started = time.monotonic()
    result: dict[str, Any] = {
        "what": "coverage of 95% intervals, false findings and power of secondlook.diagnosis, by simulation",
        "command": "python tools/calibration.py",
        "seconds": 0,
        "seed": SEED,
        "datasets": {name: datasets for name, (datasets, _) in PARTS.items()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "columns of coverage.cells": [*(field.name for field in fields(Cell)), "change", "accuracy", "CL", "CS"],
    }
    for place, (name, (datasets, part)) in enumerate(PARTS.items()):
        result[name] = part(datasets, np.random.default_rng([SEED, place]))
    return result | {"seconds": round(time.monotonic() - started)}


def to_json(result: dict[str, Any]) -> str:
    """As the file has it: a line for each row of a list."""
    text = json.dumps(result, indent=1)
    for row in result["coverage"]["cells"]:
        text = text.replace(json.dumps(row, indent=1).replace("\n", "\n   "), json.dumps(row), 1)
    return text + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(to_json(calibrate()), encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
