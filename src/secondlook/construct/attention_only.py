"""T7: two causal softmax heads a block and no feed-forward make the Plackett–Luce step of every prefix.

As in ``causal``, every token keeps a mask of whom it has used; here the head that picks the top response also carries
its one-hot position into the mask, so that neither a third head nor a feed-forward network is needed. The mask is then
as exact as softmax is, and the inverse temperature pays for it: its leak e^{−βΔ}, times what hides a token, disturbs
the scores of the other head. When a prefix is used up, both heads fall to a BOS token that carries nothing. K steps are
K stacks with a mask each (T6).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from secondlook.construct.attention_heads import sink, term_of_step
from secondlook.construct.construction import Construction, embedding, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.weights import BlockPlan, Head, Move, assemble
from secondlook.objective import Contexts


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) blocks of two heads, causal; token t makes the step of the first t responses, after a BOS token."""
    steps = step_slots(promise)
    slots, masks = [slot for slot, _ in steps], [f"used_{number}" for number in range(promise.steps)]
    layout = ResidualLayout(
        {**widths(promise.d), "position": promise.n, "bos": 1},
        {**dict.fromkeys(masks, promise.n), **dict.fromkeys(slots, promise.d)},
    )
    plans = [
        BlockPlan(_heads(promise, prediction, step, mask))
        for (step, prediction), mask in zip(steps, masks, strict=True)
        for _ in range(promise.n - 1)
    ]
    config, weights = assemble(layout, plans, slots, causal=True, dtype=promise.dtype)

    embed_responses = embedding(promise, layout, fewer=True)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        tokens = embed_responses(contexts, start)
        bos = torch.zeros_like(tokens[:, :1])
        for name in ("one", "bos"):
            layout.view(bos, name).fill_(1)
        return torch.cat([bos, tokens], dim=1)

    return Construction("T7", "attention only", promise, layout, config, weights, embed, first=1, prefixes=True)


def _heads(promise: Promise, prediction: tuple[str, ...], step: str, mask: str) -> tuple[Head, ...]:
    # The lowest scores of a live token: −βR, and the least 2f·y − ‖y‖².
    lowest = (-promise.reward_range / 2, promise.min_score)
    by_reward, by_distance = ((sink(score - promise.silence),) for score in lowest)
    pick, average = term_of_step(promise, prediction, step, (mask, "position"), extra=(by_reward, by_distance))
    return replace(pick, moves=(*pick.moves, Move("position", mask))), average
