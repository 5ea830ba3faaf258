"""Every construction run next to automatic differentiation: ``evidence`` yields checks, ``table`` shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from secondlook.construct.prove.check import Check
from secondlook.construct.prove.convexity import prove_convexity
from secondlook.construct.prove.grid import Grid, prove_grid
from secondlook.construct.prove.identities import prove_shift, prove_sign
from secondlook.construct.prove.one_head import prove_two_heads
from secondlook.construct.prove.table import table
from secondlook.construct.prove.temperature import BUILDERS, DTYPES, sweeps
from secondlook.construct.prove.worth import prove_verdicts

__all__ = ["CLAIMS", "Check", "Grid", "evidence", "jobs", "parts", "table"]

_OF_GRID = ("T2", "T3", "T4", "T5", "T6", "T7", "T8")
CLAIMS = tuple(f"T{number}" for number in range(1, 14))
"""Claims that can be proved."""


def parts(grid: Grid, claims: Collection[str] = CLAIMS) -> int:
    """Number of times that ``evidence`` yields."""
    lengths = {"grid": len(grid), "temperature": len(BUILDERS) * len(DTYPES)}
    return sum(lengths.get(name, 1) for name, (results, _) in jobs(grid).items() if set(results) & set(claims))


def evidence(grid: Grid, workers: int = 1, claims: Collection[str] = CLAIMS) -> Iterator[list[Check]]:
    """Checks of these claims, one job after the other; of the grid, those of one size after the other.

    Yields ``parts(grid, claims)`` times. Several workers are several processes, for the grid.
    """
    for results, rows in jobs(grid, workers).values():
        if set(results) & set(claims):
            yield from ([row for row in found if row.result in claims] for found in rows)


def jobs(grid: Grid, workers: int = 1) -> dict[str, tuple[tuple[str, ...], Iterable[list[Check]]]]:
    """Jobs by name: the claims each is evidence of, and its checks; nothing runs before it is asked for."""
    seed = grid.seed
    # `for _ in range(1)` makes a generator, so that a job that nobody asks for does not run.
    return {
        "shift": (("T1",), ([prove_shift(n, seed) for n in sorted({2, max(grid.n)})] for _ in range(1))),
        "convexity": (("T10",), (prove_convexity(seed) for _ in range(1))),
        "sign": (("T11",), (prove_sign(seed) for _ in range(1))),
        "verdicts": (("T12",), (prove_verdicts(seed) for _ in range(1))),
        "heads": (("T13",), (prove_two_heads(seed) for _ in range(1))),
        "temperature": (("T9",), ([*found.rows, found.summary()] for found in sweeps(seed))),
        "grid": (_OF_GRID, prove_grid(grid, workers)),
    }
