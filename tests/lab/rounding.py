"""How far roundings alone move a training run: what two ways to train it may differ by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from secondlook.lab.rank import ALONE, Rank
from secondlook.lab.run import Run
from secondlook.lab.train import Options, Trained, train

UNIT = 2.0**-24  # roundoff of float32


class Rounded(Rank):
    """A process alone whose gradients are all moved at random, by a few roundings of float32."""

    def sum(self, shares):
        generator = torch.Generator().manual_seed(7)
        return [
            share * (1 + 4 * UNIT * (2 * torch.rand(share.shape, generator=generator) - 1))
            for share in super().sum(shares)
        ]


@dataclass(frozen=True)
class Reference:
    """What one process makes of runs, and ten times what such roundings change of it.

    Over long runs of `pl-cosine` they change much: its loss does not see how long a prediction is, so that some of its
    gradients are nothing but rounding, of which Adam makes whole steps. So they do with ReLU, once one of its inputs is
    as small as they are.
    """

    usual: list[Trained]
    weights: float
    looks: float

    @classmethod
    def of(cls, runs: Sequence[Run], options: Options) -> Reference:
        usual, moved = (train(runs, options=options, rank=rank) for rank in (ALONE, Rounded()))
        near, alike = 10 * distance(usual, moved), 10 * apart(usual, moved)
        assert 0 < near < 1e-3, f"roundings do not stay small over this run: {near}"
        assert 0 < alike < 1e-3, f"roundings do not stay small over this run: {alike}"
        return cls(usual, near, alike)

    def see_that_it_is(self, made: Sequence[Trained]) -> None:
        assert distance(self.usual, made) <= self.weights
        assert apart(self.usual, made) <= self.looks


def distance(these: Sequence[Trained], others: Sequence[Trained]) -> float:
    """Largest difference of a weight, relative to the largest weight of its tensor, without biases of keys.

    These shift all scores of a softmax alike: their gradient is rounding, too.
    """
    return max(
        ((weight - other.weights[name]).abs().max() / weight.abs().max()).item()
        for one, other in zip(these, others, strict=True)
        for name, weight in one.weights.items()
        if not name.endswith("key.bias")
    )


def apart(these: Sequence[Trained], others: Sequence[Trained]) -> float:
    """Largest difference of a number of a log."""
    return max(
        abs(value - look[name])
        for one, other in zip(these, others, strict=True)
        for seen, look in zip(one.log, other.log, strict=True)
        for name, value in seen.items()
    )
