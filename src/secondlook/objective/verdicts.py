"""Worth of a verdict (T12): the loss that verdicts set, and where a critic who errs leads a model of two answers.

Notation as in docs/theory.md: δ = s₊ − s₋ the margin of the right answer, p = σ(δ) the probability of giving it,
c = 4η‖x‖²‖y₊ − y₋‖², and u = 1 where the verdict favours the right answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from secondlook.objective.checks import check_shapes
from secondlook.objective.ranked import widen

Floats = NDArray[np.float64]


def accepted(verdicts: Tensor) -> Tensor:
    """The share of each answer among the accepted, those with the highest verdict: 1/M or 0; ``[..., n]``."""
    best = (verdicts == verdicts.amax(-1, keepdim=True)).to(torch.promote_types(verdicts.dtype, torch.float32))
    return best / best.sum(-1, keepdim=True)


def accepted_nll(scores: Tensor, verdicts: Tensor) -> Tensor:
    """−(1/M) Σ_accepted log softmax(scores): the loss whose step a layer of T2 makes from verdicts.

    Args:
        scores: ``[..., n]``.
        verdicts: ``[..., n]``; those with the highest are accepted.

    Returns:
        ``[...]`` in nats. Of two answers that differ in their verdict, Bradley–Terry's; of verdicts that do not
        differ, the cross-entropy to the uniform distribution.
    """
    check_shapes(scores=(scores, "... n"), verdicts=(verdicts, "... n"))
    scores, share = widen(scores, accepted(verdicts))
    return scores.logsumexp(-1) - (share * scores).sum(-1)


@dataclass(frozen=True)
class ErringCritic:
    """A critic who errs at fixed rates.

    Attributes:
        keeps: a₁ = P("right" | right).
        alarms: a₀ = P("wrong" | wrong), an alarm where one is due.

    Raises:
        ValueError: A rate that is no probability.
    """

    keeps: float
    alarms: float

    def __post_init__(self) -> None:
        for name in ("keeps", "alarms"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give a probability, from 0 to 1")

    def favours(self, p: ArrayLike) -> Floats:
        """Share of verdicts that favour the right answer: E u = p·a₁ + (1 − p)·a₀."""
        p = np.asarray(p, dtype=float)
        return np.asarray(p * self.keeps + (1 - p) * self.alarms)

    def drift(self, p: ArrayLike) -> Floats:
        """Expected move of the margin by a look, in units of c (b): E(u − p) = (1 − p)·a₀ − p·(1 − a₁)."""
        return np.asarray(self.favours(p) - np.asarray(p, dtype=float))

    def precision(self, p: ArrayLike) -> Floats:
        """P(wrong | alarm); not a number where there is no alarm."""
        p = np.asarray(p, dtype=float)
        true, false = (1 - p) * self.alarms, p * (1 - self.keeps)
        with np.errstate(invalid="ignore"):
            return np.asarray(true / (true + false))

    @property
    def limit(self) -> float | None:
        """Limit p* = a₀/(1 − a₁ + a₀) of the mean of p (d), Upp with CL = a₁ and CS = a₀; none without any alarms."""
        alarmed = 1 - self.keeps + self.alarms
        return self.alarms / alarmed if alarmed else None

    def rate(self, c: float) -> float | None:
        """Contraction of the mean field's distance from p* in a round, near p*: 1 − c·p*(1 − p*)(1 − a₁ + a₀)."""
        p = self.limit
        return None if p is None else 1 - c * p * (1 - p) * (1 - self.keeps + self.alarms)


def margin_bound(start: ArrayLike, c: ArrayLike, rounds: int) -> Floats:
    """Bound on |δ_T| after so many rounds, whatever the verdicts were (c).

    log(e^B + (e − 1)cT) with B = max(|δ₀|, c + log⁺ c).
    """
    start, c = np.abs(np.asarray(start, dtype=float)), np.asarray(c, dtype=float)
    least = np.maximum(start, c + np.log(np.maximum(c, 1)))
    return np.asarray(np.logaddexp(least, np.log((np.e - 1) * c * rounds) if rounds else -np.inf))


def mean_bound(start: ArrayLike, c: ArrayLike, rounds: int) -> Floats:
    """Bound on the distance of the mean of p over so many rounds from that of u, whatever the verdicts were (c)."""
    return np.asarray((np.abs(start) + margin_bound(start, c, rounds)) / (np.asarray(c, dtype=float) * rounds))
