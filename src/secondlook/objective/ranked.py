"""The Plackett–Luce likelihood of rankings from scores that stand best first: value, slope and weights.

With scores s_1 … s_n in the order of the ranking, D_i = Σ_{j≥i} exp(s_j) and β_ij = exp(s_j)/D_i for j ≥ i,

    −log P = Σ_i (log D_i − s_i)        and        ∂(−log P)/∂s_j = Σ_{i≤j} β_ij − 1 = Σ_{i<j} β_ij − Σ_{k>j} β_jk.

The last form is computed: where a ranking is all but certain, the other is mere rounding, and Adam would follow it.
A ranking of fewer responses leaves the others out of every sum: they are not ``counted``.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any, cast

import torch
from torch import Tensor


def widen(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the widest of their dtypes, and at least float32: 8 bits of bfloat16 cannot hold a softmax."""
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    return [tensor.to(dtype) for tensor in tensors]


def in_full(tensor: Tensor) -> torch.autocast:
    """A context without autocast, which would round products of scores to half precision."""
    return torch.autocast(tensor.device.type, enabled=False)


def beta(ranked_scores: Tensor, counted: Tensor | None = None) -> Tensor:
    """Weights β_ij: row i is the softmax over the counted j ≥ i. Takes n times the memory of the scores.

    Args:
        ranked_scores: ``[..., n]``, best first.
        counted: ``[..., n]``, true for a response that is ranked; all are by default.

    Returns:
        ``[..., n, n]``; the rows of responses that are not counted mean nothing.
    """
    (ranked_scores,) = widen(ranked_scores)
    n = ranked_scores.shape[-1]
    at = torch.arange(n, device=ranked_scores.device)
    seen = at >= at[:, None]
    if counted is not None:
        # A row without any response would be nan, and so would its gradient, even where it is not used.
        seen = seen & (counted[..., None, :] | (at == at[:, None]))
    return torch.where(seen, ranked_scores[..., None, :], -torch.inf).softmax(-1)


@torch.no_grad()
def nll_and_slope(ranked_scores: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """−log P of every ranking and its derivative by every score, in no more memory than the scores take.

    All D_i come of one product of exp(s − max s) with a triangle of ones. Nothing cancels in it, so it is exact to
    rounding as long as the least of them, the last, is in the range of the dtype. Rankings for which it is not (in
    float32, those that put a response last whose score is some 70 below the best) are done in float64, and what is
    too much for float64, too (some 670), is done in logarithms, which is slower.

    Args:
        ranked_scores: ``[n, rankings]`` in float32 or float64, best first: a ranking is a column, as sums down
            columns are many times as fast as along short rows.
        counted: ``[n, rankings]``, 1 for a response that is ranked, 0 for others; at least one is in every ranking.

    Returns:
        −log P ``[rankings]`` in nats, and the slope ``[n, rankings]``, 0 where not counted. Neither has a graph.
    """
    info, n = torch.finfo(ranked_scores.dtype), len(ranked_scores)
    # In place where possible: memory new to the process costs as much as the arithmetic.
    spare = 1 - counted
    # What is not counted must not be the maximum. To lower it by half of the range cannot overflow.
    s = ranked_scores.add(spare, alpha=-info.max / 2)
    torch.sub(ranked_scores, s.amax(0), out=s).mul_(counted)
    e = s.exp().mul_(counted)
    after = torch.ones(n, n, dtype=s.dtype, device=s.device).triu(1)
    with in_full(s):
        later = after @ e
        # What is not counted adds 1, to keep quotient and logarithm finite.
        d = (later + e).add_(spare)
        inverse = torch.div(counted, d, out=spare)
        slope = (after.mT @ inverse).mul_(e).addcmul_(later, inverse, value=-1)
    # Below it, what exp lost is no longer small beside D, or the sum of 1/D overflows.
    wide = d.amin(0) < max(info.tiny / info.eps, n / info.max)
    loss = d.log_().sub_(s).mul_(counted).sum(0)
    if wide.any():
        further = nll_and_slope if s.dtype == torch.float32 else _in_logarithms
        loss[wide], slope[:, wide] = (x.to(s.dtype) for x in further(s[:, wide].double(), counted[:, wide].double()))
    return loss, slope


def _in_logarithms(s: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The same for any range of scores, by the first form of the slope."""
    s, ranked = s.masked_fill(counted == 0, -torch.inf), counted > 0
    log_d = torch.where(ranked, s.flip(0).logcumsumexp(0).flip(0), torch.inf)
    loss = torch.where(ranked, log_d - s, 0).sum(0)
    return loss, (s + (-log_d).logcumsumexp(0)).exp() - counted


class _RankedNLL(torch.autograd.Function):
    """−log P with the slope above as its gradient; a gradient of the gradient goes through β."""

    @staticmethod
    def forward(ctx: Any, ranked_scores: Tensor, counted: Tensor) -> Tensor:
        loss, slope = nll_and_slope(ranked_scores, counted)
        ctx.save_for_backward(ranked_scores, counted, slope)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        ranked_scores, counted, slope = ctx.saved_tensors
        # True only under `create_graph`: then the slope that was saved, which has no graph, will not do.
        if torch.is_grad_enabled():
            weights = beta(ranked_scores.mT, counted.mT > 0)
            slope = ((counted.mT[:, None] @ weights)[:, 0].mT - 1) * counted
        return grads[0] * slope, None


def ranked_nll(ranked_scores: Tensor, counted: Tensor) -> Tensor:
    """``nll_and_slope`` for autograd, differentiable twice, and for any axes: ``[n, ...]`` to ``[...]``."""
    n, *shape = ranked_scores.shape
    columns = n, prod(shape)
    loss = _RankedNLL.apply(ranked_scores.reshape(columns), counted.reshape(columns))  # type: ignore[no-untyped-call]
    return cast("Tensor", loss).view(shape)
