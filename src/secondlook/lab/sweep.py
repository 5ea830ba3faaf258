"""A grid of runs: every combination of the values given for some fields, with every seed, as one table."""

from __future__ import annotations

import csv
import io
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from secondlook.cluster.place import Place, put
from secondlook.cluster.unit import Resources
from secondlook.evidence.verdict import Estimate
from secondlook.lab.profile import find
from secondlook.lab.run import Run, flat
from secondlook.lab.train import Trained

_KNOWN = ("profile", "run", "grid", "seeds", "resources")


@dataclass(frozen=True)
class Sweep:
    """What is trained.

    Attributes:
        base: The run that everything else is taken from.
        grid: Values of fields, e.g. of `rate` or `shape.depth`.
        seeds: Seeds of each combination, from the base's own on.
        resources: What a run takes of a cluster.

    Raises:
        ValueError: No seed, or a field without values.
    """

    base: Run = field(default_factory=Run)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int = 1
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        if not self.seeds >= 1:
            raise ValueError(f"seeds is {self.seeds}: give at least 1")
        for name, values in self.grid.items():
            if not isinstance(values, list | tuple) or not values or len({repr(v) for v in values}) < len(values):
                raise ValueError(f"grid has {name} = {values!r}: give a list of different values")

    @classmethod
    def read(cls, file: Path) -> Self:
        """A sweep from a TOML file.

        `profile` names the base run (default `quick`), `[run]` changes fields of it, `[grid]` lists values by field,
        `seeds` counts seeds, `[resources]` says what a run takes of a cluster (`cpus`, `gpus`).

        Raises:
            ValueError: It is no such file; the fields that it may have are listed.
        """
        try:
            record = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is no TOML file ({error})") from None
        if unknown := record.keys() - set(_KNOWN):
            raise ValueError(f"{file} has no field {min(unknown)!r}; known: {', '.join(_KNOWN)}")
        base = find(record.get("profile", "quick")).base
        try:
            resources = Resources(**record.get("resources", {}))
        except TypeError:
            raise ValueError(f"{file}: [resources] has cpus and gpus alone, two numbers") from None
        changes = _table(record.get("run", {}))
        return cls(_changed(base, changes), _table(record.get("grid", {})), record.get("seeds", 1), resources)

    @property
    def cells(self) -> list[tuple[dict[str, Any], list[Run]]]:
        """Every combination of values with its runs, one for each seed.

        Raises:
            ValueError: A field that is unknown, or a value that it cannot have.
        """
        cells = []
        for values in itertools.product(*self.grid.values()):
            setting = dict(zip(self.grid, values, strict=True))
            run = _changed(self.base, setting)
            cells.append((setting, [replace(run, seed=run.seed + number) for number in range(self.seeds)]))
        return cells


@dataclass(frozen=True)
class Cell:
    """What a combination came to.

    Attributes:
        setting: Its values.
        last: What was seen at the end of training, over seeds: loss, and excess and error where the task has them.
    """

    setting: Mapping[str, Any]
    last: Mapping[str, Estimate]


def outcome(sweep: Sweep, trained: Mapping[Run, Trained]) -> list[Cell]:
    """Every combination's losses, with 95% intervals over seeds where there are several."""
    cells = []
    for setting, runs in sweep.cells:
        logs = [trained[run].log[-1] for run in runs]
        last = {name: Estimate.of([log[name] for log in logs]) for name in logs[0] if name != "step"}
        cells.append(Cell(setting, last))
    return cells


def write(sweep: Sweep, trained: Mapping[Run, Trained], folder: Place) -> None:
    """Write `sweep.csv`: a line a run, with its values, its seed, what was seen at its end, and its name.

    Raises:
        OSError: It cannot be written.
    """
    text = io.StringIO()
    first = next(iter(trained.values())).log[-1]
    seen = [name for name in first if name != "step"]
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*sweep.grid, "seed", *seen, "run"])
    for setting, runs in sweep.cells:
        for run in runs:
            last = trained[run].log[-1]
            lines.writerow([*map(_text, setting.values()), run.seed, *(last[name] for name in seen), run.name])
    put(folder / "sweep.csv", text.getvalue().encode())


def _changed(run: Run, changes: Mapping[str, Any]) -> Run:
    record = run.record()
    for name, value in changes.items():
        *path, last = name.split(".")
        part = record
        for step in path:
            if step not in ("task", "shape"):
                raise ValueError(f"a run has no part {step!r}, of which {name} would be a field; parts: task, shape")
            part = part[step]
        part[last] = value
    try:
        return Run.of(record)
    except TypeError as error:
        raise ValueError(f"a run cannot have {dict(changes)}: {error}") from None


def _table(tree: Any) -> dict[str, Any]:
    """Fields of a table, whose names TOML gives as tables inside or as quoted keys with dots."""
    if not isinstance(tree, dict):
        raise ValueError(f"the table is {tree!r}: give a table of fields")  # noqa: TRY004
    return flat(tree)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
