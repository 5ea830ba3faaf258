"""A training step by one process and by two that share the batch, one core each, and what the exchange costs.

Two processes of one thread, each bound to a core of its own, form the process group that Ray Train forms (Gloo). In
turns, so that a slow minute of the machine slows both: the first makes steps alone while the second waits, then both
make steps together. The exchange is one sum of all gradients; its share of a step is taken twice: with the wait for the
slower process, as a run has it, and of processes that have just met. Processor time says what two would gain where
nobody else is on their cores, but for the wait. Last, how far one run goes apart by being trained
both ways: with the loss of the quick profile, and with one on which roundings do not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed

from secondlook.evidence.result import provenance
from secondlook.lab.profile import find
from secondlook.lab.rank import ALONE, Rank
from secondlook.lab.run import Run
from secondlook.lab.train import Ensemble, Trained, train

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "scale" / "parallel.json"
STEPS = {"quick": 20, "paper": 1}
TURNS = 5
GAIN = 1.5
CURVE_STEPS = 200


class Timed(Rank):
    """Notes the seconds of every exchange."""

    def sum(self, shares: list[Tensor]) -> list[Tensor]:
        begin = time.perf_counter()
        summed = super().sum(shares)
        exchanges.append(time.perf_counter() - begin)
        return summed


exchanges: list[float] = []


def seconds(ensemble: Ensemble, steps: int) -> tuple[float, float]:
    """Of a step, by the clock and of the processor; medians."""
    clock, processor = [], []
    for _ in range(steps):
        begin, spent = time.perf_counter(), time.process_time()
        ensemble.advance()
        clock.append(time.perf_counter() - begin)
        processor.append(time.process_time() - spent)
    return statistics.median(clock), statistics.median(processor)


def measured(number: int, cores: list[int], folder: str, turns: int) -> None:
    """What each of the two processes does; the first writes what it found."""
    os.sched_setaffinity(0, {cores[number]})
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2)
    found: dict[str, Any] = {
        "shapes": {name: _shape(find(name).base, STEPS[name], Timed(number, 2), turns) for name in STEPS}
    }
    quick = replace(find("quick").base, steps=CURVE_STEPS)
    smooth = replace(quick, objective="pl-squared", rate=1e-3, shape=replace(quick.shape, activation="gelu"))
    found["apart"] = {
        "quick": _apart(quick, Rank(number, 2)),
        "quick with pl-squared and GELU, rate 0.001": _apart(smooth, Rank(number, 2)),
    }
    if number == 0:
        (Path(folder) / "found.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _shape(run: Run, steps: int, rank: Rank, turns: int) -> dict[str, Any]:
    run = replace(run, steps=1000)
    alone, together = Ensemble([run], rank=ALONE), Ensemble([run], rank=rank)
    rows: list[dict[str, float]] = []
    for turn in range(-1, turns):  # the first does not count
        distributed.barrier()
        one, one_spent = seconds(alone, steps) if rank.first else (0.0, 0.0)
        distributed.barrier()
        exchanges.clear()
        two, two_spent = seconds(together, steps)
        waited = statistics.median(exchanges)
        vector = [torch.zeros(sum(weight.numel() for weight in together.weights.values()) + 1)]
        bare = []
        for _ in range(5):
            distributed.barrier()
            begin = time.perf_counter()
            rank.sum(vector)
            bare.append(time.perf_counter() - begin)
        if turn >= 0:
            row = {"one": one, "two": two, "one, processor": one_spent, "two, processor": two_spent}
            rows.append(row | {"exchange": waited, "bare exchange": statistics.median(bare)})
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    ratios = [row["one"] / row["two"] for row in rows]
    return {
        "seconds": middle,
        "gain": statistics.median(ratios),
        "gains": ratios,
        "processor gain": statistics.median(row["one, processor"] / row["two, processor"] for row in rows),
        "exchange share": middle["exchange"] / middle["two"],
        "bare exchange share": middle["bare exchange"] / middle["two"],
        "megabytes": vector[0].numel() * 4 / 1e6,
        "steps": steps,
    }


def _apart(run: Run, rank: Rank) -> dict[str, float]:
    """Largest differences of the loss and of a weight, relative to the largest of its tensor, over a whole run.

    Biases of keys are left out: they change no attention, and their gradient is nothing but rounding.
    """
    both: list[Trained] = train([run], rank=rank)
    if not rank.first:
        return {}
    one, two = train([run])[0], both[0]
    losses = [abs(a["loss"] - b["loss"]) for a, b in zip(one.log, two.log, strict=True)]
    weights = [
        ((weight - two.weights[name]).abs().max() / weight.abs().max()).item()
        for name, weight in one.weights.items()
        if not name.endswith("key.bias")
    ]
    return {"loss": max(losses), "weights": max(weights), "steps": run.steps, "last loss": one.log[-1]["loss"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--keep", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        print("one core alone: nothing to compare")
        return 1
    load, begin = os.getloadavg()[0], time.perf_counter()
    with TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(measured, (cores, folder, asked.turns), nprocs=2)
        found = json.loads((Path(folder) / "found.json").read_text())
    for name, shape in found["shapes"].items():
        took = shape["seconds"]
        print(
            f"{name}: a step {1000 * took['one']:.0f} ms by one, {1000 * took['two']:.0f} ms by two: "
            f"{shape['gain']:.2f} times as fast ({min(shape['gains']):.2f} to {max(shape['gains']):.2f}), "
            f"{shape['processor gain']:.2f} times less of each processor; "
            f"exchange of {shape['megabytes']:.2f} MB {100 * shape['exchange share']:.0f}% of it with the wait, "
            f"{100 * shape['bare exchange share']:.1f}% without"
        )
    for name, apart in found["apart"].items():
        print(
            f"{name}, {apart['steps']} steps: losses differ by {apart['loss']:.1e}, weights by {apart['weights']:.1e}"
        )
    if asked.keep:
        about = {"turns": asked.turns, "load before": load, "wall seconds": time.perf_counter() - begin}
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found | about | provenance(), indent=1) + "\n", encoding="utf-8")
    return int(not all(shape["gain"] >= GAIN for shape in found["shapes"].values()))


if __name__ == "__main__":
    sys.exit(main())
