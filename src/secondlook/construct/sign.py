"""T11: the direction of the printed construction, and the one that is right.

Proposition 3.1 makes the step by shifting every response, y − ΔWx. The paper's test token carries W₀x in its response
slot and is shifted along, so its read-out is W₀x − ΔWx: away from the preferred response. It must enter as −W₀x and be
read with a minus: −(−W₀x − ΔWx) = W₀x + ΔWx. (The other files keep the step in a slot of its own instead.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.construct.attention_heads import average_by_distance, pick_top_reward
from secondlook.construct.construction import Construction, embedding, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.weights import BlockPlan, Move, assemble
from secondlook.objective import Contexts


def build(promise: Promise, *, printed: bool = False) -> Construction[Contexts]:
    """One block of two heads that shifts the response slot of every token, read at a test token after the responses.

    Args:
        promise: What is built for, one step.
        printed: With the paper's sign, +W₀x in the test token; otherwise −W₀x, read with a minus.
    """
    if promise.steps != 1:
        raise ValueError(f"steps is {promise.steps}; the shift of Proposition 3.1 is built for 1")
    sign = 1.0 if printed else -1.0
    layout = ResidualLayout({**widths(promise.d), "test": 1}, {})
    # The test token asks, but is no response: nobody may attend to it.
    hidden = ("one", "test")
    heads = (
        pick_top_reward(promise, (Move("pull", "response", -2 * promise.eta),), hidden),
        average_by_distance(promise, ("base",), (Move("pull", "response", 2 * promise.eta),), hidden),
    )
    config, weights = assemble(layout, [BlockPlan(heads)], ["response"], read_scale=sign, dtype=promise.dtype)
    embed_responses = embedding(promise, layout)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        tokens = embed_responses(contexts, start)
        base, test = layout.view(tokens[:, :1], "base"), torch.zeros_like(tokens[:, :1])
        layout.view(test, "base")[:] = base
        layout.view(test, "response")[:] = sign * base
        for name in ("one", "test"):
            layout.view(test, name).fill_(1)
        return torch.cat([tokens, test], dim=1)

    name = "shift, sign as printed" if printed else "shift, sign corrected"
    return Construction("T11", name, promise, layout, config, weights, embed, first=promise.n)
