"""A number held to its digits: found a digit at a time from how likely each way to go on is."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

_DIGITS = "0123456789"
_LONGEST = 16
"""Characters of a number at most: more come of a model that repeats a digit."""
Score = Callable[[Sequence[str]], Awaitable["tuple[Sequence[float], int] | None"]]
"""Function that gives the log-probability of each text as the beginning of a turn (no text begins with another), and
the number of tokens before the turn; ``None`` where a model does not tell."""


@dataclass(frozen=True, slots=True)
class HeldNumber:
    """A model's number.

    Attributes:
        text: Its digits, with a sign and a decimal point where it has them, without separators of thousands.
        tokens_in: Tokens before it.
        tokens_out: Characters that were chosen, its end included.
    """

    text: str
    tokens_in: int
    tokens_out: int


async def likeliest_number(score: Score) -> HeldNumber | None:
    """The number that a model begins its turn with, if it has to begin with one: the likeliest character each time.

    A point or comma that no digit follows ends the number, and is no part of it; ``None`` where a model does not tell.
    """
    said, mass, tokens_in, chosen = "", 1.0, 0, 0
    ways = [*_DIGITS, "-"]
    while len(said) < _LONGEST:
        if (scored := await score(ways)) is None:
            return None
        logprobs, before = scored
        tokens_in, chosen = tokens_in or before, chosen + 1
        most = max(logprobs)
        # P(ended) = P(said) - sum of P(said + way): all else that may follow a number ends it. A sign alone is none.
        ended = mass - sum(map(math.exp, logprobs)) if said not in ("", "-") else 0.0
        if ended >= math.exp(most):
            break
        said, mass = ways[logprobs.index(most)], math.exp(most)
        marks = (mark for mark in ".," if said[-1] in _DIGITS and "." not in said)
        ways = [*(said + digit for digit in _DIGITS), *(said + mark for mark in marks)]
    return HeldNumber(said.rstrip(".,").replace(",", ""), tokens_in, chosen)
