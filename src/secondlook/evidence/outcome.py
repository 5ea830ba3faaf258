"""Outcome of a claim: its thresholds, fixed before anything is run, and what the numbers say of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

Outcome = Literal[
    "supported", "undecided", "not reproduced at reduced size", "refuted", "base not trained", "not estimated"
]


@dataclass(frozen=True)
class Part:
    """A part of a claim: a number, and where the claim puts it: on one side of a threshold, or between two.

    Attributes:
        name: Key of the number.
        says: What the claim says of it, for people.
        above: The claim has it above this.
        below: The claim has it below this.
        whose: `paper`, or `ours` where the claim is a rival explanation.
        optional: Whether some places cannot tell, as of seconds where there is no server.

    Raises:
        ValueError: No threshold, or two with nothing between them.
    """

    name: str
    says: str
    above: float | None = None
    below: float | None = None
    whose: Literal["paper", "ours"] = "paper"
    optional: bool = False

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise ValueError(f"{self.name} needs a threshold: give above, below or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"{self.name} is to be above {self.above} and below {self.below}: nothing is")

    def judge(self, estimate: ClaimEstimate, reduced: bool = False) -> Outcome:
        """Supported if the whole interval is where the claim puts it, refuted if none of it, else undecided.

        What a study of `reduced` size finds against a claim does not refute it: it is not reproduced at that size.
        """
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return "not estimated"
        above = -math.inf if self.above is None else self.above
        below = math.inf if self.below is None else self.below
        if above < estimate.low and estimate.high < below:
            return "supported"
        if estimate.high < above or estimate.low > below:
            return "not reproduced at reduced size" if reduced else "refuted"
        return "undecided"


def side(above: float | None, below: float | None) -> str:
    """A threshold, or two, as signs and numbers."""
    if above is not None and below is not None:
        return f"{above:g} to {below:g}"
    return f"> {above:g}" if above is not None else f"< {below:g}"


@dataclass(frozen=True)
class ClaimEstimate:
    """A number with its 95% interval, infinite where it cannot be told, and how many observations it rests on."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> ClaimEstimate:
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
        half = float(special.stdtrit(x.size - 1, 0.975) * x.std(ddof=1) / math.sqrt(x.size))
        return cls(value, value - half, value + half, x.size)

    @classmethod
    def crossed(cls, values: Sequence[Sequence[float]] | np.ndarray) -> ClaimEstimate:
        """Mean of a number for each seed and problem, with an interval that counts both: all seeds meet all problems.

        With mean squares A of the seeds, B of the problems and E of what is left, the mean's variance is
        (A + B − E) / (seeds · problems), and its degrees of freedom are Satterthwaite's. Of a single seed the interval
        is over problems alone, and says nothing of other seeds.

        Args:
            values: ``[seeds, problems]``.

        Raises:
            ValueError: No number, or one that is not finite.
        """
        x = np.asarray(values, dtype=float)
        seeds, problems = x.shape
        if seeds < 2 or problems < 2:
            return cls.of(x.ravel())
        if not np.isfinite(x).all():
            raise ValueError(f"{int((~np.isfinite(x)).sum())} of {x.size} numbers are not finite: nothing to average")
        value, by_seed, by_problem = x.mean(), x.mean(1, keepdims=True), x.mean(0, keepdims=True)
        left = (x - by_seed - by_problem + value) ** 2
        squares = (
            problems * float(by_seed.var(ddof=1)),
            seeds * float(by_problem.var(ddof=1)),
            -float(left.sum()) / ((seeds - 1) * (problems - 1)),
        )
        free = (seeds - 1, problems - 1, (seeds - 1) * (problems - 1))
        # E can outweigh A or B by chance; the variance is never less than that over seeds, or over problems, alone.
        total = max(sum(squares), squares[0], squares[1])
        if not total:
            return cls(float(value), float(value), float(value), seeds)
        degrees = total**2 / sum(square**2 / df for square, df in zip(squares, free, strict=True))
        half = float(special.stdtrit(degrees, 0.975)) * math.sqrt(total / x.size)
        return cls(float(value), float(value) - half, float(value) + half, seeds)


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """Outcome of a claim: none without a trained base; refuted or not reproduced if a part is; else as all parts."""
    for worst in ("base not trained", "refuted", "not reproduced at reduced size", "not estimated", "undecided"):
        if worst in outcomes:
            return worst
    return "supported" if outcomes else "not estimated"
