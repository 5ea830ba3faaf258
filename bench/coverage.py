"""How often 95% intervals of a paired change hold the truth, and how wide they are: ours, and what others do.

Datasets are drawn as in tools/calibration.py, with few templates and many, independent questions and dependent ones,
frequent flips and rare ones. Packages are asked as their own documentation says; they are no dependency of ours:
`pip install --target runs/published evalsig evalstats`, and what is not there is left out and named. A bootstrap and a
package take long, so that they see the first of each cell's datasets alone; the standard error of a coverage is given.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.intervals import clustered_mean
from secondlook.diagnosis.paired import change_interval, paired_change

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from calibration import LEVEL, Cell, Data, draw  # noqa: E402 - tools are no package

SEED = 4
DATASETS, RESAMPLED, PACKAGED, RESAMPLES = 2000, 1000, 200, 1000
QUESTIONS = 400
TEMPLATES, ICC = (5, 10, 25, 100), (0.0, 0.1, 0.3)
FLIPS = {"frequent": (0.7, 0.85, 0.45), "rare": (0.9, 0.98, 0.12)}  # accuracy, P(right -> right), P(wrong -> right)
Ends = tuple[Array, Array]


def methods(data: Data, found: dict[str, Any], rng: np.random.Generator) -> Iterator[tuple[str, Ends]]:
    """Every method's ends, for as many of the datasets as it sees."""
    of, gained, lost = data.counts
    yield "secondlook", change_interval(of, gained, lost, LEVEL)
    yield "paired t, no clusters", _t(gained, lost, of.n)
    yield "percentile cluster bootstrap", _bootstrap(data, rng)
    for name, ask in found.items():
        ends = np.array([ask(*_raw(data, place)) for place in range(PACKAGED)])
        yield name, (ends[:, 0], ends[:, 1])


def _t(gained: Array, lost: Array, n: Array) -> Ends:
    mean = (gained - lost) / n
    half = stats.t.isf((1 - LEVEL) / 2, n - 1) * np.sqrt(((gained + lost) / n - mean**2) / (n - 1))
    return mean - half, mean + half


def _bootstrap(data: Data, rng: np.random.Generator) -> Ends:
    """Whole templates drawn with replacement."""
    totals, sizes = (part[:RESAMPLED] for part in (data.repaired - (data.right - data.kept), data.sizes))
    clusters = sizes.shape[1]
    weight = rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES).astype(float)
    low, high = np.quantile(weight @ totals.T / (weight @ sizes.T), ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    return low, high


def _raw(data: Data, place: int) -> tuple[Array, Array, Array]:
    """Right and wrong before and after, and the template, of each question of a dataset."""
    sizes, right, kept, repaired = (getattr(data, part)[place].astype(int) for part in asdict(data))
    before, after, of = [], [], []
    for template, (n, r, k, up) in enumerate(zip(sizes, right, kept, repaired, strict=True)):
        before += [1.0] * r + [0.0] * (n - r)
        after += [1.0] * k + [0.0] * (r - k) + [1.0] * up + [0.0] * (n - r - up)
        of += [template] * n
    return np.array(before), np.array(after), np.array(of)


def packages() -> tuple[dict[str, Callable[..., tuple[float, float]]], dict[str, str]]:
    """How each package that is installed is asked for an interval, and which version of which package there is."""
    found: dict[str, Callable[..., tuple[float, float]]] = {}
    versions: dict[str, str] = {}
    for name, add in (("evalsig", _evalsig), ("evalstats", _evalstats)):
        try:
            found |= add()
            versions[name] = metadata.version(name)
        except ImportError as error:
            versions[name] = f"not installed ({error.name})"
    return found, versions


def _evalsig() -> dict[str, Callable[..., tuple[float, float]]]:
    comparing, types = importlib.import_module("evalsig.compare"), importlib.import_module("evalsig.types")

    def ask(before: Array, after: Array, of: Array, cluster: str | None) -> tuple[float, float]:
        runs = [
            types.RunFrame(
                *(name, name, "task", "accuracy"),
                [
                    types.ItemResult(str(index), score, str(template))
                    for index, (score, template) in enumerate(zip(scores, of, strict=True))
                ],
            )
            for name, scores in (("before", before), ("after", after))
        ]
        low, high = comparing.compare(*runs, cluster=cluster, n_resamples=RESAMPLES).ci
        return float(low), float(high)

    return {
        "evalsig, --cluster": lambda *data: ask(*data, cluster="template"),
        "evalsig, no cluster": lambda *data: ask(*data, cluster=None),
    }


def _evalstats() -> dict[str, Callable[..., tuple[float, float]]]:
    package = importlib.import_module("evalstats")

    def ask(before: Array, after: Array, of: Array) -> tuple[float, float]:
        del of  # it knows items and runs, no clusters of items
        items = [*range(before.size)]
        frame = pd.DataFrame(
            {
                "model": ["before"] * before.size + ["after"] * before.size,
                "item": items * 2,
                "score": np.r_[before, after],
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (pair,) = package.compare(package.load_from(frame), factors="model").to_dict()["pairwise"]
        ends = (pair["ci_low"], pair["ci_high"])
        # It names the two in an order of its own; the change is that of a less that of b.
        return ends if pair["a"] == "after" else (-ends[1], -ends[0])

    return {"evalstats": ask}


def clustered(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Coverage and width of every method in every cell."""
    found, _ = packages()
    rows = []
    for (kind, rates), templates, icc in itertools.product(FLIPS.items(), TEMPLATES, ICC):
        cell = Cell(QUESTIONS, templates, 0.75, icc, *rates)
        row: dict[str, Any] = {"flips": kind, "templates": templates, "icc": icc, "change": cell.change}
        for name, (low, high) in methods(draw(cell, DATASETS, rng), found, rng):
            row[name] = _judged(low, high, cell.change)
        rows.append(row)
        print(_line(row), flush=True)
    return rows


def _judged(low: Array, high: Array, truth: float) -> dict[str, float]:
    held = np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high))
    return {"coverage": round(float(held), 4), "width": round(float(np.mean(high - low)), 4), "datasets": low.size}


def repeated(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Epochs as repeats, and scores between 0 and 1: what our own intervals cover there.

    Each question has a chance of its own to be answered right, each template a change of its own; partial credit is a
    mean of two answers.
    """
    rows = []
    for templates, epochs, spread in itertools.product((10, 25, 100), ((1, 4), (4, 4), (3, 5)), (0.3, 3.0)):
        size, change = QUESTIONS // templates, 0.05
        held: dict[str, list[tuple[float, float]]] = {"epochs as repeats": [], "partial credit": []}
        for _ in range(PACKAGED * 2):
            template = np.repeat(np.arange(templates), size)
            # Between 0.1 and 0.8, so that a change of at most 0.15 leaves a probability.
            before = 0.1 + 0.7 * rng.beta(spread * 0.6, spread * 0.4, template.size)
            chance = [before, before + change + rng.uniform(-0.1, 0.1, templates)[template]]
            x, y = (rng.binomial(times, p) / times for times, p in zip(epochs, chance, strict=True))
            known = paired_change(x, y, template, repeats=max(epochs)).estimate
            half = rng.binomial(2, np.array(chance)) / 2
            mean = clustered_mean(half[1] - half[0], template)
            assert known is not None
            assert mean is not None
            held["epochs as repeats"].append((known.low or 0.0, known.high or 0.0))
            held["partial credit"].append((mean.low or 0.0, mean.high or 0.0))
        row: dict[str, Any] = {"templates": templates, "epochs": epochs, "spread": spread, "change": change}
        rows.append(row | {name: _judged(*np.array(ends).T, change) for name, ends in held.items()})
        print(_line(rows[-1]), flush=True)
    return rows


def _line(row: dict[str, Any]) -> str:
    told = [
        f"{k} {v['coverage']:.3f} ({100 * v['width']:.1f})" if isinstance(v, dict) else f"{v}" for k, v in row.items()
    ]
    return "  ".join(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=ROOT / "runs/published", help="where they are installed")
    parser.add_argument("--out", type=Path, default=ROOT / "results/diagnosis/coverage.json")
    asked = parser.parse_args()
    sys.path.append(str(asked.packages))  # last, so that all else is what is tested here
    result = {
        "what": "coverage and mean width of 95% intervals of a paired change of right answers, by simulation",
        "command": "python bench/coverage.py",
        "seed": SEED,
        "questions": QUESTIONS,
        "rates": {
            name: dict(zip(("accuracy", "keeps", "repairs"), rates, strict=True)) for name, rates in FLIPS.items()
        },
        "packages": packages()[1],
        "clusters": clustered(np.random.default_rng([SEED, 0])),
        "repeats": repeated(np.random.default_rng([SEED, 1])),
    }
    text = json.dumps(result, indent=1)
    asked.out.write_text(text + "\n", encoding="utf-8")
    print(result["packages"])
    ours = [row["secondlook"]["coverage"] for row in result["clusters"]]
    return int(np.mean(ours) < LEVEL - 0.01)


if __name__ == "__main__":
    sys.exit(main())
