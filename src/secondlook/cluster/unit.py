"""The unit of work, and who does several of them.

A unit is a pure function of what it holds, and its result lies under a name made of all of that. So resuming, trying
again and merging are one thing: look what is there, do what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar


class Unit(Protocol):
    """Unit of work that can be done anywhere, and twice without harm. It travels pickled."""

    @property
    def name(self) -> str:
        """Name made of what it holds, for people too; units of one name are one unit."""
        ...

    def done(self) -> bool:
        """Whether its result is there."""
        ...

    def work(self, tick: Callable[[float], None]) -> None:
        """Make the result, whole or not at all.

        Args:
            tick: May be called with parts of the unit that are done.

        Raises:
            ValueError, RuntimeError, FloatingPointError, OSError: With one line for the user.
        """
        ...


U = TypeVar("U", bound=Unit)
Tick: TypeAlias = Callable[[U, float], None]
"""Called with a unit and the part of it that was done since the last call."""


class Engine(Protocol):
    """Engine that does units."""

    @property
    def described(self) -> str:
        """Description for the record of a result."""
        ...

    def run(self, units: Sequence[U], tick: Tick[U]) -> None:
        """Do what is not done.

        One unit's failure stops no other: the first failure is raised when all others are done.

        Args:
            units: Any units.
            tick: See `Tick`; of every unit the parts sum to 1, also if it was done before.
        """
        ...


@dataclass(frozen=True)
class Resources:
    """Resources that a unit takes while it is worked on.

    Attributes:
        cpus: Processors.
        gpus: Accelerators; with a half, two units share one.

    Raises:
        ValueError: A number below 0, or nothing at all.
    """

    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not value >= 0:  # NaN would pass `value < 0`
                raise ValueError(f"{name} is {value}: give 0 or more")
        if self.gpus > 1 and self.gpus % 1:  # Ray's rule
            raise ValueError(f"gpus is {self.gpus}: give a part of one, or a whole number")
        if not self.cpus + self.gpus:
            raise ValueError("cpus and gpus are 0: a unit takes something of a machine")


def left(units: Sequence[U], tick: Tick[U]) -> list[U]:
    """Units to do, one of each name; ``tick`` is told of those that are done, and of repeated ones."""
    todo: dict[str, U] = {}
    for unit in units:
        if unit.name in todo or unit.done():
            tick(unit, 1.0)
        else:
            todo[unit.name] = unit
    return list(todo.values())


def do(unit: Any) -> None:
    """Make a unit's result, unless somebody made it meanwhile."""
    if not unit.done():
        unit.work(lambda _: None)


class Failures:
    """Errors of units, raised as one when nothing is left to do."""

    def __init__(self) -> None:
        self._errors: list[tuple[str, Exception]] = []

    def add(self, unit: Unit, error: Exception) -> None:
        """Keep the error of a unit."""
        self._errors.append((unit.name, error))

    def raise_first(self) -> None:
        """Raise the first error, if there is one; where there are several, it says how many."""
        if not self._errors:
            return
        name, error = self._errors[0]
        others = len(self._errors) - 1
        # These types and no subclasses, which may be made of other arguments than a message.
        if others and type(error) in (ValueError, RuntimeError, FloatingPointError, OSError):
            raise type(error)(f"{error} ({name}, and {others} more; what was done is kept)") from error
        raise error
