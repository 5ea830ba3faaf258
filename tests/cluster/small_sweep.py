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
    """All that a sweep left, but for what concerns its driver, and the time that it took."""
    found = (file for file in folder.rglob("*.*") if not file.name.startswith(".") and file.name != "cost.json")
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}
