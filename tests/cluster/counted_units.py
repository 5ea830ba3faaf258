"""Units that write down when they are begun, and drivers that do them on a cluster, as processes of their own."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from secondlook.cluster.place import put

COUNTED = Path(__file__)


@dataclass(frozen=True)
class Counted:
    folder: Path
    number: int
    seconds: float = 0.0
    fails: str = ""

    @property
    def name(self) -> str:
        return f"unit-{self.number}"

    @property
    def result(self) -> Path:
        return self.folder / f"{self.name}.txt"

    def done(self) -> bool:
        return self.result.exists()

    def work(self, tick) -> None:
        journal = os.open(self.folder / "journal", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(journal, f"{self.number} {os.getppid()} {here()}\n".encode())
        os.close(journal)
        tick(0.5)
        time.sleep(self.seconds)
        if self.fails == "dies":
            os.kill(os.getpid(), 9)
        if self.fails:
            raise {"value": ValueError, "float": FloatingPointError}[self.fails](f"number {self.number} is bad")
        put(self.result, str(self.number**2).encode())


@dataclass(frozen=True)
class Trivial:
    """A unit that does nothing, or leaves a result of a few bytes."""

    folder: Path
    number: int
    leaves: bool

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def file(self) -> Path:
        return self.folder / self.name

    def done(self) -> bool:
        return self.leaves and self.file.exists()

    def work(self, tick) -> None:
        if self.leaves:
            put(self.file, b"0")


def here() -> str:
    """The address of the node, where this is a worker of Ray's."""
    return sys.modules["ray"].util.get_node_ip_address() if "ray" in sys.modules else "-"


def begun(folder: Path) -> dict[int, int]:
    """How often each unit was begun."""
    counts: dict[int, int] = {}
    if (folder / "journal").exists():
        for line in (folder / "journal").read_text().splitlines():
            number = int(line.split()[0])
            counts[number] = counts.get(number, 0) + 1
    return counts


def all_of(count: int) -> dict[int, int]:
    """Results of so many."""
    return {number: number**2 for number in range(count)}


def results(folder: Path) -> dict[int, int]:
    return {int(file.stem.removeprefix("unit-")): int(file.read_text()) for file in folder.glob("unit-*.txt")}


def drive(address: str, folder: str, count: str, seconds: str) -> None:
    """A driver: does so many units on a cluster, and says how many it was told of."""
    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import turn

    told = 0.0

    def tick(unit: Counted, part: float) -> None:
        nonlocal told
        told += part

    where = Path(folder)
    try:
        with engine(address, where) as works, turn(where):
            works.run([Counted(where, number, float(seconds)) for number in range(int(count))], tick)
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    sys.stdout.write(f"told of {told:g}\n")


if __name__ == "__main__":
    drive(*sys.argv[1:])
