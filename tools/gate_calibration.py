"""Is a gate said to help where looking again changes nothing, and is it found where it does?

Simulates records whose truth is known, fits a gate on half of them and tests it on the other half by the very code of
`secondlook gate`. `python tools/gate_calibration.py` writes results/diagnosis/gates.json; `make soak` runs it again
and holds it to its bounds.

A subject: templates draw their own accuracy (beta, with the cell's intra-cluster correlation); the critic's `p_wrong`
and the model's `p_answer` are noisy views of whether the answer is right, or of nothing (`signal` 0). On a null
subject a look redraws the answer with probability `redrawn`, and the new answer is right as often as answers of this
template and these signals are, so that no gate whatever gains anything on average; `drift` lets every template have a
new accuracy of its own, with the same mean, whatever the signals said. On others a look makes wrong answers right with
probability `repair`, and right ones wrong with probability `harm`.
"""

from __future__ import annotations

import itertools
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from secondlook.diagnosis.clusters import Array
from secondlook.fitting.gate_file import Made
from secondlook.fitting.gate_fit import GateQuestions, fit, held_out, questions_of

TARGET = Path(__file__).parent.parent / "results" / "diagnosis" / "gates.json"
SEED = 20260
DATASETS = 1000
MADE = Made("simulated", "self")


@dataclass(frozen=True)
class Subject:
    """One truth to draw datasets from: half of them to fit on, half to test on."""

    n: int
    templates: int
    icc: float
    accuracy: float
    redrawn: float
    signal: float
    drift: float = 0.0
    repair: float = 0.0
    harm: float = 0.0


NULL = (
    *(
        Subject(n, templates, icc, accuracy, 0.5, signal)
        for (n, templates), icc, accuracy, signal in itertools.product(
            ((400, 50), (2000, 100)), (0.0, 0.2), (0.5, 0.8), (0.0, 1.5)
        )
    ),
    # Signals of the first answer tell where a new one is worth having: without them nothing tells, and nothing helps.
    *(Subject(n, templates, 0.1, 0.7, 1.0, 0.0, drift=0.1) for n, templates in ((400, 50), (2000, 100))),
)
HELPED = (
    Subject(1000, 100, 0.1, 0.7, 0.0, 1.5, repair=0.5, harm=0.1),  # looking always helps
    Subject(1000, 100, 0.1, 0.8, 0.0, 1.5, repair=0.5, harm=0.15),  # only a gate does
    Subject(2000, 100, 0.1, 0.8, 0.0, 1.5, repair=0.5, harm=0.15),
    Subject(2000, 100, 0.1, 0.8, 0.0, 0.0, repair=0.3, harm=0.3),  # no gate can
    Subject(2000, 100, 0.1, 0.7, 1.0, 1.0, drift=0.1),  # a new draw where signals doubt the first, and there alone
)


def drawn(subject: Subject, rng: np.random.Generator) -> pd.DataFrame:
    """Records of a subject that always looks again once, as a table has them."""
    size, template = subject.templates, np.arange(subject.n) % subject.templates

    def rates(mean: float, icc: float) -> Array:
        total = (1 - icc) / icc if icc else 0.0  # Beta(a, b) has the intra-cluster correlation 1 / (a + b + 1)
        return rng.beta(mean * total, (1 - mean) * total, size) if icc else np.full(size, mean)

    own = rates(subject.accuracy, subject.icc)[template]
    right = rng.random(subject.n) < own
    views = [rng.normal(np.where(right, -1, 1) * subject.signal / 2) for _ in range(2)]
    # Two normal views at distance `signal` turn the log-odds of being wrong by signal times their sum.
    known = special.expit(special.logit(np.clip(1 - own, 1e-9, 1 - 1e-9)) + subject.signal * (views[0] + views[1]))
    again = rates(subject.accuracy, subject.drift)[template] if subject.drift else 1 - known
    new = np.where(rng.random(subject.n) < subject.redrawn, rng.random(subject.n) < again, right)
    if subject.repair:
        turned = rng.random(subject.n) < np.where(right, subject.harm, subject.repair)
        new = right ^ turned
    p_wrong, p_answer = special.expit(views[0]), special.expit(-views[1])
    shared = {"sample": [f"q{i}" for i in range(subject.n)], "template": [f"t{i}" for i in template], "arm": "self"}
    first = pd.DataFrame(
        {
            **shared,
            "round": 0,
            "correct": right,
            "verdict": np.where(p_wrong > 0.5, "wrong", "right"),
            "p_wrong": p_wrong,
            "p_answer": p_answer,
            "tokens": 150,
            "tokens_critique": 100,
        }
    )
    second = pd.DataFrame({**shared, "round": 1, "correct": new.astype(bool), "tokens": 200, "tokens_critique": 0})
    return pd.concat([first, second], ignore_index=True)


def one(subject: Subject, rng: np.random.Generator, price: float = 0.0) -> tuple[bool, bool]:
    """Whether a fit names a gate, and whether the best gate, named or not, is said to help by the other half."""
    records = drawn(subject, rng)
    halves: list[GateQuestions] = [questions_of(records, part=(half, 2)) for half in (1, 2)]
    file = fit(halves[0], MADE, price, anyway=True, beside=False)
    return not file.sentence.startswith("None"), held_out(file, halves[1], beside=False).finding == "helps"


def cell(subject: Subject, datasets: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of datasets in which a gate is named, and is said to help."""
    named, helps = np.asarray([one(subject, rng) for _ in range(datasets)]).T
    said = {"named": named.mean(), "best said to help": helps.mean(), "named and said to help": (named & helps).mean()}
    return {**asdict(subject), **{what: round(float(share), 4) for what, share in said.items()}}


def calibrate(datasets: int = DATASETS) -> dict[str, Any]:
    """Every cell, each from a seed of its own."""
    started = time.monotonic()
    parts = {
        part: [cell(one, datasets, np.random.default_rng([SEED, place, index])) for index, one in enumerate(subjects)]
        for place, (part, subjects) in enumerate({"null": NULL, "helped": HELPED}.items())
    }
    return {
        "what": "how often a gate is named by a fit, and said to help by a test on the other half, by simulation",
        "command": "python tools/gate_calibration.py",
        "seconds": round(time.monotonic() - started),
        "seed": SEED,
        "datasets": datasets,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        **parts,
    }


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(calibrate(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET}\n")
