"""Trained runs on disk, each under its own name: what is there is not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from safetensors.torch import load_file, save

from secondlook.lab.run import Run
from secondlook.lab.train import Options, Trained, groups, train
from secondlook.machine import alone, whole

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Store:
    """A folder of trained runs.

    Attributes:
        folder: Where they are: a folder each, with `run.json`, `log.jsonl` and `model.safetensors`.
        options: How to compute.
        workers: Processes, of one thread each. With one, this process trains, with all the threads it has.
        together: Members of an ensemble, at most.
    """

    folder: Path
    options: Options = field(default_factory=Options)
    workers: int = 1
    together: int = 3

    def train(self, runs: Sequence[Run], tick: Tick = lambda _: None) -> dict[Run, Trained]:
        """All of these runs, trained if they are not.

        Args:
            runs: Any runs; those of equal shape train together.
            tick: Called with the number of runs done since the last call, or a part of one.

        Raises:
            ValueError, FloatingPointError, OSError: As `train` does; runs that were done are kept.
        """
        missing = [run for run in dict.fromkeys(runs) if not (self.folder / run.name / "model.safetensors").exists()]
        tick(len(set(runs)) - len(missing))
        # Large ones first, so that no worker is left with the largest at the end.
        work = sorted(groups(missing, self.together), key=_cost, reverse=True)
        (self._here if min(self.workers, len(work)) < 2 else self._apart)(work, tick)
        return {run: self.load(run) for run in runs}

    def load(self, run: Run) -> Trained:
        """One that has been trained.

        Raises:
            FileNotFoundError: It has not.
        """
        folder = self.folder / run.name
        if not (folder / "model.safetensors").exists():
            raise FileNotFoundError(f"{run.name} is not in {self.folder}; train it first")
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
        return Trained(run, load_file(folder / "model.safetensors"), log)

    def _here(self, work: list[list[Run]], tick: Tick) -> None:
        for members in work:
            done = 0

            def step(now: int, members: list[Run] = members) -> None:
                nonlocal done
                tick(len(members) * (now - done) / members[0].steps)
                done = now

            self._group(members, step)

    def _apart(self, work: list[list[Run]], tick: Tick) -> None:
        pool = ProcessPoolExecutor(min(self.workers, len(work)), get_context("spawn"), alone)
        try:
            waiting = {pool.submit(self._group, members): members for members in work}
            for done in as_completed(waiting):
                done.result()
                tick(len(waiting[done]))
        finally:
            pool.shutdown(cancel_futures=True)

    def _group(self, members: list[Run], step: Callable[[int], None] = lambda _: None) -> None:
        digest = sha256(" ".join(run.name for run in members).encode()).hexdigest()[:16]
        unfinished = self.folder / "unfinished" / digest
        for trained in train(members, unfinished, self.options, tick=step):
            self._keep(trained)
        (unfinished / "checkpoint.pt").unlink(missing_ok=True)
        unfinished.rmdir()

    def _keep(self, trained: Trained) -> None:
        folder = self.folder / trained.run.name
        files = {
            "run.json": json.dumps(trained.run.record(), indent=1).encode(),
            "log.jsonl": "".join(f"{json.dumps(look)}\n" for look in trained.log).encode(),
            "model.safetensors": save(trained.weights),  # last: with it, the run is there
        }
        for name, content in files.items():
            with whole(folder / name) as file:
                file.write(content)


def _cost(members: list[Run]) -> float:
    run = members[0]
    triple = 3 if run.shape.layout == "interleaved" else 1
    return len(members) * run.steps * run.batch * run.shape.depth * run.shape.width**2 * run.task.n * triple
