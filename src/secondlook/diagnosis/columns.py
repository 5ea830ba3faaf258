"""Columns of a foreign table, checked value by value: an error names the row, the value and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.records import STATUSES, Verdict
from secondlook.gate import Keep

STATES = ("right", "wrong", "unparsed", "refused")
"""States of an answer in hand."""
RIGHT, WRONG, UNPARSED, REFUSED = range(4)

VERDICTS = ("none", *get_args(Verdict))
"""Verdicts of a critic on an answer: ``none`` if it was not examined, ``wrong`` is an alarm."""
SILENT, ALARM, PASS, UNCLEAR = range(4)

KEEPS: tuple[Keep, ...] = get_args(Keep)
"""Rules by which an answer is kept after a look."""

_FREE = "always-unknown"  # the control that asks nobody
# A column with gaps is read as floats, so that true may be written 1.0.
TRUTH: Mapping[str, bool] = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
"""Spellings of true and false, in small letters."""
# A table has a column in memory for every round up to the last: one mistyped round must not fill it.
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
    # factorize gives a missing name −1, which picks this last place.
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


def tokens(frame: pd.DataFrame) -> Array:
    """Tokens of each row, NaN where the table has none.

    An arm whose calls all cost nothing is one of a server that did not tell; only who asks nobody spends nothing.
    """
    named = ["tokens"] if "tokens" in frame else ["tokens_in", "tokens_out"]
    if not set(named) <= set(frame.columns):
        return np.full(len(frame), np.nan)
    values = np.asarray(np.sum([numbers(frame[name], name, least=0.0) for name in named], axis=0), dtype=np.float64)
    column = next((name for name in ("arm", "critic") if name in frame), None)
    arm = frame[column].astype(str).to_numpy() if column else np.full(len(frame), "")
    for name in set(arm[values == 0]) - {_FREE}:
        if not values[mine := arm == name].any():
            values[mine] = np.nan
    return values


def critique_tokens(frame: pd.DataFrame, spent: Array) -> Array:
    """Tokens of each row that its critique took, NaN where the table does not say."""
    if "tokens_critique" not in frame:
        return np.full(len(frame), np.nan)
    values = numbers(frame["tokens_critique"], "tokens_critique", least=0.0)
    if (odd := np.flatnonzero(values > spent)).size:
        raise ValueError(
            f"tokens_critique is {values[odd[0]]:g} in data row {odd[0] + 1}, more than the row's {spent[odd[0]]:g} "
            "tokens; the tokens of a row are those of its answer and its critique together"
        )
    return values


def corrects(column: pd.Series, name: str = "correct") -> Array:
    """1 for true, 0 for false, -1 where it is missing."""
    return _coded(column, name, lambda word: TRUTH.get(word.strip().lower()), -1, "it is true, false or missing")


def keeps(column: pd.Series) -> Array:
    """Index into :data:`KEEPS`; -1 where it is missing."""
    codes_: dict[str, int] = {word: code for code, word in enumerate(KEEPS)}
    return _coded(column, "keep", lambda word: codes_.get(word.strip().lower()), -1, f"known: {', '.join(KEEPS)}")


def verdicts(column: pd.Series) -> Array:
    """Index into :data:`VERDICTS`; ``SILENT`` where it is missing."""
    remedy = f"known: {', '.join(VERDICTS[1:])}, or missing if the answer was not examined"
    codes_: dict[str, int] = {word: code for code, word in enumerate(VERDICTS)}
    return _coded(column, "verdict", lambda word: codes_.get(word.strip().lower()), SILENT, remedy)


def states(frame: pd.DataFrame) -> Array:
    """State of each row's answer, an index into :data:`STATES`; ``len(STATES)`` for a failed call.

    A refusal may be judged (on a harmful prompt it is right); an unparsed answer and a failed call cannot be.
    """
    correct = corrects(frame["correct"])
    judged = np.where(correct == 1, RIGHT, WRONG).astype(np.int8)
    if "status" not in frame:
        return np.where(correct < 0, np.int8(UNPARSED), judged)
    known = f"known: {', '.join(STATUSES)}"
    codes_: dict[str, int] = {word: code for code, word in enumerate(STATUSES)}
    status = _coded(frame["status"], "status", lambda word: codes_.get(word.strip().lower()), -1, known)
    if (missing := np.flatnonzero(status < 0)).size:
        raise ValueError(f"status is missing in data row {missing[0] + 1}; {known}")
    # Places in Status: 0 ok, 1 unparsed, 2 refused, 3 error. A refusal may be judged, or not.
    contradiction = ((status == 0) & (correct < 0)) | (((status == 1) | (status == 3)) & (correct >= 0))
    if (at := np.flatnonzero(contradiction)).size:
        told = "missing" if correct[at[0]] < 0 else "given"
        raise ValueError(
            f"status is {STATUSES[status[at[0]]]!r} in data row {at[0] + 1} and correct is {told}; an answer that is "
            "ok has it, one that is unparsed or failed has not"
        )
    # The −1 of an ok is never taken: such an answer has `correct`.
    return np.where(correct >= 0, judged, np.asarray([-1, UNPARSED, REFUSED, len(STATES)], dtype=np.int8)[status])


def _coded(column: pd.Series, name: str, code: Callable[[str], int | None], missing: int, remedy: str) -> Array:
    """The code of each value, looked up once for every different one."""
    number, values = pd.factorize(column)
    found = [code(str(value)) for value in values]
    if None in found:
        at = found.index(None)
        row = int(np.flatnonzero(number == at)[0])
        raise ValueError(f"{name} is {values[at]!r} in data row {row + 1}; {remedy}")
    # factorize gives a missing value −1, which picks the last place.
    return np.asarray([*found, missing], dtype=np.int8)[number]
