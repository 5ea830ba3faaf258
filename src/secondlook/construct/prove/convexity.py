"""T10: the Plackett–Luce loss is convex in W for the squared reward, and not for the cosine.

Each factor of the squared reward is log Σ_j e^{2(Wx)·y_j − ‖y_j‖²} minus one of its exponents: a log-sum-exp of affine
functions of W, less an affine one. docs/theory.md has the proof; these are midpoint tests and a counter-example.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from secondlook.construct.prove.check import Check
from secondlook.construct.prove.draw import normal
from secondlook.objective import Reward, prefix_plackett_luce

PAIRS, N, D, DX = 4096, 6, 3, 4
TOLERANCE = 64 * torch.finfo(torch.float64).eps
NOT_CONVEX, FAR, VANISHED = 1e-2, 1e6, 1e-9


def prove_convexity(seed: int = 0) -> list[Check]:
    """Excess of the loss at midpoints for either reward, and what is left of a separable ranking's loss far out."""
    squared, cosine = (midpoint_excess(reward, seed).max().item() for reward in ("squared", "cosine"))
    far = separable_loss(seed)
    left = far.max().item()
    return [
        _check("squared reward: midpoint excess", max(squared, 0.0), TOLERANCE, passed=squared <= TOLERANCE),
        _check("cosine reward: midpoint excess, more than", cosine, NOT_CONVEX, passed=cosine > NOT_CONVEX),
        _check("separable ranking: loss far out", left, VANISHED, passed=left <= VANISHED, pairs=len(far)),
    ]


def midpoint_excess(reward: Reward, seed: int) -> Tensor:
    """Excess L((W₁+W₂)/2) − (L(W₁)+L(W₂))/2 of random pairs over 1 + the mean, [pairs]; convexity makes it ≤ 0."""
    generator = Generator().manual_seed(seed)
    query, responses = normal(generator, PAIRS, DX), normal(generator, PAIRS, N, D)
    rewards = torch.rand(PAIRS, N, generator=generator, dtype=torch.float64)
    scale = 10 ** (4 * torch.rand(PAIRS, 1, 1, generator=generator, dtype=torch.float64) - 2)
    ends = [scale * normal(generator, PAIRS, D, DX) for _ in range(2)]

    def loss(weights: Tensor) -> Tensor:
        prediction = (weights @ query[..., None]).mT
        return prefix_plackett_luce(prediction, responses, rewards, lengths=[N], reward=reward)[:, 0]

    mean = (loss(ends[0]) + loss(ends[1])) / 2
    return (loss((ends[0] + ends[1]) / 2) - mean) / (1 + mean)


def separable_loss(seed: int) -> Tensor:
    """Loss [pairs] at t·W for large t, of rankings that W's own predictions separate: the infimum 0 is not attained."""
    generator = Generator().manual_seed(seed)
    direction, responses = normal(generator, PAIRS, 1, D), normal(generator, PAIRS, N, D)
    rewards = (responses @ direction.mT).squeeze(-1)
    # Pairs of responses that are nearly level would need a larger t.
    apart = rewards.sort(dim=-1).values.diff(dim=-1).amin(-1) > 1e-4
    return prefix_plackett_luce(FAR * direction[apart], responses[apart], rewards[apart], lengths=[N])[:, 0]


def _check(name: str, error: float, bound: float, *, passed: bool, pairs: int = PAIRS) -> Check:
    return Check("T10", name, D, N, 0, "float64", 0.0, pairs, error, bound, passed)
