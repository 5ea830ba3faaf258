"""T3 (Theorem 3.3): N−1 blocks of three softmax heads and a feed-forward network make the Plackett–Luce step.

Block k adds the k-th term of the gradient, 2η‖x‖²·(y_τ(k) − Σ_{j≥k} β_kj y_τ(j)): one head picks the live response
with the top reward, one averages the live responses by distance, and the third tells every token the top live reward.
The feed-forward network of the token that has it then marks it retired. K steps are K such stacks (T6): the last block
of each sets all tokens live again, and the next stack reads f₀ plus the steps before.
"""

from __future__ import annotations

from secondlook.construct.attention_heads import tell_top_reward, term_of_step
from secondlook.construct.construction import Construction, embedding, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.units import erase, threshold
from secondlook.construct.weights import BlockPlan, Match, assemble
from secondlook.objective import Contexts

HIDDEN = ("one", "retired")
"""A token is hidden from all alike, by a flag of its own."""


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) blocks of three heads and five ReLU units (the last of a step: three), every token alike."""
    steps = dict(step_slots(promise))
    layout = ResidualLayout(widths(promise.d), {"retired": 1, "top": 1, **dict.fromkeys(steps, promise.d)})
    plans = [
        block
        for step, prediction in steps.items()
        for block in blocks_of_step(promise, layout, "pull", prediction, step)
    ]
    config, weights = assemble(layout, plans, list(steps), dtype=promise.dtype)

    embed = embedding(promise, layout)
    return Construction("T3", "Plackett–Luce", promise, layout, config, weights, embed)


def blocks_of_step(
    promise: Promise,
    layout: ResidualLayout,
    carried: str,
    prediction: tuple[str, ...],
    target: str,
    match: tuple[tuple[Match, ...], tuple[Match, ...]] = ((), ()),
) -> list[BlockPlan]:
    """The N−1 blocks of one step, 2η·(top − average) of the slot ``carried`` each, added to ``target``.

    Retired is whoever has the top live reward, or a higher one (then it had been retired before); the threshold lies
    half a gap below. The old flag and the told reward are erased.

    Args:
        promise: What is built for.
        layout: Names of the coordinates.
        carried: Slot whose top and average are carried.
        prediction: Slots whose sum is the f by which responses are weighed.
        target: Slot that gets the step.
        match: Further terms of the scores, of the heads that rank by reward and of the one that weighs by distance.
    """
    gap = promise.min_gap
    heads = (
        *term_of_step(promise, prediction, target, HIDDEN, carried=carried, extra=match),
        tell_top_reward(promise, "top", HIDDEN, match[0]),
    )
    retire = threshold(layout, (("reward", 1.0), ("top", -1.0)), "retired", center=-gap / 2, width=gap)
    # All units read the stream as attention has left it: one network erases the old flag and sets the new one.
    revive = (*erase(layout, "retired", signed=False), *erase(layout, "top", signed=True))
    return [BlockPlan(heads, (*retire, *revive))] * (promise.n - 2) + [BlockPlan(heads, revive)]
