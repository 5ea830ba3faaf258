"""Reference of a construction: gradient descent on W by automatic differentiation, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from secondlook.construct.bounds import FIRST_FACTOR
from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise
from secondlook.objective import (
    Contexts,
    JudgedContexts,
    MultiQueryContexts,
    accepted_nll,
    prefix_plackett_luce,
    rank,
    weight_step,
)


@dataclass(frozen=True)
class Reference:
    """Step that should have come out.

    Attributes:
        step: ΔWx [batch, answers, d].
        size: What an error is relative to, [batch, answers]: ‖ΔW‖·‖x‖, or 10⁻³·η‖x‖²·max‖y‖ if that is more, so that
            steps that are zero, or cancel to nearly zero, divide by something. For a single query ‖ΔW‖·‖x‖ = ‖ΔWx‖.
    """

    step: Tensor
    size: Tensor

    def error(self, step: Tensor) -> Tensor:
        """Error of a step [batch, answers, d], relative to ``size``; [batch, answers]."""
        off: Tensor = (step.double() - self.step).norm(dim=-1) / self.size
        return off


def reference(
    construction: Construction[Contexts] | Construction[MultiQueryContexts] | Construction[JudgedContexts],
    contexts: Contexts | MultiQueryContexts | JudgedContexts,
    start: Tensor,
) -> Reference:
    """The promised steps on W.

    Each prefix has a W of its own, all differentiated at once; T2 and T11 descend the first factor of the likelihood,
    which is all of it for two responses. With several queries the losses of all are summed, and ΔW is read at the test
    queries.

    Args:
        construction: What is to be judged; its promise gives η and K.
        contexts: As ``construction.step`` takes them.
        start: W₀ [batch, d, dx].
    """
    promise, start, contexts = construction.promise, start.double(), contexts.to(torch.float64)
    if isinstance(contexts, MultiQueryContexts):
        total = torch.zeros_like(start)
        for _ in range(promise.steps):
            total = total + weight_step(start + total, contexts, promise.eta)
        size = total.norm(dim=(-2, -1))[:, None] * contexts.test.norm(dim=-1)
        return Reference(contexts.test @ total.mT, torch.maximum(size, _floor(promise.eta, contexts)))
    if isinstance(contexts, JudgedContexts):
        return _judged(promise, contexts, start)
    lengths = list(range(1, contexts.n + 1)) if construction.prefixes else [contexts.n]
    best_first = contexts.responses.take_along_dim(rank(contexts.rewards)[..., None], -2)
    apart, middle = best_first[:, 1:] - best_first[:, :1], (best_first[:, 1:] + best_first[:, :1]) / 2
    moved = start.new_zeros(contexts.batch, len(lengths), *start.shape[1:], requires_grad=True)
    for _ in range(promise.steps):
        predictions = ((start[:, None] + moved) @ contexts.query[:, None, :, None]).squeeze(-1)
        if construction.result in FIRST_FACTOR:
            # −log P = log(1 + Σ_j e^{s_j − s_1}), from differences of scores: their own size would cost digits.
            behind = 2 * ((predictions[..., None, :] - middle[:, None]) * apart[:, None]).sum(-1)
            loss = -logsigmoid(-behind.logsumexp(-1))
        else:
            loss = prefix_plackett_luce(predictions, contexts.responses, contexts.rewards, lengths=lengths)
        (gradient,) = torch.autograd.grad(loss.sum(), moved)
        moved = (moved - promise.eta * gradient).detach().requires_grad_()
    step = (moved.detach() @ contexts.query[:, None, :, None]).squeeze(-1)
    answers = contexts.n if construction.first == 0 else step.shape[1]
    size = torch.maximum(step.norm(dim=-1), _floor(promise.eta, contexts.as_multi_query()))
    return Reference(step.expand(-1, answers, -1), size.expand(-1, answers))


def _judged(promise: Promise, contexts: JudgedContexts, start: Tensor) -> Reference:
    """A step on the loss of the accepted for each round, seen from the mean of the responses."""
    moved = torch.zeros_like(start, requires_grad=True)
    mean = contexts.responses.mean(1, keepdim=True)
    apart, n = contexts.responses - mean, contexts.responses.shape[1]
    for verdicts in contexts.verdicts.unbind(-1):
        off = ((start + moved) @ contexts.query[..., None]).mT - mean
        scores = (2 * off * apart - apart.square()).sum(-1)  # −‖f − y‖² without ‖f − mean‖², which cancels
        (gradient,) = torch.autograd.grad(accepted_nll(scores, verdicts).sum(), moved)
        moved = (moved - promise.eta * gradient).detach().requires_grad_()
    step = (moved.detach() @ contexts.query[..., None]).mT
    size = torch.maximum(step.norm(dim=-1), _floor(promise.eta, contexts.round(0).as_multi_query()))
    return Reference(step.expand(-1, n, -1), size.expand(-1, n))


def _floor(eta: float, contexts: MultiQueryContexts) -> Tensor:
    """10⁻³·η‖x‖²·max‖y‖ [batch, test queries]; with several queries ‖x‖² is ‖x'‖·max‖x_q‖."""
    longest: Tensor = contexts.queries.norm(dim=-1).amax(-1) * contexts.responses.norm(dim=-1).amax((-2, -1))
    asked: Tensor = contexts.test.norm(dim=-1)
    return 1e-3 * eta * asked * longest[:, None]
