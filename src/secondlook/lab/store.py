"""Trained runs on disk, each under its own name: what is there is not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import torch
from safetensors.torch import load, save

from secondlook.cluster.here import Here
from secondlook.cluster.place import Place, put, remove, remove_empty, there, turn
from secondlook.cluster.unit import Engine
from secondlook.lab.run import Run
from secondlook.lab.train import Options, Trained, groups, train

Tick = Callable[[float], None]
_UNFINISHED = "unfinished"
_WEIGHTS = "model.safetensors"
_LOG, _COST, _EXAM = "log.jsonl", "cost.json", "exam.npz"


@dataclass(frozen=True)
class Store:
    """A folder of trained runs, or an address in an object store.

    Attributes:
        folder: Where they are: a folder each, with `run.json`, `log.jsonl`, `cost.json` and
            `model.safetensors`. What a run was judged by is put beside these (`exam.npz`); with it and the log, weights
            may be removed, as from a repository, and the run still counts in its sweep.
        options: How to compute.
        engine: Who trains.
        together: Members of an ensemble, at most.
    """

    folder: Place
    options: Options = field(default_factory=Options)
    engine: Engine = field(default_factory=Here)
    together: int = 3

    def train(
        self, runs: Sequence[Run], tick: Tick = lambda _: None, enough: Callable[[Run], bool] | None = None
    ) -> dict[Run, Trained]:
        """Train the runs that are not there yet, and load all.

        Args:
            runs: Any runs; those of equal shape train together.
            tick: Called with the number of runs done since the last call, or a part of one.
            enough: What of a run is enough for the caller: `holds`, unless told otherwise. Where less is, weights may
                be missing.

        Raises:
            ValueError, FloatingPointError, OSError: As `train` does, when all others are done; these are kept.
        """
        missing = [run for run in dict.fromkeys(runs) if not (enough or self.holds)(run)]
        tick(len(set(runs)) - len(missing))
        units = [
            Training(self.folder.absolute(), tuple(members), self.options) for members in groups(missing, self.together)
        ]
        if units:
            # Large ones first, so that no worker is left with the largest at the end.
            units.sort(key=lambda unit: cost(unit.members[0]) * len(unit.members), reverse=True)
            with turn(self.folder):
                try:
                    self.engine.run(units, lambda unit, part: tick(len(unit.members) * part))
                finally:
                    # Not by a unit: another may be about to put its checkpoint there.
                    remove_empty(self.folder / _UNFINISHED)
        return {run: self.load(run, weights=enough is None) for run in runs}

    def holds(self, run: Run) -> bool:
        """Whether a run has been trained, and its weights are here."""
        return there(self._of(run) / _WEIGHTS)

    def logged(self, run: Run) -> bool:
        """Whether a run has been trained: how it went is here, if not its weights."""
        return there(self._of(run) / _LOG) and there(self._of(run) / _COST)

    def judged(self, run: Run) -> bool:
        """Whether a run is here, or what it was judged by."""
        return self.holds(run) or (self.logged(run) and there(self.exam(run)))

    def exam(self, run: Run) -> Place:
        """File of what a run is judged by; see `judged.examine`."""
        return self._of(run) / _EXAM

    def load(self, run: Run, *, weights: bool = True) -> Trained:
        """Load a run that has been trained.

        Args:
            run: Which.
            weights: Whether it is of no use without its weights.

        Raises:
            FileNotFoundError: It has not.
        """
        folder, held = self._of(run), self.holds(run)
        if not (held if weights else self.logged(run)):
            raise FileNotFoundError(f"{run.name} is not in {self.folder}; train it first")
        log = [json.loads(line) for line in (folder / _LOG).read_text("utf-8").splitlines()]
        cost = json.loads((folder / _COST).read_text("utf-8"))
        return Trained(run, load((folder / _WEIGHTS).read_bytes()) if held else {}, log, cost)

    def _of(self, run: Run) -> Place:
        return self.folder / kept_as(run, self.options)


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

        unfinished = self.folder / _UNFINISHED / self._digest
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
        _LOG: "".join(f"{json.dumps(look)}\n" for look in trained.log).encode(),
        _COST: json.dumps(trained.cost).encode(),
        _WEIGHTS: save(trained.weights),  # last: with it, the run is there
    }
    for name, content in files.items():
        put(folder / name, content)


def cost(run: Run) -> float:
    """Work of a run in units of its own: steps, problems, weights, tokens."""
    triple = 1 if run.shape.layout == "merged" else 3
    return run.steps * run.batch * run.parameters * run.task.n * triple
