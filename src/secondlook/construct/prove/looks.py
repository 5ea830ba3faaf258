"""A model that is looked at again and again: each round is one forward pass of T2's layer on that round's verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from secondlook.construct import verdicts
from secondlook.construct.promise import Promise
from secondlook.objective import Floats, JudgedContexts

ETA, D = 0.25, 2  # of c = 4η‖x‖²‖y₊ − y₋‖², at a query of length 1, the distance is √c
_LARGEST = 1e4


class Looks:
    """Models of two answers in the plane, each at a margin, all moved by the same layer.

    Args:
        c: Size of a step, 4η‖x‖²‖y₊ − y₋‖²: a verdict moves a margin by c(u − p); [batch].
        margin: δ at which each starts, [batch].
        seed: Of the directions in which answers and predictions lie.

    Raises:
        ValueError: A c that is not above 0 and up to 10⁴.
    """

    def __init__(self, c: Sequence[float], margin: Sequence[float], seed: int = 0) -> None:
        self.c, start = (torch.tensor(values, dtype=torch.float64) for values in (c, margin))
        if not ((self.c > 0) & (self.c <= _LARGEST)).all():
            raise ValueError(f"c is {self.c.min():g} to {self.c.max():g}; give numbers above 0 and up to {_LARGEST:g}")
        generator, batch = torch.Generator().manual_seed(seed), len(self.c)
        turn = 2 * math.pi * torch.rand(3, batch, generator=generator, dtype=torch.float64)
        unit, across, query = (torch.stack([angle.cos(), angle.sin()], dim=-1) for angle in turn)
        self.apart = self.c.sqrt()[:, None] * unit
        self.middle = 0.3 * self.c.sqrt()[:, None] * across
        # δ = 2(f − middle)·D with ‖D‖² = c: this f has the margin that was asked for.
        predicted = self.middle + start[:, None] * self.apart / (2 * self.c)[:, None]
        answers = torch.stack([self.middle + self.apart / 2, self.middle - self.apart / 2], dim=1)
        longest = 2 * float(torch.cat([answers.flatten(0, 1), predicted]).norm(dim=-1).max())
        self.promise = Promise(2, D, ETA, min_gap=1.0, max_norm=max(1.0, longest))
        self.construction = verdicts.build(self.promise)
        self.layer, self.layout = self.construction.model(), self.construction.layout
        # Verdicts of zero keep the place: `step` writes those of a round into the tokens.
        self.contexts = JudgedContexts(query, answers, torch.zeros(batch, 2, 1, dtype=torch.float64))
        self.start = predicted[:, :, None] * query[:, None]  # takes x, whose length is one, to what is predicted
        self.tokens = self.construction.embed(self.contexts, self.start)
        self.farthest = predicted.norm(dim=-1)

    @property
    def prediction(self) -> Tensor:
        """The prediction f [batch, d], where the rounds so far have led."""
        return self.layout.view(self.tokens, "base")[:, 0]

    @property
    def margin(self) -> Tensor:
        """δ = s₊ − s₋ = 2(f − middle)·(y₊ − y₋), [batch]."""
        return 2 * ((self.prediction - self.middle) * self.apart).sum(-1)

    @torch.no_grad()
    def step(self, favours: Tensor) -> Tensor:
        """ΔWx [batch, d] by one forward pass; u [batch] is 1 where the verdict favours y₊, 0 where y₋, ½ neither."""
        self.layout.view(self.tokens, "reward").copy_(torch.stack([favours, 1 - favours], dim=1)[..., None])
        outputs: Tensor = self.layer(self.tokens)
        return outputs[:, 0]

    def look(self, favours: Tensor) -> None:
        """Take the step: the next forward pass starts from it."""
        base = self.layout.view(self.tokens, "base")
        base.add_(self.step(favours)[:, None])
        self.farthest = torch.maximum(self.farthest, self.prediction.norm(dim=-1))

    @property
    def leak(self) -> float:
        """Largest difference of the layer's u from the verdict's: e^{ρ − L}."""
        return math.exp(3 * self.promise.roundoff * self.promise.reward_range - self.promise.reward_sharpness)

    def rounding(self) -> tuple[Floats, Floats]:
        """Rounding that a round adds to a margin, and to one that is read, at most; of every model so far.

        As in docs/theory.md, Rounding of one step, for N = dx = 2, K = 1 and ‖x‖ = 1, at the farthest f, with 10u for
        the 9u of `stored`; and f + ΔWx is itself rounded. A margin is 2‖y₊ − y₋‖ times what f is off.
        """
        u, far, apart = self.promise.roundoff, self.farthest, self.apart.norm(dim=-1)
        largest = self.contexts.responses.norm(dim=-1).amax(-1)
        scores = u * (D + 9) * (2 * far + largest) * largest
        step = 2 * ETA * (2 * scores * apart + u * 14 * 2 * largest) + u * 10 * 2 * ETA * apart
        made = 2 * apart * (2 * step + 2 * u * far)
        read = u * (D + 6) * 2 * (far + largest) * apart
        return made.numpy(), read.numpy()
