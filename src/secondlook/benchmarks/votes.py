"""Answers that vote: the control that spends the tokens of a second look on asking anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def majority(answers: Sequence[T | None]) -> int:
    """Index of the answer that stands for all (self-consistency; Wang et al., ICLR 2023).

    The most frequent answer wins, of several the one given first, so that one answer is its own majority and nothing is
    drawn. An answer that could not be read, ``None``, does not vote, and stands only where none could be read.

    Args:
        answers: At least one.

    Returns:
        Where the winner was first given.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    winner = max(counts, key=counts.__getitem__) if counts else None  # the first of equals, as they were given
    return answers.index(winner)
