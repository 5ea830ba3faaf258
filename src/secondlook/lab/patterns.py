"""Do trained heads attend as the heads of our constructions do (L9)?

A term i of the Plackett–Luce step is y_τ(i) − Σ_{j≥i} β_ij y_τ(j). Constructions make it of two heads: one picks the
i-th best response, the other averages it and all that are worse by their distance to the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from secondlook.lab.behaviour import Mean, Shown, readouts
from secondlook.objective import beta, scores

PICK, DISTANCE, EVEN, ITSELF = "pick the top reward", "average by distance", "average evenly", "attend to itself"


@dataclass(frozen=True)
class Closest:
    """The pattern that a head's attention overlaps most with.

    Attributes:
        pattern: Its name; those of constructed heads are as in ``construct.attention_heads``.
        term: The term of the step that it belongs to, from 1 on; 0 for a head that attends to itself.
        overlap: How much, from 0 to 1.
    """

    pattern: str
    term: int
    overlap: float


@dataclass(frozen=True, eq=False)
class Heads:
    """Attention of the heads of one block from the tokens at which the model is read; means over prefixes and contexts.

    An overlap of attention a with a pattern b is Σ_j min(a_j, b_j), 1 less their total variation distance; with a
    pattern of one response it is the attention that this gets. Term i is judged on prefixes of more than i responses.

    Attributes:
        pick: Overlap with the i-th best of the responses seen, [heads, n − 1]; the first is the top reward.
        distance: Overlap with β_i, softmax of the model's reward over the i-th best and all that are worse,
            [heads, n − 1].
        even: Overlap with the plain average of the same, [heads, n − 1].
        itself: Attention to the asking token, which holds the latest response, [heads].
        worst: Attention to the response with the lowest reward, [heads].
        elsewhere: Attention to tokens that hold no response seen, [heads].
        by_reward: Spearman's rank correlation of attention and reward over the responses seen, [heads].
        by_distance: The same of attention and the model's reward, which is higher for nearer responses, [heads]: a
            head that averages by distance has 1 whatever its temperature is.
        by_time: The same of attention and the order in which responses were given, [heads].
    """

    pick: Mean
    distance: Mean
    even: Mean
    itself: Mean
    worst: Mean
    elsewhere: Mean
    by_reward: Mean
    by_distance: Mean
    by_time: Mean

    def closest(self) -> tuple[Closest, ...]:
        """Closest pattern of every head, by overlap; of equals the first in the order of the fields.

        Late terms are judged on few prefixes, all of them long. Under the cosine reward β is nearly even: tell the two
        averages apart by `by_distance`.
        """
        patterns = {PICK: self.pick.mean, DISTANCE: self.distance.mean, EVEN: self.even.mean}
        names = [(name, term) for name, mean in patterns.items() for term in range(1, mean.shape[1] + 1)]
        overlap, at = torch.cat([*patterns.values(), self.itself.mean[:, None]], dim=1).max(dim=1)
        names.append((ITSELF, 0))
        return tuple(Closest(names[k][0], names[k][1], overlap[row].item()) for row, k in enumerate(at.tolist()))


def heads(shown: Shown, predictions: Tensor | None = None) -> tuple[Heads, ...]:
    """Attention of the heads of every block.

    Args:
        shown: The transformer. Memory is batch · p · n² numbers; its `reward` says what distance is.
        predictions: From where distances are measured in every block, [blocks, batch, p, dy], or more blocks than
            there are; by default the model's own `readouts` before the block.

    Returns:
        One for each block that has heads, in their order.

    Raises:
        ValueError: A block of linear attention, which has no shares to compare; or prefixes of one response only.
    """
    if max(shown.seen) < 2:
        raise ValueError(f"the model is read after {list(shown.seen)} responses: attention is judged on 2 or more")
    if any(block.heads and block.attention != "softmax" for block in shown.model.config.blocks):
        raise ValueError("a block has linear attention, whose scores are no shares: judge softmax attention only")
    predictions = readouts(shown) if predictions is None else predictions
    # `readouts` has one entry more than there are blocks: after the last no head measures.
    found = zip(shown.trace.attention, predictions, strict=False)
    return tuple(_block(shown, attention, f) for attention, f in found if attention.shape[1])


def _block(shown: Shown, attention: Tensor, f: Tensor) -> Heads:
    contexts, n, device = shown.contexts, max(shown.seen), attention.device
    seen = torch.tensor(shown.seen, device=device)
    rows = attention[:, :, shown.positions]
    known = torch.arange(n, device=device) < seen[:, None]
    shares = rows[..., shown.first : shown.first + n] * known
    rewards = contexts.rewards[:, None, :n].expand(-1, len(seen), -1)
    near = scores(f, contexts.responses[:, None, :n].expand(-1, len(seen), -1, -1), shown.reward)
    # Patterns are laid out best first; what a prefix has not seen stands last.
    order = rewards.masked_fill(~known, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    terms = torch.arange(n - 1, device=device)[:, None] < torch.arange(n, device=device)
    # Row i: the response of rank i and all that are worse.
    later = known[:, None] & (terms | torch.eye(n - 1, n, dtype=torch.bool, device=device))
    # Rows of ranks that a prefix has not seen mean nothing; `judged` leaves them out.
    by_distance = beta(near.gather(-1, order), known)[..., :-1, :]
    evenly = later / later.sum(-1, keepdim=True).clamp_min(1)
    judged = torch.arange(1, n, device=device) < seen[:, None]

    def over_terms(values: Tensor) -> Tensor:
        """[batch, p, terms] to [batch, terms], over prefixes that have the term."""
        return (values * judged).sum(1) / judged.sum(0)

    def of(head: Tensor) -> tuple[Tensor, ...]:
        """Statistics of one head, each [batch, ...]."""
        ranked = head.gather(-1, order)[..., None, :]
        overlaps = [torch.minimum(ranked, pattern).sum(-1) for pattern in (by_distance, evenly)]
        orders = (rewards, near, torch.arange(n, device=device).expand_as(head))
        return (
            *(over_terms(values) for values in (ranked[..., 0, :-1], *overlaps)),
            *(spearman(head, other, known).mean(1) for other in orders),
        )

    # One head at a time, as patterns take n times the memory of attention.
    measured = zip(*(of(head) for head in shares.unbind(1)), strict=True)
    pick, distance, even, *orders = (Mean.of(torch.stack(part, dim=1)) for part in measured)
    own = torch.stack([rows[:, :, k, token] for k, token in enumerate(shown.positions)], dim=-1)
    last = order.gather(-1, (seen - 1).expand(len(order), -1)[..., None])
    worst = shares.take_along_dim(last[:, None], -1)[..., 0]
    single = (Mean.of(values.mean(-1)) for values in (own, worst, 1 - shares.sum(-1)))
    return Heads(pick, distance, even, *single, *orders)


def spearman(one: Tensor, other: Tensor, known: Tensor) -> Tensor:
    """Rank correlation along the last axis, over what is known; ties share a rank, and 0 where all are tied.

    Args:
        one: [..., n].
        other: [..., n].
        known: [..., n], true where a number counts; broadcast.

    Returns:
        [...].
    """
    a, b = (_ranks(x, known) for x in (one, other))
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt().clamp_min(1e-12)


def _ranks(x: Tensor, known: Tensor) -> Tensor:
    """Ranks among the known, less their mean; 0 for others."""
    above, below = x[..., :, None] > x[..., None, :], x[..., :, None] < x[..., None, :]
    # Half of (how many are below − how many are above) is the rank less its mean; ties share it.
    ranks = ((above.float() - below.float()) * known[..., None, :]).sum(-1) / 2
    return ranks * known
