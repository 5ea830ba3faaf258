"""Trained runs on disk, each under its own name: what is there is not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import torch
from safetensors.torch import load, save

from secondlook.cluster.here import Here
from secondlook.cluster.place import Place, put, remove, there, turn
from secondlook.cluster.unit import Engine
from secondlook.lab.run import Run
from secondlook.lab.train import Options, Trained, groups, train

Tick = Callable[[float], None]
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Store:
    """A folder of trained runs, or an address in an object store.

    Attributes:
        folder: Where they are: a folder each, with `run.json`, `log.jsonl`, `cost.json` and
            `model.safetensors`.
        options: How to compute.
        engine: Who trains.
        together: Members of an ensemble, at most.
    """

    folder: Place
    options: Options = field(default_factory=Options)
    engine: Engine = field(default_factory=Here)
    together: int = 3

    def train(self, runs: Sequence[Run], tick: Tick = lambda _: None) -> dict[Run, Trained]:
        """Train the runs that are not there yet, and load all.

        Args:
            runs: Any runs; those of equal shape train together.
            tick: Called with the number of runs done since the last call, or a part of one.

        Raises:
            ValueError, FloatingPointError, OSError: As `train` does, when all others are done; these are kept.
        """
        missing = [run for run in dict.fromkeys(runs) if not self.holds(run)]
        tick(len(set(runs)) - len(missing))
        units = [
            Training(self.folder.absolute(), tuple(members), self.options) for members in groups(missing, self.together)
        ]
        if units:
            # Large ones first, so that no worker is left with the largest at the end.
            units.sort(key=lambda unit: cost(unit.members[0]) * len(unit.members), reverse=True)
            with turn(self.folder):
                self.engine.run(units, lambda unit, part: tick(len(unit.members) * part))
        return {run: self.load(run) for run in runs}

    def holds(self, run: Run) -> bool:
        """Whether a run has been trained."""
        return there(self.folder / kept_as(run, self.options) / _WEIGHTS)

    def load(self, run: Run) -> Trained:
        """Load a run that has been trained.

        Raises:
            FileNotFoundError: It has not.
        """
        folder = self.folder / kept_as(run, self.options)
        if not self.holds(run):
            raise FileNotFoundError(f"{run.name} is not in {self.folder}; train it first")
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
        cost = json.loads((folder / "cost.json").read_text("utf-8"))
        return Trained(run, load((folder / _WEIGHTS).read_bytes()), log, cost)


@dataclass(frozen=True)
class Training:
    """The unit of work: an ensemble, of one member or several, trained into a folder of its runs.

    Attributes:
        folder: The store's.
        members: Runs of equal shape.
        options: How to compute.
    """

    folder: Place
    members: tuple[Run, ...]
    options: Options

    @property
    def name(self) -> str:
        """Name made of its members."""
        first = kept_as(self.members[0], self.options)
        return first if len(self.members) == 1 else f"{first}+{len(self.members) - 1}-{self._digest}"

    @property
    def _digest(self) -> str:
        return sha256(" ".join(kept_as(run, self.options) for run in self.members).encode()).hexdigest()[:16]

    def done(self) -> bool:
        """Whether every member is in the store."""
        return all(there(self.folder / kept_as(run, self.options) / _WEIGHTS) for run in self.members)

    def work(self, tick: Tick) -> None:
        """Train, from a checkpoint if there is one, and keep every member.

        On a CPU by one thread, whoever works: the numbers are then the same from any number of workers.
        """
        done = 0

        def step(now: int) -> None:
            nonlocal done
            # `train` tells all steps so far, those of a checkpoint too; a unit tells what was added.
            tick((now - done) / self.members[0].steps)
            done = now

        unfinished = self.folder / "unfinished" / self._digest
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            made = train(self.members, unfinished, self.options, tick=step)
        finally:
            torch.set_num_threads(threads)
        for trained in made:
            keep(self.folder / kept_as(trained.run, self.options), trained)
        # Last: if this stops before every member is kept, the checkpoint spares the training.
        remove(unfinished / "checkpoint.pt")


def kept_as(run: Run, options: Options) -> str:
    """The name under which a run is kept: its own, and what of the options changes its numbers."""
    return run.name + options.mark


def keep(folder: Place, trained: Trained) -> None:
    """Put a trained run into a folder of its own.

    Raises:
        OSError: It cannot be written.
    """
    files = {
        "run.json": json.dumps(trained.run.record(), indent=1).encode(),
        "log.jsonl": "".join(f"{json.dumps(look)}\n" for look in trained.log).encode(),
        "cost.json": json.dumps(trained.cost).encode(),
        _WEIGHTS: save(trained.weights),  # last: with it, the run is there
    }
    for name, content in files.items():
        put(folder / name, content)


def cost(run: Run) -> float:
    """Work of a run in units of its own: steps, problems, blocks, squares of the width, tokens."""
    triple = 1 if run.shape.layout == "merged" else 3
    return run.steps * run.batch * run.shape.depth * run.shape.width**2 * run.task.n * triple
