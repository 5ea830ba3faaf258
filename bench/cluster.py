"""Ray beneath: what a unit of work costs beside a plain Ray task, and what a second worker node gains.

`overhead`: 10,000 trivial tasks on two processors, by plain Ray and as units, without and with a result on disk, taken
in turns on one cluster; medians. `nodes`: a sweep of 40 quick runs on a cluster of one worker node, of two, and without
Ray; all results must be the same bytes. Nodes are processes of their own, of one processor each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondlook.cluster.engines import engine
from secondlook.cluster.place import put, turn

ROOT = Path(__file__).resolve().parent.parent

HELPERS = str(ROOT / "tests/cluster")
RESULT = ROOT / "results/scale/cluster.json"
TASKS, REPEATS, WITHIN, GAIN = 10_000, 3, 1.5, 1.7
SWEEP = """
seeds = 5
[run]
steps = {steps}
[grid]
"rate" = [1e-3, 3e-3]
"task.p" = [0.0, 0.25, 0.5, 1.0]
"""


@dataclass(frozen=True)
class Trivial:
    """A unit that does nothing, or leaves a result of a few bytes."""

    folder: Path
    number: int
    leaves: bool

    @property
    def name(self) -> str:
        return str(self.number)

    def done(self) -> bool:
        return self.leaves and (self.folder / self.name).exists()

    def work(self, _: object) -> None:
        if self.leaves:
            put(self.folder / self.name, b"0")


def overhead(tasks: int) -> dict[str, Any]:
    """Microseconds a task."""
    import ray

    def plain(folder: Path, leaves: bool) -> None:
        unit = ray.remote(_write if leaves else _nothing)
        ray.get([unit.remote(folder / str(number)) for number in range(tasks)])

    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        with engine("local", where) as works, turn(where):

            def ours(folder: Path, leaves: bool) -> None:
                works.run([Trivial(folder, number, leaves) for number in range(tasks)], lambda _unit, _part: None)

            plain(where, False)  # workers have started, and have imported what they need
            ours(where, False)
            for repeat in range(REPEATS):
                for leaves in (False, True):
                    for name, run in (("plain", plain), ("units", ours)):
                        folder = where / f"{name}-{leaves}-{repeat}"
                        folder.mkdir()
                        begin = time.perf_counter()
                        run(folder, leaves)
                        seconds = time.perf_counter() - begin
                        times.setdefault(f"{name}, {'with a result' if leaves else 'empty'}", []).append(seconds)
    each = {name: 1e6 * statistics.median(found) / tasks for name, found in times.items()}
    ratios = {kind: each[f"units, {kind}"] / each[f"plain, {kind}"] for kind in ("empty", "with a result")}
    return {"tasks": tasks, "repeats": REPEATS, "microseconds": each, "ratio": ratios}


def _nothing(_: Path) -> None:
    pass


def _write(file: Path) -> None:
    put(file, b"0")


def gain(steps: int) -> dict[str, Any]:
    """Seconds of a sweep on one worker node, on two, and without Ray on one processor."""
    from ray_nodes import QUIET, nodes

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "sweep.toml").write_text(SWEEP.format(steps=steps), encoding="utf-8")
        seconds = {"one process, no Ray": _sweep(folder, "none", QUIET, "--workers", "1")}
        for workers in (("a",), ("a", "b")):
            with nodes(*workers) as cluster:
                name = f"{len(workers)} node{'s' * (len(workers) > 1)}"
                seconds[name] = _sweep(folder, name.replace(" ", "-"), QUIET, "--cluster", cluster.address)
        runs = len(list((folder / "none").glob("*/model.safetensors")))
        same = all(
            (folder / out / file.relative_to(folder / "none")).read_bytes() == file.read_bytes()
            for out in ("1-node", "2-nodes")
            for file in (folder / "none").glob("*/*")
        )
    return {
        "runs": runs,
        "steps": steps,
        "seconds": seconds,
        "gain": seconds["1 node"] / seconds["2 nodes"],
        "same": same,
    }


def _sweep(folder: Path, out: str, environment: dict[str, str], *more: str) -> float:
    command = [sys.executable, "-m", "secondlook.cli", "lab", "sweep", "sweep.toml", "--out", out, *more]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> int:
    sys.path.insert(0, HELPERS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("overhead", "nodes"))
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--steps", type=int, default=600, help="of each run of the sweep; 600 are the quick profile's")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    asked = parser.parse_args()
    found: dict[str, Any] = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    good = True
    if asked.only != "nodes":
        found["overhead"] = overhead(asked.tasks)
        for kind, ratio in found["overhead"]["ratio"].items():
            plain, units = (found["overhead"]["microseconds"][f"{name}, {kind}"] for name in ("plain", "units"))
            print(f"{asked.tasks:,} tasks, {kind}: Ray {plain:.0f} µs, units {units:.0f} µs a task: {ratio:.2f} times")
            good &= ratio <= WITHIN
    if asked.only != "overhead":
        found["nodes"] = gain(asked.steps)
        for name, seconds in found["nodes"]["seconds"].items():
            print(f"{found['nodes']['runs']} runs, {name}: {seconds:.1f} s")
        print(f"two nodes against one: {found['nodes']['gain']:.2f} times; same results: {found['nodes']['same']}")
        good &= found["nodes"]["gain"] >= GAIN and found["nodes"]["same"]
    if asked.keep:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
