"""T2–T8 over a grid of sizes, each construction run next to automatic differentiation on every family of contexts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod

from torch import Generator

from secondlook import machine
from secondlook.construct import attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow
from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check, judge
from secondlook.construct.prove.draw import FAMILIES, draw, draw_queries
from secondlook.objective import Contexts

QUERIES, COHERENCE = 2, 0.5
WIDE_GAP = 1e-2
SINGLE: tuple[Callable[[Promise], Construction[Contexts]], ...] = (
    bradley_terry.build,
    plackett_luce.build,
    causal.build,
    attention_only.build,
    shallow.build,
)


@dataclass(frozen=True)
class Grid:
    """Sizes to run.

    Attributes:
        d: Widths of a response, and of a query.
        n: Numbers of responses.
        steps: Numbers of gradient steps.
        min_gap: Gap that the constructions are built for; every family is drawn at it, and once more at ``WIDE_GAP``.
        max_norm: Norm that they are built for.
        each: Contexts of each family and gap.
        seed: Seed of the contexts.
    """

    d: Sequence[int] = (2, 5, 16, 64)
    n: Sequence[int] = (2, 3, 8, 20, 32)
    steps: Sequence[int] = (1, 3)
    min_gap: float = 1e-3
    max_norm: float = 10.0
    each: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("d", 1), ("n", 2), ("steps", 1)):
            if (smallest := min(getattr(self, name))) < least:
                raise ValueError(f"{name} is {smallest}; give at least {least}")
        if self.each < 1:
            raise ValueError(f"each is {self.each}; give at least one context of each family")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; give a whole number from 0 to 2^63 - 1")
        if not 0 < self.min_gap <= WIDE_GAP:
            raise ValueError(f"min_gap is {self.min_gap}; give at most {WIDE_GAP}: every size is run at that gap, too")
        if (most := int(2 / WIDE_GAP)) < max(self.n):
            raise ValueError(f"n is {max(self.n)}; at most {most} rewards {WIDE_GAP} apart fit between -1 and 1")

    def __len__(self) -> int:
        return len(self.d) * len(self.n) * len(self.steps)


def prove_grid(grid: Grid, workers: int = 1) -> Iterator[list[Check]]:
    """Checks of every construction, for one size after the other, the largest first.

    Args:
        grid: Sizes to run.
        workers: Processes; each has one thread, as most of these matrices are too small for more.
    """
    # A large size begun last would keep one worker busy while the others wait.
    sizes = sorted(product(grid.d, grid.n, grid.steps), key=prod, reverse=True)
    one = partial(_size, grid)
    if workers == 1:
        yield from map(one, sizes)
        return
    # Also where the caller stops asking, as after Ctrl-C: what has not begun never does.
    with machine.workers(workers) as pool:
        yield from pool.map(one, sizes)


def eta(n: int, max_norm: float) -> float:
    """Step size that cannot overshoot at ‖x‖ = 1: the loss has curvature of at most 4(N−1)·max‖y‖²."""
    return 1 / (4 * (n - 1) * max_norm**2)


def _size(grid: Grid, size: tuple[int, int, int]) -> list[Check]:
    d, n, steps = size
    generator = Generator().manual_seed(grid.seed)
    promise = Promise(n, d, eta(n, grid.max_norm), steps, grid.min_gap, grid.max_norm)
    gaps = (grid.min_gap, WIDE_GAP)
    kinds = [(family, gap) for gap in gaps for family in FAMILIES]
    drawn = [draw(promise, generator, batch=grid.each, dx=d, family=family, gap=gap) for family, gap in kinds]
    checks: list[Check] = []
    for build in SINGLE:
        built = build(promise)
        limits = [limit_of(n, steps, gap, evenly=built.result == "T8") for gap in gaps]
        checks += judge(built, drawn, gaps, limits)
    for cross in (False, True):
        # Queries are of width d: no more than d of them are orthogonal.
        apart = replace(promise, queries=min(QUERIES, d), max_coherence=COHERENCE if cross else 0.0)
        queries = [
            draw_queries(apart, generator, batch=grid.each, dx=d, family=family, orthogonal=not cross, gap=gap)
            for family, gap in kinds
        ]
        several = multi_query.build(apart, tests=apart.queries, dx=d, cross=cross)
        checks += judge(several, queries, gaps, [limit_of(n, steps, gap) for gap in gaps])
    return checks


def limit_of(n: int, steps: int, gap: float, *, evenly: bool = False) -> float:
    """Limit of an error: 10⁻¹²·K·N/2 for gaps from 10⁻² and up to 20 responses, 10⁻⁹ for the rest of the grid.

    Where a step nearly vanishes, the scale is 10⁻³ of ‖y‖, and a rounding of y is 2·10⁻¹³ of that; K(N−1) terms make as
    many. Draw enough contexts, and some row comes near: with 400 of each family, 2.3·10⁻¹² for N = 5 and one step.
    T8 carries the rounding of one even average N−1 times (``evenly``): its limit is N/2 times as wide.
    """
    if gap < WIDE_GAP or n > 20:
        return 1e-9
    return 1e-12 * steps * n / 2 * (n / 2 if evenly else 1)
