"""Every construction run next to automatic differentiation: ``evidence`` yields checks, ``table`` shows them."""

from __future__ import annotations

from collections.abc import Iterator

from secondlook.construct.prove.check import Check
from secondlook.construct.prove.convexity import prove_convexity
from secondlook.construct.prove.grid import Grid, prove_grid
from secondlook.construct.prove.identities import prove_shift, prove_sign
from secondlook.construct.prove.table import table
from secondlook.construct.prove.temperature import BUILDERS, DTYPES, sweeps

__all__ = ["Check", "Grid", "evidence", "parts", "table"]


def parts(grid: Grid) -> int:
    """How many times ``evidence`` yields."""
    return 2 + len(BUILDERS) * len(DTYPES) + len(grid)


def evidence(grid: Grid, workers: int = 1) -> Iterator[list[Check]]:
    """Checks of T1, T10 and T11, of T9's sweeps, and of the grid's sizes one after the other.

    Yields ``parts(grid)`` times. Several workers are several processes, for the grid.
    """
    yield [prove_shift(n, grid.seed) for n in sorted({2, max(grid.n)})]
    yield [*prove_convexity(grid.seed), *prove_sign(grid.seed)]
    for found in sweeps(grid.seed):
        yield [*found.rows, found.summary()]
    yield from prove_grid(grid, workers)
