"""T12 (f): a ranking that is uniform with probability q has a finite optimum, where that of T10 may have none."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Generator, Tensor
from torch.autograd.functional import hessian

from secondlook.construct import plackett_luce
from secondlook.construct.bounds import bound
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check
from secondlook.construct.prove.draw import draw
from secondlook.objective import Contexts, rank

N, D, BATCH, GAP, NEWTON = 4, 3, 64, 0.25, 40
NOISES = (0.02, 0.3, 1.0)
STATIONARY = 1e-9


def prove_noisy(seed: int = 0) -> list[Check]:
    """Expected step over all rankings by forward passes, and the least point of the expected loss."""
    promise = Promise(N, D, 0.1, min_gap=GAP, max_norm=1.5)
    contexts, start = draw(promise, Generator().manual_seed(seed), batch=BATCH, dx=D, family="random")
    construction = plackett_luce.build(promise)
    rankings = [torch.tensor(order, dtype=torch.float64) for order in permutations(range(N))]
    clean = construction.step(contexts, start)[:, 0]
    others = [Contexts(contexts.query, contexts.responses, _rewards(order)) for order in rankings]
    uniform = torch.stack([construction.step(other, start)[:, 0] for other in others]).mean(0)
    # A mean of steps is off by no more than the worst of them.
    allowed = torch.stack([bound(construction, other, start).total[:, 0] for other in others]).amax(0)
    allowed = torch.maximum(allowed, bound(construction, contexts, start).total[:, 0])
    prediction, length = (start @ contexts.query[..., None]).squeeze(-1), contexts.query.square().sum(-1)
    checks = []
    for q in NOISES:
        expected = -promise.eta * length[:, None] * slope(prediction, contexts, q)
        error, size = ((1 - q) * clean + q * uniform - expected).norm(dim=-1), expected.norm(dim=-1)
        at = int((error / allowed).argmax())
        checks.append(
            _check(f"(f) expected step, uniform with q = {q:g}", error[at] / size[at], allowed[at] / size[at])
        )
        left = slope(optimum(contexts, q), contexts, q).norm(dim=-1).amax()
        checks.append(_check(f"(f) slope at its finite optimum, q = {q:g}", left, torch.tensor(STATIONARY)))
    return checks


def expected_loss(prediction: Tensor, responses: Tensor, rewards: Tensor, q: float) -> Tensor:
    """(1 − q)·loss of the ranking + q·mean loss of all rankings, [batch]; f [batch, d], as in a context."""
    # −‖f − y‖² without ‖f‖², which cancels: an optimum may lie far out.
    given = (2 * (responses @ prediction[..., None])[..., 0]) - responses.square().sum(-1)
    clean = _loss(given.gather(-1, rewards.argsort(-1, descending=True)))
    orders = torch.tensor(list(permutations(range(responses.shape[1]))))
    return (1 - q) * clean + q * _loss(given[:, orders]).mean(-1)


def slope(prediction: Tensor, contexts: Contexts, q: float) -> Tensor:
    """Gradient of the loss by f, [batch, d], by automatic differentiation."""
    prediction = prediction.detach().clone().requires_grad_()
    loss = expected_loss(prediction, contexts.responses, contexts.rewards, q).sum()
    (gradient,) = torch.autograd.grad(loss, prediction)
    return gradient


def optimum(contexts: Contexts, q: float) -> Tensor:
    """Minimum of the loss, f [batch, d], for n = d + 1 responses in general position.

    Scores less that of the best are then an affine and invertible function of f, so that the least lies at the same
    scores in every context: Newton's method finds them, from all being equal.
    """
    at = torch.zeros(N - 1, dtype=torch.float64)
    orders = torch.tensor(list(permutations(range(N))))

    def loss(apart: Tensor) -> Tensor:
        given = torch.cat([apart.new_zeros(1), apart])
        return (1 - q) * _loss(given) + q * _loss(given[orders]).mean()

    for _ in range(NEWTON):
        at.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(at), at)
        at = at.detach()
        move = torch.linalg.solve(hessian(loss, at), gradient)  # type: ignore[no-untyped-call]
        at = at - move / (1 + (gradient * move).sum().clamp_min(0).sqrt())  # damped, far from the optimum
    best_first = contexts.responses.take_along_dim(rank(contexts.rewards)[..., None], -2)
    first, rest = best_first[:, :1], best_first[:, 1:]
    # s_j − s_1 = 2f·(y_j − y_1) − ‖y_j‖² + ‖y_1‖²
    known = (at + rest.square().sum(-1) - first.square().sum(-1)) / 2
    found: Tensor = torch.linalg.solve(rest - first, known[..., None])
    return found[..., 0]


def _loss(ranked: Tensor) -> Tensor:
    """−log P of a ranking from scores [..., n], best first."""
    return (ranked.flip(-1).logcumsumexp(-1).flip(-1) - ranked).sum(-1)


def _rewards(order: Tensor) -> Tensor:
    """Rewards [batch, n] that rank as an order does, as far apart as promised."""
    return (GAP * order).expand(BATCH, N)


def _check(name: str, error: Tensor, allowed: Tensor) -> Check:
    passed = bool(error <= allowed)
    return Check("T12", name, D, N, 1, "float64", GAP, BATCH, float(error), float(allowed), passed)
