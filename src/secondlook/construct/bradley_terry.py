"""T2 (Theorem 3.2): one softmax attention layer with two heads makes the Bradley–Terry step.

The step is 2η‖x‖²·(y_top − Σ_j β_j y_j). One head picks the response with the top reward, the other averages all of
them by distance; their difference is the step. With more than two responses the same layer makes the step of the
ranking's first factor, the InfoNCE loss. K steps are K layers (T6), each reading f₀ plus what the layers before wrote.
"""

from __future__ import annotations

from torch import Tensor

from secondlook.construct.construction import Construction, features, widths
from secondlook.construct.heads import average_by_distance, pick_top_reward
from secondlook.construct.layout import ResidualLayout
from secondlook.construct.promise import Promise
from secondlook.construct.weights import BlockPlan, Move, assemble
from secondlook.objective import Contexts


def build(promise: Promise) -> Construction[Contexts]:
    """K blocks of two heads, no feed-forward, every token alike."""
    steps = [f"step_{number}" for number in range(promise.steps)]
    layout = ResidualLayout(widths(promise.d), dict.fromkeys(steps, promise.d))
    plans = [
        BlockPlan(
            (
                pick_top_reward(promise, (Move("pull", step, 2 * promise.eta),)),
                average_by_distance(promise, ("base", *steps[:number]), (Move("pull", step, -2 * promise.eta),)),
            )
        )
        for number, step in enumerate(steps)
    ]
    config, weights = assemble(layout, plans, steps, dtype=promise.dtype)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        promise.check(contexts, start)
        return layout.pack(features(promise, contexts, start))

    name = "Bradley–Terry" if promise.n == 2 else "InfoNCE"
    return Construction("T2", name, promise, layout, config, weights, embed)
