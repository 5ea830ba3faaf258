"""What a sweep would take, from a few steps of each of its transformers, as many at a time as share a device in it.

python grid_cost.py FILE.toml --device cuda --price 2.5
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from secondlook.lab.run import Run
from secondlook.lab.sweep import Sweep
from secondlook.lab.train import Options, train
from secondlook.machine import alone

HOUR = 3600


def seconds(run: Run, device: str, steps: int) -> tuple[float, float]:
    """Of a run: to begin and end, and a step with its share of looks at fresh problems."""
    options, times = Options(device, look_every=steps), []
    train([replace(run, steps=1)], None, options)  # what is slow once in a process
    for several in (steps, 3 * steps):
        begun = time.perf_counter()
        train([replace(run, steps=several)], None, options)
        times.append(time.perf_counter() - begun)
    step = (times[1] - times[0]) / (2 * steps)
    return max(0.0, times[0] - steps * step), step


def measured(runs: Sequence[Run], device: str, steps: int, together: int) -> list[float]:
    """Seconds of each whole run; runs of one shape and batch take the same.

    Args:
        runs: In any order.
        device: On which they are trained.
        steps: Steps between looks, and a quarter of those that are measured.
        together: How many share the device.
    """

    def kind(run: Run) -> str:
        return repr((run.shape, run.batch, run.steps, replace(run.task, p=0.0)))

    found = []
    with ProcessPoolExecutor(together, get_context("spawn"), alone) as workers:
        for _, same in groupby(sorted(runs, key=kind), kind):
            alike = list(same)
            made = list(workers.map(seconds, [alike[0]] * together, [device] * together, [steps] * together))
            begin, step = map(max, zip(*made, strict=True))
            found += [begin + alike[0].steps * step] * len(alike)
    return found


def main(
    file: Annotated[Path, typer.Argument(help="TOML file of a sweep.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    steps: Annotated[int, typer.Option(min=1, help="Steps between looks; 4 times as many are measured.")] = 25,
    price: Annotated[float | None, typer.Option(help="Of an hour of an accelerator (on cpu, of a processor).")] = None,
    count: Annotated[bool, typer.Option("--count", help="Only count runs.")] = False,
) -> None:
    """Measure and print as JSON: runs, hours of the device, the longest run in hours, money."""
    sweep = Sweep.read(file)
    runs = [run for _, several in sweep.cells for run in several]
    found: dict[str, float] = {"runs": len(runs)}
    if not count:
        part = sweep.resources.cpus if device == "cpu" else sweep.resources.gpus or 1.0
        taken = measured(runs, device, steps, max(1, round(1 / part)))
        found |= {"device_hours": sum(taken) * part / HOUR, "longest_run_hours": max(taken) / HOUR}
        if price is not None:
            found["money"] = found["device_hours"] * price
    typer.echo(json.dumps(found))


if __name__ == "__main__":
    typer.run(main)
