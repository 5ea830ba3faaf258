"""A sweep: a base run, what is changed of it, every combination of values for some fields, every seed; one table."""

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
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.lab.profile import find
from secondlook.lab.run import Run, flat
from secondlook.lab.store import Store, Tick
from secondlook.lab.train import Trained
from secondlook.lab.tuning import trials, tuned

BASE = "base"
"""Name of the variant that changes nothing."""
_KNOWN = ("profile", "run", "variants", "grid", "seeds", "rates", "resources")


@dataclass(frozen=True)
class Sweep:
    """Sweep: variants and combinations of values, each trained with every seed.

    Attributes:
        base: The run that everything else is taken from.
        variants: Fields that differ from the base, by the variant's name; the base comes first, as `base`.
        grid: Values of fields, e.g. of `rate` or `shape.depth`.
        seeds: Seeds of each combination, from the base's own on.
        rates: Learning rates to tune each combination's among, on a pilot seed; none to keep its own.
        resources: Resources of a run on a cluster, `cpus` and `gpus`.

    Raises:
        ValueError: No seed, a field without values or that is unknown, or a variant that changes nothing.
    """

    base: Run = field(default_factory=Run)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int = 1
    rates: tuple[float, ...] = ()
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        if type(self.seeds) is not int or self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds!r}: give a whole number, at least 1")
        if odd := [rate for rate in self.rates if not isinstance(rate, int | float) or not rate > 0]:
            raise ValueError(f"rates has {odd[0]!r}: give positive numbers")
        for name, values in self.grid.items():
            # Compared by their text: a table has no hash, and is refused by `changed`, which says why.
            if not isinstance(values, list | tuple) or not values or len({repr(v) for v in values}) < len(values):
                raise ValueError(f"grid has {name} = {values!r}: give a list of different values")
        if self.rates and ("rate" in self.grid or any("rate" in changes for changes in self.variants.values())):
            raise ValueError("rates are tuned, and rate is given too, in the grid or a variant: give one of both")
        for name, changes in self.variants.items():
            if name == BASE or changed(self.base, changes) == self.base:
                raise ValueError(f"variant {name!r} is the base: give fields in which it differs, or leave it out")

    @classmethod
    def read(cls, file: Path) -> Self:
        """A sweep from a TOML file.

        `profile` names the base run (default `quick`), `[run]` changes fields of it; each of `[[variants]]` has a
        `name` and the fields in which it differs from that; `[grid]` lists values by field; `seeds` counts seeds;
        `rates` lists learning rates; `[resources]` says what a run takes of a cluster (`cpus`, `gpus`).

        Raises:
            ValueError: It is no such file; the fields that it may have are listed.
        """
        try:
            record = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is no TOML file ({error})") from None
        if unknown := record.keys() - set(_KNOWN):
            raise ValueError(f"{file} has no field {min(unknown)!r}; known: {', '.join(_KNOWN)}")
        try:
            resources = Resources(**record.get("resources", {}))
        except TypeError:
            raise ValueError(f"{file}: [resources] has cpus and gpus alone, two numbers") from None
        variants: dict[str, dict[str, Any]] = {}
        for one in record.get("variants", []):
            changes = _table(one)
            name = changes.pop("name", None)
            if not isinstance(name, str) or name in variants:
                raise ValueError(f"{file}: name is {name!r}: give each of [[variants]] a name of its own")
            variants[name] = changes
        return cls(
            changed(find(record.get("profile", "quick")).base, _table(record.get("run", {}))),
            variants,
            _table(record.get("grid", {})),
            record.get("seeds", 1),
            tuple(record.get("rates", ())),
            resources,
        )

    @property
    def settings(self) -> list[tuple[dict[str, Any], Run]]:
        """Every combination of a variant and values, with its run of the first seed, at the rate it has untuned.

        Raises:
            ValueError: A field that is unknown, or a value that it cannot have.
        """
        found = []
        variants: dict[str, Mapping[str, Any]] = {BASE: {}, **self.variants}
        for name, changes in variants.items():
            start = changed(self.base, changes)
            for values in itertools.product(*self.grid.values()):
                own = dict(zip(self.grid, values, strict=True))
                found.append(({"variant": name, **own} if self.variants else own, changed(start, own)))
        return found

    @property
    def pilots(self) -> list[Run]:
        """Runs that tune the rates."""
        return [trial for _, run in self.settings for trial in trials(run, self.rates)]

    @property
    def cells(self) -> list[tuple[dict[str, Any], list[Run]]]:
        """Every combination with its runs, one for each seed, at the rates that they have untuned."""
        return [(setting, self.seeded(run)) for setting, run in self.settings]

    def seeded(self, run: Run) -> list[Run]:
        """The run with every seed."""
        return [replace(run, seed=run.seed + number) for number in range(self.seeds)]

    def train(self, store: Store, tick: Tick = lambda _: None) -> list[SweepCell]:
        """Train all of it: the pilots first, then the runs.

        Args:
            store: Keeps what is trained.
            tick: See `Store.train`; pilots are told, too.

        Raises:
            ValueError, FloatingPointError, OSError: See `Store.train`.
        """
        # Of a pilot its log is enough, and of a run what it was judged by: both can be committed, weights are not.
        pilots = store.train(self.pilots, tick, store.logged) if self.rates else {}
        cells = [(setting, self.seeded(tuned(run, self.rates, pilots))) for setting, run in self.settings]
        done = store.train([run for _, runs in cells for run in runs], tick, store.judged)
        return [SweepCell(setting, [done[run] for run in runs]) for setting, runs in cells]


@dataclass(frozen=True)
class SweepCell:
    """Result of one combination.

    Attributes:
        setting: Its variant, if there are variants, and its values.
        members: What was trained, one for each seed.
    """

    setting: Mapping[str, Any]
    members: Sequence[Trained]

    @property
    def last(self) -> dict[str, ClaimEstimate]:
        """Numbers at the end of training, over seeds: loss, and excess and error where the task has them."""
        logs = [member.log[-1] for member in self.members]
        return {name: ClaimEstimate.of([log[name] for log in logs]) for name in logs[0] if name != "step"}


def metrics(cells: Sequence[SweepCell]) -> list[str]:
    """Names of what was seen at the end of training, in any combination: not all tasks and objectives have all."""
    return list(dict.fromkeys(name for cell in cells for name in cell.last))


def write(cells: Sequence[SweepCell], folder: Place) -> None:
    """Write `sweep.csv`: a line a run, with its setting, its seed and rate, what was seen at its end, and its name.

    Raises:
        OSError: It cannot be written.
    """
    text = io.StringIO()
    seen = metrics(cells)
    lines = csv.writer(text, lineterminator="\n")
    own = ["rate"] if "rate" not in cells[0].setting else []
    lines.writerow([*cells[0].setting, "seed", *own, *seen, "run"])
    for cell in cells:
        for member in cell.members:
            run, last = member.run, member.log[-1]
            rate = [run.rate] if own else []
            lines.writerow(
                [*map(_text, cell.setting.values()), run.seed, *rate, *(last.get(name, "") for name in seen), run.name]
            )
    put(folder / "sweep.csv", text.getvalue().encode())


def changed(run: Run, changes: Mapping[str, Any]) -> Run:
    """The run with other values of some fields, named like `shape.depth`; all else stays as it is.

    Raises:
        ValueError: A field that is unknown, a value that it cannot have, or a whole part in place of its fields.
    """
    record = run.record()
    for name, value in changes.items():
        if name in ("task", "shape"):
            raise ValueError(f"{name} is {value!r}: name each of its fields, e.g. {name}.{min(record[name])}")
        *path, last = name.split(".")
        part = record
        for step in path:
            if step not in ("task", "shape"):
                raise ValueError(f"{name} names part {step!r}, which a run has not; parts: task, shape")
            part = part[step]
        part[last] = value
    try:
        return Run.of(record)
    # Text where a number belongs fails when a field is compared with its range.
    except TypeError as error:
        raise ValueError(f"a run cannot have {dict(changes)}: {error}") from None


def _table(tree: Any) -> dict[str, Any]:
    """Fields of a table, whose names TOML gives as tables inside or as quoted keys with dots."""
    if not isinstance(tree, dict):
        raise ValueError(f"the table is {tree!r}: give a table of fields")  # noqa: TRY004
    return flat(tree)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
