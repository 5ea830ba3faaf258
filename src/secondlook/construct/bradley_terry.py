"""T2 (Theorem 3.2): one softmax attention layer with two heads makes the Bradley–Terry step.

The step is 2η‖x‖²·(y_top − Σ_j β_j y_j). One head picks the response with the top reward, the other averages all of
them by distance; their difference is the step. With more than two responses the same layer makes the step of the
ranking's first factor, the InfoNCE loss. K steps are K layers (T6), each reading f₀ plus what the layers before wrote.
"""

from __future__ import annotations

from secondlook.construct.attention_heads import term_of_step
from secondlook.construct.construction import Construction, embedding, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.weights import BlockPlan, assemble
from secondlook.objective import Contexts


def build(promise: Promise) -> Construction[Contexts]:
    """K blocks of two heads, no feed-forward, every token alike."""
    steps = dict(step_slots(promise))
    layout = ResidualLayout(widths(promise.d), dict.fromkeys(steps, promise.d))
    plans = [BlockPlan(term_of_step(promise, prediction, step)) for step, prediction in steps.items()]
    config, weights = assemble(layout, plans, list(steps), dtype=promise.dtype)
    name = "Bradley–Terry" if promise.n == 2 else "InfoNCE"
    return Construction("T2", name, promise, layout, config, weights, embedding(promise, layout))
