"""One step of gradient descent on the Plackett–Luce loss: what the constructions have to make (T2–T7)."""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.objective.checks import check_shapes
from secondlook.objective.contexts import Contexts, MultiQueryContexts
from secondlook.objective.likelihood import Prefixes, Reward, rank, scores
from secondlook.objective.ranked import beta, in_full, widen


def query_step(
    prediction: Tensor, responses: Tensor, rewards: Tensor, eta: float, query_norm2: Tensor | float = 1.0
) -> Tensor:
    """Step on W as it moves Wx: ΔWx = 2η‖x‖² Σ_{i<N} (y_τ(i) − Σ_{j≥i} β_ij y_τ(j)), for the squared reward.

    Args:
        prediction: Wx, ``[..., d]``.
        responses: y, ``[..., n, d]``.
        rewards: ``[..., n]``.
        eta: η, the learning rate of W.
        query_norm2: ‖x‖², ``[...]`` or one number.

    Returns:
        ``[..., d]``, differentiable; of the dtype of ``prediction``, and in half precision computed in float32.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_shapes(prediction=(prediction, "... d"), responses=(responses, "... n d"), rewards=(rewards, "... n"))
    f, ranked = widen(prediction, responses.take_along_dim(rank(rewards)[..., None], -2))
    with in_full(f):
        # The last term is y_τ(N) − y_τ(N) = 0.
        step = (ranked - beta(scores(f, ranked)) @ ranked).sum(-2)
    norm2 = query_norm2[..., None] if isinstance(query_norm2, Tensor) else query_norm2
    return (2 * eta * norm2 * step).to(prediction.dtype)


def weight_step(
    weights: Tensor, contexts: Contexts | MultiQueryContexts, eta: float, reward: Reward = "squared"
) -> Tensor:
    """Step on W by autograd, by which constructions are judged: ΔW = −η ∇_W Σ_q L_q, L_q the loss at query q.

    Args:
        weights: W, ``[batch, dy, dx]``.
        contexts: With one or several queries.
        eta: η, the learning rate of W.
        reward: See ``scores``.

    Returns:
        ``[batch, dy, dx]``, of the dtype of ``weights``; in half precision computed in float32.

    Raises:
        ValueError: If the shapes do not fit, or the reward is unknown.
    """
    many = contexts if isinstance(contexts, MultiQueryContexts) else contexts.as_multi_query()
    check_shapes(
        queries=(many.queries, "batch q dx"),
        responses=(many.responses, "batch q n dy"),
        weights=(weights, "batch dy dx"),
    )
    n = many.responses.shape[-2]
    judge = Prefixes.of(many.responses.flatten(0, 1), many.rewards.flatten(0, 1), [n], reward)
    w, queries = widen(weights.detach(), many.queries)
    with torch.enable_grad(), in_full(w):
        w.requires_grad_()
        loss = judge.loss((queries @ w.mT).flatten(0, 1)[:, None]).sum()
        (gradient,) = torch.autograd.grad(loss, w)
    return (-eta * gradient).to(weights.dtype)
