"""Columns of a foreign table, checked value by value: an error names the row, the value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[Any]

STATES = ("right", "wrong", "unparsed", "refused")
"""What an answer in hand can be."""
RIGHT, WRONG, UNPARSED, REFUSED = range(4)

VERDICTS = ("none", "wrong", "right", "unclear")
"""What a critic can say of an answer: ``none`` if it was not examined, ``wrong`` is an alarm."""
SILENT, ALARM, PASS, UNCLEAR = range(4)

_STATUSES = ("ok", "unparsed", "refused", "error")
_TRUTH = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}
_MOST_ROUNDS = 100


def codes(frame: pd.DataFrame, name: str, *, needed: bool = True) -> tuple[Array, list[str]]:
    """A column of names as numbers, and the names in sorted order; a missing one is -1, or an error if ``needed``."""
    number, names = pd.factorize(frame[name])
    if needed and (missing := np.flatnonzero(number < 0)).size:
        raise ValueError(f"{name} is missing in data row {missing[0] + 1}; every row needs one")
    texts = [str(value) for value in np.asarray(names, dtype=object)]
    if len(set(texts)) < len(texts):
        raise ValueError(f"column {name} has names that read alike but differ in type; write them all as text")
    order = sorted(range(len(texts)), key=texts.__getitem__)
    rank = np.empty(len(texts) + 1, dtype=np.int64)
    rank[order] = np.arange(len(texts))
    rank[-1] = -1
    return rank[number], [texts[index] for index in order]


def rounds(column: pd.Series) -> Array:
    """Whole numbers from 0."""
    values = numbers(column, "round", least=0.0)
    if (odd := np.flatnonzero(np.isnan(values) | (values != np.floor(values)))).size:
        raise ValueError(
            f"round is {values[odd[0]]:g} in data row {odd[0] + 1}; it is a whole number, 0 for the first answer"
        )
    if (most := values.max()) > _MOST_ROUNDS:
        raise ValueError(f"round is {most:g} in data row {values.argmax() + 1}; at most {_MOST_ROUNDS} are understood")
    return values.astype(np.int64)


def numbers(column: pd.Series, name: str, *, least: float) -> Array:
    """Finite numbers of at least ``least``; a missing one is NaN."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = (np.isnan(values) & column.notna().to_numpy()) | np.isinf(values) | (values < least)
    if (at := np.flatnonzero(bad)).size:
        raise ValueError(
            f"{name} is {column.iloc[at[0]]!r} in data row {at[0] + 1}; give a number of {least:g} or more"
        )
    return values


def corrects(column: pd.Series) -> Array:
    """1 for true, 0 for false, -1 where it is missing."""
    number, values = pd.factorize(column)
    truth = [_TRUTH.get(str(value).strip().lower()) for value in values]
    if None in truth:
        at = truth.index(None)
        row = int(np.flatnonzero(number == at)[0])
        raise ValueError(f"correct is {values[at]!r} in data row {row + 1}; it is true, false or missing")
    return np.asarray([*truth, -1], dtype=np.int8)[number]


def flags(column: pd.Series, known: Sequence[str]) -> Array:
    """Index into the known words; the first of them where the value is missing."""
    number, values = pd.factorize(column)
    index = [known.index(value) if value in known else -1 for value in map(str, values)]
    if -1 in index:
        at = index.index(-1)
        row = int(np.flatnonzero(number == at)[0])
        words = ", ".join(known[1:] if known is VERDICTS else known)
        raise ValueError(
            f"{column.name} is {values[at]!r} in data row {row + 1}; known: {words}"
            + (", or missing if the answer was not examined" if known is VERDICTS else "")
        )
    return np.asarray([*index, 0], dtype=np.int8)[number]


def statuses(column: pd.Series, correct: Array, judged: Array) -> Array:
    """State of each answer by its status, ``len(STATES)`` for a failed call; ``judged`` is its state if it is judged.

    A refusal may be judged (on a harmful prompt it is right); an unparsed answer and a failed call cannot be.
    """
    if (missing := np.flatnonzero(column.isna().to_numpy())).size:
        raise ValueError(f"status is missing in data row {missing[0] + 1}; known: {', '.join(_STATUSES)}")
    status = flags(column, _STATUSES)
    contradiction = ((status == 0) & (correct < 0)) | (((status == 1) | (status == 3)) & (correct >= 0))
    if (at := np.flatnonzero(contradiction)).size:
        row = at[0]
        told = "missing" if correct[row] < 0 else "given"
        raise ValueError(
            f"status is {_STATUSES[status[row]]!r} in data row {row + 1} and correct is {told}; an answer that is ok "
            "has it, one that is unparsed or failed has not"
        )
    unjudged = np.asarray([-1, UNPARSED, REFUSED, len(STATES)])[status]
    return np.where(correct >= 0, judged, unjudged)
