"""What a claim says in numbers, fixed before anything is run, and what the numbers say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["supported", "not supported", "refuted", "not estimated"]


@dataclass(frozen=True)
class Part:
    """A part of a claim: a number, and the side of a threshold on which the claim puts it.

    Attributes:
        name: Key of the number.
        says: What the claim says of it, for people.
        above: The claim has it above this.
        below: The claim has it below this.
        whose: `paper`, or `ours` where the claim is a rival explanation.

    Raises:
        ValueError: Not exactly one threshold.
    """

    name: str
    says: str
    above: float | None = None
    below: float | None = None
    whose: Literal["paper", "ours"] = "paper"

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"{self.name} needs one threshold: give above or below")

    def judge(self, estimate: Estimate) -> Verdict:
        """Supported if the whole interval is on the claim's side, refuted if on the other, else not supported."""
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return "not estimated"
        if self.above is not None:
            low, high = estimate.low - self.above, estimate.high - self.above
        else:
            assert self.below is not None
            low, high = self.below - estimate.high, self.below - estimate.low
        return "supported" if low > 0 else "refuted" if high < 0 else "not supported"


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval, infinite where it cannot be told, and how many observations it rests on."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Estimate:
        """Mean of one number a seed, with an interval by Student's t; of a single seed it has none.

        Raises:
            ValueError: No number, or one that is not finite.
        """
        x = np.asarray(values, dtype=float)
        if not x.size or not np.isfinite(x).all():
            raise ValueError(
                f"numbers of {x.size} seeds, {int((~np.isfinite(x)).sum())} not finite: nothing to average"
            )
        value = float(x.mean())
        if x.size == 1:
            return cls(value, -math.inf, math.inf, 1)
        half = float(stats.t.ppf(0.975, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size))
        return cls(value, value - half, value + half, x.size)


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Refuted if a part is, supported if all are."""
    for worst in ("refuted", "not estimated", "not supported"):
        if worst in verdicts:
            return worst
    return "supported" if verdicts else "not estimated"
