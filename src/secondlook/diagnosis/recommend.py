"""Recommendation: the number of second looks worth their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from secondlook.diagnosis.forecast import Forecast

_WORTH = 0.1  # points of accuracy for which nobody waits another round


@dataclass(frozen=True, slots=True)
class Option:
    """One number of rounds.

    Attributes:
        accuracy: Share of right answers after so many second looks.
        measured: Whether it is measured; else forecast.
        tokens: Tokens per sample up to there; ``None`` if the table has none. Extrapolated where not measured.
        value: Accuracy in points minus the price of the tokens.
    """

    rounds: int
    accuracy: float
    measured: bool
    tokens: float | None
    value: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The number of second looks that is worth most.

    Attributes:
        price: Points of accuracy that 1,000 more tokens per sample must bring.
        options: Gain and cost of each number of rounds.
    """

    rounds: int
    price: float
    options: list[Option]


def recommend_rounds(
    measured: Sequence[float], spent: Sequence[float] | None, forecast: Forecast | None, price: float = 0.0
) -> Recommendation:
    """The smallest number of second looks whose value is within 0.1 points of the best.

    Args:
        measured: Accuracy after each measured round.
        spent: Tokens per sample up to each measured answer, or ``None``; up to the first one a bare answer.
        forecast: Where later accuracies come from; one that warns is not used beyond the measured rounds.
        price: As in the recommendation.

    Raises:
        ValueError: If the price is negative, or not 0 and there are no tokens.
    """
    if price < 0 or (price and spent is None):
        what = "the table has no tokens" if price > 0 else "it is points of accuracy per 1,000 tokens"
        raise ValueError(f"price is {price:g} and {what}; give {'no price' if price > 0 else '0 or more'}")
    accuracies = list(measured)
    if forecast is not None and forecast.warning is None:
        accuracies += [round_.accuracy for round_ in forecast.rounds if round_.round >= len(measured)]
    costs = None if spent is None else _costs(spent, len(accuracies))
    options = []
    for rounds, accuracy in enumerate(accuracies):
        cost = costs[rounds] if costs else None
        options.append(
            Option(rounds, accuracy, rounds < len(measured), cost, 100 * accuracy - price * (cost or 0) / 1000)
        )
    best = max(option.value for option in options)
    return Recommendation(next(o.rounds for o in options if o.value >= best - _WORTH), price, options)


def _costs(spent: Sequence[float], rounds: int) -> list[float]:
    """Tokens up to each answer: a look that was not measured costs more than the last as that did than the one before.

    Looks are critique and answer; the first answer, which is none, says nothing of their growth.
    """
    looks = [after - before for before, after in pairwise(spent)]
    growth = looks[-1] - looks[-2] if len(looks) > 1 else 0.0
    last = looks[-1] if looks else spent[-1]
    beyond = [last + growth * ahead for ahead in range(1, rounds - len(spent) + 1)]
    return [*spent[:-1], *accumulate([spent[-1], *beyond])]
