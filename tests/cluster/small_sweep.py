"""A sweep of four small trainings, and what it leaves."""

from __future__ import annotations

from pathlib import Path

SWEEP = """
seeds = 2
[run]
steps = 20
batch = 16
[grid]
"shape.depth" = [1, 2]
"""


def files(folder: Path) -> dict[str, bytes]:
    """All that a sweep left, but for what is its driver's."""
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}
    return {name: data for name, data in found.items() if not drivers(name)}


def drivers(name: str) -> bool:
    """Whether a file is about the driver, or about the time that it took."""
    last = name.rpartition("/")[2]
    return last.startswith(".") or last == "cost.json"
