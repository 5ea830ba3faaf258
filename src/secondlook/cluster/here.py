"""Units done on this machine: by this process, or by several of it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass

from secondlook.cluster.unit import Failures, Tick, U, do, left
from secondlook.machine import workers


@dataclass(frozen=True)
class Here:
    """Engine that uses this machine.

    Attributes:
        processes: Processes of one thread each. With one, this process works, with all the threads it has.
    """

    processes: int = 1

    @property
    def described(self) -> str:
        """See `Engine.described`."""
        return f"{self.processes} processes"

    def run(self, units: Sequence[U], tick: Tick[U]) -> None:
        """See `Engine.run`."""
        work, failures = left(units, tick), Failures()
        (self._here if min(self.processes, len(work)) < 2 else self._apart)(work, tick, failures)
        failures.raise_first()

    def _here(self, work: Sequence[U], tick: Tick[U], failures: Failures) -> None:
        for unit in work:
            told = 0.0

            def part(share: float, unit: U = unit) -> None:
                nonlocal told
                told += share
                tick(unit, share)

            try:
                unit.work(part)
            except Exception as error:
                failures.add(unit, error)
            else:
                tick(unit, 1.0 - told)

    def _apart(self, work: Sequence[U], tick: Tick[U], failures: Failures) -> None:
        with workers(min(self.processes, len(work))) as pool:
            waiting = {pool.submit(do, unit): unit for unit in work}
            for done in as_completed(waiting):
                error = done.exception()
                if isinstance(error, Exception):
                    failures.add(waiting[done], error)
                else:
                    done.result()  # raises what is no Exception, e.g. SystemExit: that ends the run
                    tick(waiting[done], 1.0)
