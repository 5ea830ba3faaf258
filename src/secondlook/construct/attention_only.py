"""T7: two causal softmax heads a block and no feed-forward make the Plackett–Luce step of every prefix.

As in `causal`, every token keeps a mask of whom it has used; here the head that picks the top response also carries
its one-hot position into the mask, so that neither a third head nor a feed-forward network is needed. The mask is then
as exact as softmax is, and the inverse temperature pays for it: its leak e^{−βΔ}, times what hides a token, disturbs
the scores of the other head. When a prefix is used up, both heads fall to a BOS token that carries nothing. K steps are
K stacks with a mask each (T6).
"""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.construct.construction import Construction, features, positions, widths
from secondlook.construct.heads import average_by_distance, pick_top_reward, sink
from secondlook.construct.layout import ResidualLayout
from secondlook.construct.promise import Promise
from secondlook.construct.weights import BlockPlan, Head, Move, assemble
from secondlook.objective import Contexts


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) blocks of two heads, causal; token t makes the step of the first t responses, after a BOS token."""
    steps = [f"step_{number}" for number in range(promise.steps)]
    masks = [f"used_{number}" for number in range(promise.steps)]
    layout = ResidualLayout(
        {**widths(promise.d), "position": promise.n, "bos": 1},
        {**dict.fromkeys(masks, promise.n), **dict.fromkeys(steps, promise.d)},
    )
    plans: list[BlockPlan] = []
    for number, (step, mask) in enumerate(zip(steps, masks, strict=True)):
        plans += [BlockPlan(_heads(promise, ("base", *steps[:number]), step, mask))] * (promise.n - 1)
    config, weights = assemble(layout, plans, steps, causal=True, dtype=promise.dtype)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        promise.check(contexts, start, fewer=True)
        own = positions(promise, contexts.batch, contexts.n, contexts.rewards.device)
        known = {**features(promise, contexts, start), "position": own, "bos": torch.zeros_like(own[..., :1])}
        nothing = {name: torch.zeros_like(feature[:, :1]) for name, feature in known.items()}
        bos = nothing | {"one": nothing["one"] + 1, "bos": nothing["bos"] + 1}
        return layout.pack({name: torch.cat([bos[name], feature], dim=1) for name, feature in known.items()})

    return Construction("T7", "attention only", promise, layout, config, weights, embed, first=1, prefixes=True)


def _heads(promise: Promise, prediction: tuple[str, ...], step: str, mask: str) -> tuple[Head, ...]:
    hidden = (mask, "position")
    pick = (Move("pull", step, 2 * promise.eta), Move("position", mask))
    average = (Move("pull", step, -2 * promise.eta),)
    lowest_reward, lowest_score = -promise.reward_range / 2, promise.min_score
    return (
        pick_top_reward(promise, pick, hidden, (sink(lowest_reward - promise.silence),)),
        average_by_distance(promise, prediction, average, hidden, (sink(lowest_score - promise.silence),)),
    )
