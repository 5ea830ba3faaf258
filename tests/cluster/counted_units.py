"""Units that write down when they are begun, and a driver that does them on a cluster, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from secondlook.cluster.place import put

COUNTED = Path(__file__)
GO = "go"


@dataclass(frozen=True)
class Counted:
    """A unit of one folder.

    Attributes:
        folder: Gets its result, and a line in its journal.
        number: Its result is the square.
        waits: Whether it goes on only once the folder has the file `go`.
        fails: How it ends instead of leaving a result.
        size: Bytes of its result, at least.
    """

    folder: Path
    number: int
    waits: bool = False
    fails: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        return f"unit-{self.number}"

    @property
    def result(self) -> Path:
        return self.folder / f"{self.name}.txt"

    def done(self) -> bool:
        return self.result.exists()

    def work(self, tick) -> None:
        host = sys.modules["ray"].util.get_node_ip_address() if "ray" in sys.modules else "-"
        with (self.folder / "journal").open("a") as file:  # a line this short is written at one go
            file.write(f"{self.number} {os.getppid()} {host}\n")
        tick(0.5)
        while self.waits and not (self.folder / GO).exists():
            time.sleep(0.05)
        if self.fails == "dies":
            os.kill(os.getpid(), 9)
        if self.fails:
            raise {"value": ValueError, "float": FloatingPointError}[self.fails](f"number {self.number} is bad")
        put(self.result, str(self.number**2).encode().ljust(self.size))


def journal(folder: Path) -> list[list[str]]:
    """Number, node's process and address of every beginning."""
    file = folder / "journal"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def begun(folder: Path) -> dict[int, int]:
    """How often each unit was begun."""
    return dict(Counter(int(number) for number, _, _ in journal(folder)))


def all_of(count: int) -> dict[int, int]:
    """Results of so many."""
    return {number: number**2 for number in range(count)}


def results(folder: Path) -> dict[int, int]:
    return {int(file.stem.removeprefix("unit-")): int(file.read_text()) for file in folder.glob("unit-*.txt")}


def driver(cluster, folder: Path, count: int, free: int, *fails: str, **environment: str) -> subprocess.Popen[str]:
    """Start a driver of so many units, of which the first few wait for nobody; `0=dies` makes one fail."""
    words = [sys.executable, COUNTED, cluster.address, folder, count, free, *fails]
    return subprocess.Popen(
        [*cluster.inside.get("head", []), *map(str, words)],
        env=os.environ | cluster.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def drive(address: str, where: str, count: str, free: str, *fails: str) -> None:
    """Do units on a cluster, and say how many it was told of."""
    from secondlook.cluster.engines import engine
    from secondlook.cluster.place import turn

    told, folder, ends = 0.0, Path(where), dict(word.split("=") for word in fails)

    def tick(unit: Counted, part: float) -> None:
        nonlocal told
        told += part

    units = [Counted(folder, number, number >= int(free), ends.get(str(number), "")) for number in range(int(count))]
    try:
        with engine(address, folder) as works, turn(folder):
            works.run(units, tick)
    except (ValueError, OSError, RuntimeError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    sys.stdout.write(f"told of {told:g}\n")


if __name__ == "__main__":
    drive(*sys.argv[1:])
