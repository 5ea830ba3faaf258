"""How far roundings alone move a training run: what two ways to train it may differ by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest

from secondlook.lab import train as training
from secondlook.lab.run import Run
from secondlook.lab.train import Options, Trained, train

UNIT = 2.0**-24  # roundoff of float32
_ORDERS = (2, 3, 5)
_FACTOR = 4


@dataclass(frozen=True)
class Reference:
    """What one process makes of runs, and by how much it may differ: four times what other orders of addition make.

    The orders are of one process that takes its batch in two, three and five pieces. Over long runs of `pl-cosine` they
    differ much: its loss does not see how long a prediction is, so that some of its gradients are nothing but rounding,
    of which Adam makes whole steps. So they do with ReLU, once one of its inputs is as small as they are.
    """

    usual: list[Trained]
    weights: float
    looks: float

    @classmethod
    def of(cls, runs: Sequence[Run], options: Options) -> Reference:
        usual = train(runs, options=options)
        others = [_in_pieces(runs, options, count) for count in _ORDERS]
        near = _FACTOR * max(distance(usual, other) for other in others)
        alike = _FACTOR * max(apart(usual, other) for other in others)
        assert 0 < near < 1e-2, f"roundings do not stay small over this run: {near}"
        assert 0 < alike < 1e-4, f"roundings do not stay small over this run: {alike}"
        return cls(usual, near, alike)

    def see_that_it_is(self, made: Sequence[Trained]) -> None:
        assert distance(self.usual, made) <= self.weights
        assert apart(self.usual, made) <= self.looks


def _in_pieces(runs: Sequence[Run], options: Options, count: int) -> list[Trained]:
    bounds = [runs[0].batch * piece // count for piece in range(count + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "cut", lambda run, share: [slice(*ends) for ends in pairwise(bounds)])
        return train(runs, options=options)


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
