"""A sweep of eight small trainings, and what it leaves."""

from __future__ import annotations

from pathlib import Path

SWEEP = """
seeds = 2
[run]
steps = 40
batch = 32
[grid]
rate = [1e-3, 3e-3]
"shape.depth" = [1, 2]
"""


def files(folder: Path) -> dict[str, bytes]:
    """All that a sweep left, but for what concerns its driver, and the time that it took."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*.*")
        if not file.name.startswith(".") and file.name != "cost.json"
    }
