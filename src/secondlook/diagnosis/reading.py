"""Tables from files: a run's folder, CSV, JSON or Parquet, ours or anyone's."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence, Set
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.diagnosis.examiner import FILE as RUN
from secondlook.files import FORMATS, DataError, cells_of, heading_of, matched, parquet_frame, rows_of, text_of

NAMES = ("arm", "critic", "sample", "template", "group", "context", "model", "variant", "prompt")
SETTINGS = ("stop", "keep", "decoding", "chat_template", "judge")
WORDS = ("status", "verdict", "elicited", "elicited_verdict")
NUMBERS = (
    *("round", "correct", "noise_p", "tokens", "tokens_in", "tokens_out", "tokens_critique", "bias"),
    *("p_answer", "p_wrong", "kept", "preferred", "tokens_judge"),
)
USED = (*NAMES, *SETTINGS, *WORDS, *NUMBERS)
"""The columns a diagnosis uses; others are not read."""

_CHUNK = 100_000  # rows in memory as Python objects at a time


def read_tables(paths: Sequence[Path], also: Sequence[str] = ()) -> pd.DataFrame:
    """Read one or several files or run folders into one table, with the columns of :data:`USED` they have.

    Args:
        paths: Folders that hold ``records.csv``, or files.
        also: Further columns to read.

    Raises:
        ValueError: If a file is missing, empty or cannot be read, naming it, what was found and the remedy.
    """
    frames = [_read(path, {*USED, *also}) for path in paths]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read(path: Path, columns: Set[str]) -> pd.DataFrame:
    file = path / "records.csv" if path.is_dir() else path
    if not file.is_file():
        if (path / RUN).is_file():
            raise ValueError(f"{str(path)!r}: its run has not ended; end it with the command that began it")
        what = "folder has no records.csv" if path.is_dir() else "there is no such file"
        raise ValueError(f"{str(path)!r}: {what}; give the folder of a run, or a file: {FORMATS}")
    kind = file.suffix.lower()
    if kind in (".csv", ".tsv"):
        table, names = _csv(file, columns)
    elif kind in (".parquet", ".pq"):
        frame = parquet_frame(file)
        names = [str(name) for name in frame]
        table = frame.set_axis(names, axis=1)
    else:
        table = _objects(file)
        names = [str(name) for name in table]
    table = table.rename(columns=matched(names, columns, file))
    table = table[[name for name in table if name in columns]]
    if names and not {"sample", "round", "correct"} & {*table}:
        raise ValueError(
            f"{str(path)!r} has none of the columns sample, round and correct; it has {', '.join(map(repr, names))}: "
            "rename them (docs/diagnosis.md)"
        )
    if not len(table):
        raise ValueError(f"{str(path)!r} has no rows; give a table with one row per sample and round")
    for name in table:
        _refuse_nested(file, str(name), table[name])
    return table


def _objects(file: Path) -> pd.DataFrame:
    rows = (row for _, row in rows_of(file))
    parts = []
    while part := list(islice(rows, _CHUNK)):
        parts.append(pd.DataFrame.from_records(part))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _csv(file: Path, columns: Set[str]) -> tuple[pd.DataFrame, list[str]]:
    text = text_of(file)
    names, separator = heading_of(text)
    if not any(names):
        return pd.DataFrame(), names
    deque(cells_of(file, text, names, separator), maxlen=0)  # pandas would cut lines that are too long, and say nothing
    known = matched(names, columns, file)
    kept = [index for index, name in enumerate(names) if name in known]
    # Names are text: 007 stays 007, and NA is a name.
    texts = [name for name, meant in known.items() if meant in (*NAMES, *SETTINGS, *WORDS)]
    missing: dict[str, Any] = {name: [""] if known[name] in NAMES else MISSING for name in known}
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=0,
            # An index has no heading; pandas needs names that differ, and no column is called like these.
            names=[name or f"\0{index}" for index, name in enumerate(names)],
            index_col=False,
            usecols=kept,
            dtype=dict.fromkeys(texts, "str"),
            keep_default_na=False,
            na_values=missing,
            skipinitialspace=True,
            # Where semicolons separate, a comma is the decimal mark. A number with a point stays text here, and
            # `columns.numbers` reads it.
            decimal="," if separator == ";" else ".",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(
            file, None, f"not CSV ({' '.join(str(error).split())}); quote cells that hold {separator!r}"
        ) from None
    return table.assign(**{name: table[name].str.strip() for name in texts}).dropna(how="all"), names


MISSING = ["", "NA", "N/A", "n/a", "nan", "NaN", "NAN", "null", "NULL", "None", "none", "<NA>"]
"""Spellings of a missing number or word; ``none`` is also the verdict of an answer nobody examined."""


def _refuse_nested(file: Path, name: str, column: pd.Series) -> None:
    """A cell is one value; what holds several has to say which is meant."""
    if column.dtype != object:
        return
    for row, value in enumerate(column, start=1):
        if pd.api.types.is_list_like(value):
            told = ", ".join(map(str, value)) if isinstance(value, dict) else "a list"
            raise DataError(
                file, None, f"{name} in data row {row} is nested ({told}); give one value, e.g. a column {name} of text"
            )
