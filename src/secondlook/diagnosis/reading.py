"""Tables from files: a run's folder, CSV, JSON Lines or Parquet, ours or anyone's."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

import pandas as pd

KEYS = (
    *("arm", "critic", "sample", "template", "group", "context", "status", "verdict", "model", "variant", "prompt"),
    *("elicited", "elicited_verdict"),
)
NUMBERS = (
    *("round", "correct", "noise_p", "tokens", "tokens_in", "tokens_out", "tokens_critique", "bias"),
    *("p_answer", "p_wrong"),
)
COLUMNS = (*KEYS, *NUMBERS)
"""The columns a diagnosis uses; others are not read."""

_CHUNK = 100_000  # rows of JSON Lines in memory as Python objects at a time


def read_tables(paths: Sequence[Path], also: Sequence[str] = ()) -> pd.DataFrame:
    """Read one or several files or run folders into one table, with the columns of :data:`COLUMNS` they have.

    Args:
        paths: Folders that hold ``records.csv``, or files named ``.csv``, ``.jsonl`` or ``.parquet``.
        also: Further columns to read.

    Raises:
        ValueError: If a file is missing, empty or cannot be read, naming it and the remedy.
    """
    frames = [_read(path, {*COLUMNS, *also}) for path in paths]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read(path: Path, columns: Set[str]) -> pd.DataFrame:
    file = path / "records.csv" if path.is_dir() else path
    if not file.is_file():
        what = "folder has no records.csv" if path.is_dir() else "there is no such file"
        raise ValueError(f"{str(path)!r}: {what}; give the folder of a run, or a .csv, .jsonl or .parquet file")
    reader = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}.get(file.suffix)
    if reader is None:
        raise ValueError(f"{str(path)!r} ends in {file.suffix!r}; give a .csv, .jsonl or .parquet file")
    try:
        table = reader(file, columns)
    except ImportError:
        raise ValueError(f"{str(path)!r}: reading Parquet takes pyarrow; pip install pyarrow, or give CSV") from None
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{str(path)!r} cannot be read ({reason}); see docs/diagnosis.md for its form") from None
    if table.empty:
        raise ValueError(f"{str(path)!r} has no rows; give a table with one row per sample and round")
    return table


def _csv(file: Path, columns: Set[str]) -> pd.DataFrame:
    # Names are text: 007 stays 007.
    return pd.read_csv(file, usecols=lambda name: name in columns, dtype=dict.fromkeys(KEYS, "str"))


def _json_lines(file: Path, columns: Set[str]) -> pd.DataFrame:
    with pd.read_json(file, lines=True, dtype=False, chunksize=_CHUNK) as chunks:
        parts = [chunk[[name for name in chunk if name in columns]] for chunk in chunks]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _parquet(file: Path, columns: Set[str]) -> pd.DataFrame:
    table = pd.read_parquet(file)
    return table[[name for name in table if name in columns]]
