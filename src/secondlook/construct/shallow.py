"""T8: depth traded for heads. Three blocks make the Plackett–Luce step of any number of responses.

Block 1 gathers all rewards into every token, and 2N ReLU units count how many are higher: the token's rank. In block 2
N−1 ReLU units turn the rank into flags, one for each term from which the token is missing. Block 3 makes all terms at
once: N−1 heads average by distance, each over the responses that its term still has, and one head averages all but the
lowest evenly, which times N−1 is the sum of all picks. K steps repeat block 3 alone (T6): 2 + K blocks.
"""

from __future__ import annotations

from secondlook.construct.attention_heads import average_by_distance, average_evenly, gather
from secondlook.construct.construction import Construction, embedding, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import Coordinates, ResidualLayout
from secondlook.construct.units import threshold
from secondlook.construct.weights import BlockPlan, Head, Move, Neuron, assemble
from secondlook.objective import Contexts


def build(promise: Promise) -> Construction[Contexts]:
    """2 + K blocks: one head and 2N units, N−1 units, then N heads a step; every token alike.

    Raises:
        ValueError: A gap that N comparisons, added up, cannot resolve in this precision.
    """
    if promise.min_gap < promise.n * promise.resolvable:
        raise ValueError(
            f"min_gap {promise.min_gap:g} is below {promise.n * promise.resolvable:.3g}, the least at which "
            f"{promise.dtype} can count {promise.n} comparisons; raise min_gap or take a wider dtype"
        )
    n, steps = promise.n, dict(step_slots(promise))
    layout = ResidualLayout(
        {**widths(promise.d), "own": n}, {"rewards": n, "rank": 1, "missing": n - 1, **dict.fromkeys(steps, promise.d)}
    )
    plans = [
        BlockPlan((gather((Move("own", "rewards", float(n)),)),), tuple(_rank(layout, promise))),
        BlockPlan((), tuple(_missing(layout, n))),
        *(BlockPlan(_terms(promise, prediction, step)) for step, prediction in steps.items()),
    ]
    config, weights = assemble(layout, plans, list(steps), dtype=promise.dtype)
    return Construction("T8", "shallow", promise, layout, config, weights, embedding(promise, layout))


def _rank(layout: ResidualLayout, promise: Promise) -> list[Neuron]:
    """Rank: how many rewards are higher, by at least the gap."""
    gap = promise.min_gap
    others = [Coordinates("rewards", j, j + 1) for j in range(promise.n)]
    return [
        unit
        for other in others
        for unit in threshold(layout, ((other, 1.0), ("reward", -1.0)), "rank", center=gap / 2, width=gap)
    ]


def _missing(layout: ResidualLayout, n: int) -> list[Neuron]:
    """Flag k (1 ≤ k ≤ N−2): the token ranks before k, so term k has lost it. The last flag: it is the lowest of all.

    Ranks are integers up to rounding; a flag is exactly 0 where it must be, and elsewhere at least ½·2 = 1 less twice
    what rounding takes off the rank (at the least gap a promise allows, a quarter), for which ``hide_score`` allows.
    """
    (rank,), (one,), flags = layout.where("rank"), layout.where("one"), layout.where("missing")
    before = [Neuron(((rank, -1.0), (one, k - 0.5)), ((flags[k - 1], 2.0),)) for k in range(1, n - 1)]
    return [*before, Neuron(((rank, 1.0), (one, 1.5 - n)), ((flags[n - 2], 2.0),))]


def _terms(promise: Promise, prediction: tuple[str, ...], step: str) -> tuple[Head, ...]:
    n, eta = promise.n, promise.eta
    average = (Move("pull", step, -2 * eta),)
    hidden = [None, *(("one", Coordinates("missing", k - 1, k)) for k in range(1, n - 1))]
    lowest = ("one", Coordinates("missing", n - 2, n - 1))
    return (
        *(average_by_distance(promise, prediction, average, pair) for pair in hidden),
        average_evenly(promise, (Move("pull", step, 2 * eta * (n - 1)),), lowest),
    )
