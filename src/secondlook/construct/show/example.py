"""A small context in the plane, to look at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from secondlook.construct.promise import Promise
from secondlook.objective import Contexts

_RADIUS = 1.5


def promise(n: int, steps: int, eta: float) -> Promise:
    """Promise that a construction needs to take such a context.

    Raises:
        ValueError: Sizes that cannot be shown, or a step size that no promise allows.
    """
    if not 2 <= n <= 16:
        raise ValueError(f"n is {n}: a page shows rankings of 2 to 16 responses, choose one of these")
    if not 1 <= steps <= 8:
        raise ValueError(f"steps is {steps}: a page shows 1 to 8 gradient steps, choose one of these")
    if not (math.isfinite(eta) and 0 < eta <= 1):
        raise ValueError(f"eta is {eta}: give a step size above 0 and up to 1, beyond it the picture is all arrow")
    return Promise(n=n, d=2, eta=eta, steps=steps, min_gap=0.4 / n, max_norm=_RADIUS, max_reward=1.0)


def draw(built_for: Promise, seed: int) -> tuple[Contexts, Tensor]:
    """One context and W₀ [1, 2, 2], the same for the same seed.

    As in the paper's experiments a response is r·Wx + (1 − r)·W⁻x, so that a better one lies nearer to the truth Wx.
    Rewards are spread over 0 … 1, at least 0.4/n apart, in random order.

    Raises:
        ValueError: A seed that is not a whole number of at most 63 bits.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}: give a whole number from 0 to 2^63 - 1")
    generator, n = torch.Generator().manual_seed(seed), built_for.n

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def on_circle(angle: Tensor, radius: Tensor) -> Tensor:
        return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)

    turn = 2 * math.pi * uniform(3)
    query = on_circle(turn[:1], torch.ones(1, dtype=torch.float64))
    truth = on_circle(turn[1], torch.tensor(0.9 * _RADIUS))
    places = torch.randperm(n, generator=generator)
    # One reward in the middle three fifths of each n-th: neighbours are at least 0.4/n apart, as promised.
    rewards = (places + 0.2 + 0.6 * uniform(n)) / n
    wrong = on_circle(2 * math.pi * uniform(n), _RADIUS * uniform(n).sqrt())
    responses = rewards[:, None] * truth + (1 - rewards[:, None]) * wrong
    predicted = on_circle(turn[2], torch.tensor(0.35 * _RADIUS))
    start = predicted[:, None] * query[0]  # takes x, whose length is one, to what is predicted
    return Contexts(query, responses[None], rewards[None]), start[None]
