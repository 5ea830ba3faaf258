"""A fitted critic as plain data: what it reads of an answer, and how likely that makes the answer wrong.

It was fitted elsewhere (:mod:`secondlook.fitting.critics`, by scikit-learn); here it is only evaluated, the same way
in an evaluation, in the gateway and over a whole table.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Known: TypeAlias = Mapping[str, str | float | None]
"""What is known of an answer, by name: ``verdict of self``, ``p_wrong of self``, ``score of self``, ``p_answer``."""


@dataclass(frozen=True, slots=True)
class Input:
    """A number made of something known.

    Attributes:
        name: Name of the known fact that it reads.
        level: Word for which the input is 1, else 0; ``None`` where the fact is a number, which is standardised.
        mean: Mean of the numbers it was fitted on; it stands where a number is missing.
        scale: Their standard deviation.
    """

    name: str
    level: str | None = None
    mean: float = 0.0
    scale: float = 1.0

    def read(self, known: Known) -> float:
        """The number."""
        value = known.get(self.name)
        if self.level is not None:
            return float(value == self.level)
        if not isinstance(value, int | float) or math.isnan(value):
            # 0 is the mean of standardised numbers.
            return 0.0
        return (value - self.mean) / self.scale


@dataclass(frozen=True, slots=True)
class Linear:
    """Logistic regression; of one input, Platt's calibration."""

    kind: Literal["linear"]
    weights: list[float]
    intercept: float

    def wrong(self, x: Sequence[float]) -> float:
        """Probability of wrong, 1 / (1 + e^−z) with z the weighted sum."""
        z = self.intercept + sum(w * v for w, v in zip(self.weights, x, strict=True))
        # Each form takes exp of a number that is not positive: math.exp raises OverflowError above 709.
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Isotonic regression of one input: straight lines between knots, level beyond them."""

    kind: Literal["isotonic"]
    x: list[float]
    y: list[float]

    def wrong(self, x: Sequence[float]) -> float:
        """Probability of wrong at the input."""
        (at,) = x
        place = bisect_right(self.x, at)
        if place == 0 or place == len(self.x):
            return self.y[0] if place == 0 else self.y[-1]
        low, high = self.x[place - 1], self.x[place]
        share = (at - low) / (high - low)
        return self.y[place - 1] + share * (self.y[place] - self.y[place - 1])


@dataclass(frozen=True, slots=True)
class DecisionTree:
    """A decision tree; node i goes ``left[i]`` where its input is at most the threshold; -1 makes it a leaf."""

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]

    def leaf(self, x: Sequence[float]) -> float:
        """The value of the leaf."""
        node = 0
        while self.left[node] >= 0:
            node = self.left[node] if x[self.feature[node]] <= self.threshold[node] else self.right[node]
        return self.value[node]


@dataclass(frozen=True, slots=True)
class Trees:
    """Gradient-boosted trees: log-odds are ``start`` plus ``rate`` times each tree's leaf."""

    kind: Literal["trees"]
    trees: list[DecisionTree]
    start: float
    rate: float

    def wrong(self, x: Sequence[float]) -> float:
        """Probability of wrong, by the log-odds."""
        single = [_single(value) for value in x]
        return Linear("linear", [], self.start + self.rate * sum(tree.leaf(single) for tree in self.trees)).wrong(())


@dataclass(frozen=True, slots=True)
class Votes:
    """The share of alarms among verdicts that can be read; inputs are an alarm and a pass for each critic."""

    kind: Literal["vote"]

    def wrong(self, x: Sequence[float]) -> float:
        """Share of alarms; not a number where nobody gave a verdict."""
        alarms, passes = sum(x[::2]), sum(x[1::2])
        return alarms / (alarms + passes) if alarms + passes else math.nan


@dataclass(frozen=True, slots=True)
class Limit:
    """Wrong below a limit of one input, right at or above it; no probability between."""

    kind: Literal["limit"]
    at: float

    def wrong(self, x: Sequence[float]) -> float:
        """1 below the limit, else 0."""
        return float(x[0] < self.at)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted critic.

    Attributes:
        inputs: What it reads.
        form: How inputs become a probability.
        threshold: Above it an answer is called wrong, else right; a vote at it is a tie, and unclear.
        words: Words that it was fitted on, by name, ``none`` for a missing one: of another word it knows nothing.
    """

    inputs: list[Input]
    form: Linear | Isotonic | Trees | Votes | Limit
    threshold: float
    words: dict[str, list[str]] = field(default_factory=dict)

    def wrong(self, known: Known) -> float | None:
        """Probability that the answer is wrong; ``None`` where nothing that it reads is known, or a word is strange."""
        if all(known.get(each.name) is None for each in self.inputs):
            return None
        # Of the words that it was fitted on one has no input: a strange word would be read as that one.
        if any((known.get(name) or "none") not in words for name, words in self.words.items()):
            return None
        found = self.form.wrong([each.read(known) for each in self.inputs])
        return None if math.isnan(found) else found

    def verdict(self, known: Known) -> Literal["wrong", "right", "unclear"]:
        """Verdict of the fitted critic."""
        found = self.wrong(known)
        # A vote at its threshold is a tie. Other forms pass there, as `fitting.critics` judged them.
        if found is None or (found == self.threshold and self.form.kind == "vote"):
            return "unclear"
        return "wrong" if found > self.threshold else "right"


def _single(value: float) -> float:
    """A number in single precision, in which scikit-learn's trees compare."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
