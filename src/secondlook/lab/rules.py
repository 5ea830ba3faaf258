"""Ways to make a prediction of a context that a transformer may have learnt: gradient descent, and simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from secondlook.objective import Contexts, Prefixes, Reward, descend

Rule = Callable[[Contexts], Tensor]
"""Contexts to predictions [batch, dy], each from its own context, differentiable by the responses."""


def mean_response(contexts: Contexts) -> Tensor:
    """The plain average of the responses."""
    return contexts.responses.mean(-2)


def best_response(contexts: Contexts) -> Tensor:
    """The response with the highest reward (best of N); of equals the first."""
    at = contexts.rewards.argmax(-1)[:, None, None]
    return contexts.responses.take_along_dim(at, -2)[:, 0]


def latest_response(contexts: Contexts) -> Tensor:
    """The last response."""
    return contexts.responses[:, -1]


def weighted_mean(contexts: Contexts) -> Tensor:
    """The average of the responses, weighted by their rewards, which should be positive."""
    weights = contexts.rewards / contexts.rewards.sum(-1, keepdim=True)
    return (weights[:, None] @ contexts.responses)[:, 0]


def regression_direction(contexts: Contexts) -> Tensor:
    """The covariance of responses and rewards: the direction of a regression of responses on rewards."""
    centred = contexts.rewards - contexts.rewards.mean(-1, keepdim=True)
    return (centred[:, None] @ contexts.responses)[:, 0] / contexts.n


CONTROLS: dict[str, Rule] = {
    "mean response": mean_response,
    "best response": best_response,
    "weighted mean": weighted_mean,
    "regression direction": regression_direction,
}


def at_prefixes(rule: Rule, contexts: Contexts, seen: Sequence[int]) -> Tensor:
    """Predictions of a rule from the first `seen[k]` responses, [batch, p, dy]."""
    return torch.stack([rule(contexts.prefix(k)) for k in seen], dim=1)


@dataclass(frozen=True)
class GradientDescent:
    """Gradient descent on the Plackett–Luce loss of a context, as a rule.

    It descends on W, as the paper does, from the W₀ of least norm with W₀x = start. For predictions this is a rate of
    rate·‖x‖²; with the cosine reward the scale of a problem then does not matter. The default start is the mean of the
    responses seen: it needs no choice of scale, is no better for knowing rewards, and is a control by itself.

    Attributes:
        steps: Number K of steps.
        rate: Learning rate on W.
        reward: See `objective.scores`.
        start: The prediction before the first step. With the cosine reward it must not be 0.
    """

    steps: int = 50
    rate: float = 0.1
    reward: Reward = "cosine"
    start: Rule = mean_response

    def path(self, contexts: Contexts, seen: Sequence[int]) -> Tensor:
        """The start and all iterates, [steps + 1, batch, p, dy], on the prefixes of so many responses."""
        x = contexts.query
        start = at_prefixes(self.start, contexts, seen).detach()
        weights = start[..., None] * (x / x.square().sum(-1, keepdim=True))[:, None, None]
        path = descend(
            weights,
            contexts,
            on="weights",
            optimizer="gd",
            rate=self.rate,
            steps=self.steps,
            reward=self.reward,
            prefixes=list(seen),
            trace=True,
        ).path
        assert path is not None
        return (path @ x[:, None, :, None]).squeeze(-1)

    def __call__(self, contexts: Contexts) -> Tensor:
        """The last iterate on the whole context, [batch, dy], with a graph if the responses have one."""
        # Not `descend`, which keeps no graph: `behaviour.jacobian` differentiates through every step.
        graph = contexts.responses.requires_grad
        with torch.enable_grad():
            f = self.start(contexts)
            f = f if f.requires_grad else f.clone().requires_grad_()
            judge = Prefixes.of(contexts.responses, contexts.rewards, [contexts.n], self.reward)
            rate = self.rate * contexts.query.square().sum(-1, keepdim=True)
            for _ in range(self.steps):
                (slope,) = torch.autograd.grad(judge.loss(f[:, None]).sum(), f, create_graph=graph)
                f = f - rate * slope
        return f if graph else f.detach()
