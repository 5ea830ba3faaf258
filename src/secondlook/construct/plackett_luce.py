"""T3 (Theorem 3.3): N−1 blocks of three softmax heads and a feed-forward network make the Plackett–Luce step.

Block k adds the k-th term of the gradient, 2η‖x‖²·(y_τ(k) − Σ_{j≥k} β_kj y_τ(j)): one head picks the live response
with the top reward, one averages the live responses by distance, and the third tells every token the top live reward.
The feed-forward network of the token that has it then marks it retired. K steps are K such stacks (T6): the last block
of each sets all tokens live again, and the next stack reads f₀ plus the steps before.
"""

from __future__ import annotations

from torch import Tensor

from secondlook.construct.construction import Construction, features, widths
from secondlook.construct.heads import average_by_distance, pick_top_reward, tell_top_reward
from secondlook.construct.layout import ResidualLayout
from secondlook.construct.promise import Promise
from secondlook.construct.units import erase, threshold
from secondlook.construct.weights import BlockPlan, Match, Move, Unit, assemble
from secondlook.objective import Contexts

HIDDEN = ("one", "retired")
"""A token is hidden from all alike, by a flag of its own."""


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) blocks of three heads and five ReLU units (the last of a step: three), every token alike."""
    steps = [f"step_{number}" for number in range(promise.steps)]
    layout = ResidualLayout(widths(promise.d), {"retired": 1, "top": 1, **dict.fromkeys(steps, promise.d)})
    plans: list[BlockPlan] = []
    for number, step in enumerate(steps):
        plans += terms(promise, layout, "pull", ("base", *steps[:number]), step)
    config, weights = assemble(layout, plans, steps, dtype=promise.dtype)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        promise.check(contexts, start)
        return layout.pack(features(promise, contexts, start))

    return Construction("T3", "Plackett–Luce", promise, layout, config, weights, embed)


def terms(
    promise: Promise,
    layout: ResidualLayout,
    carried: str,
    prediction: tuple[str, ...],
    target: str,
    match: tuple[tuple[Match, ...], tuple[Match, ...]] = ((), ()),
) -> list[BlockPlan]:
    """The N−1 blocks of one step: 2η·(top − average) of the slot `carried`, added to `target`.

    Args:
        promise: What is built for.
        layout: Names of the coordinates.
        carried: Slot whose top and average are carried.
        prediction: Slots whose sum is the f by which responses are weighed.
        target: Slot that gets the step.
        match: Further terms of the scores, of the heads that rank by reward and of the one that weighs by distance.
    """
    by_reward, by_distance = match
    heads = (
        pick_top_reward(promise, (Move(carried, target, 2 * promise.eta),), HIDDEN, by_reward),
        average_by_distance(promise, prediction, (Move(carried, target, -2 * promise.eta),), HIDDEN, by_distance),
        tell_top_reward(promise, "top", HIDDEN, by_reward),
    )
    retire = BlockPlan(heads, tuple(retirement(promise, layout)))
    revive = BlockPlan(heads, (*erase(layout, "retired", signed=False), *erase(layout, "top", signed=True)))
    return [retire] * (promise.n - 2) + [revive]


def retirement(promise: Promise, layout: ResidualLayout) -> list[Unit]:
    """Retired is whoever has the top live reward, or a higher one (then it had been retired before).

    The threshold lies half a gap below the top reward. The old flag and the told reward are erased.
    """
    gap = promise.min_gap
    return [
        *threshold(layout, (("reward", 1.0), ("top", -1.0)), "retired", center=-gap / 2, width=gap),
        *erase(layout, "retired", signed=False),
        *erase(layout, "top", signed=True),
    ]
