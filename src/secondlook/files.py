"""Rows out of files as people have them: JSON Lines, JSON, CSV with any usual separator, Parquet; one reader for all.

A byte order mark, UTF-16, UTF-32, spaces around headings, capitals, index columns, NaN and cells of any length are
read. What cannot be read is a :class:`DataError`: one line with the place, what was found and what to do.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _csv import Reader

    import pandas as pd

FORMATS = ".jsonl, .json (a list), .csv, .tsv or .parquet"
# In order of preference: where two make as many columns, the first is taken.
_SEPARATORS = ",;\t|"
# Python's utf-16 reads the byte order off the mark and drops it; utf-16-le would leave it in the text. The marks of
# UTF-32 come first, since one of them begins as one of UTF-16 does.
_MARKS = {
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}

Rows = Iterator[tuple[int, dict[str, Any]]]
"""Rows with the line, or the number, they have in their file."""


class DataError(ValueError):
    """Data that cannot be used: ``FILE:LINE: reason (value) — remedy``.

    Attributes:
        path: The file or folder at fault.
        line: Line number, counted from 1; ``None`` where the fault is not in one line.
        reason: What is wrong, the value at fault, and what to do.
    """

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path = path
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else f"{self.path}"
        return f"{place}: {self.reason}"


def rows_of(path: Path) -> Rows:
    """The rows of a file, as plain JSON values: a missing one is ``None``.

    Raises:
        DataError: It cannot be read, or a row is no object.
    """
    kind = path.suffix.lower()
    readers: Mapping[str, Callable[[Path], Rows]] = {
        **dict.fromkeys((".jsonl", ".ndjson", ".json"), _json),
        **dict.fromkeys((".csv", ".tsv"), _csv),
        **dict.fromkeys((".parquet", ".pq"), _parquet),
    }
    if kind not in readers:
        raise DataError(path, None, f"ends in {path.suffix!r}; give {FORMATS}")
    return readers[kind](path)


def text_of(path: Path) -> str:
    """The text of a file: UTF-8, or UTF-16 or UTF-32 where a mark says so.

    Raises:
        DataError: It is none of them, or cannot be read.
    """
    try:
        held = path.read_bytes()
        return held.decode(next((name for mark, name in _MARKS.items() if held.startswith(mark)), "utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            path, None, f"not {error.encoding.upper()} ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(path, None, f"cannot be read ({reason}); give {FORMATS}") from None


def heading_of(text: str) -> tuple[list[str], str]:
    """Headings of CSV text, without the spaces around them, and its separator; an index without one is ``""``."""
    file = io.StringIO(text, newline="")

    def lines_by(separator: str) -> Reader:
        file.seek(0)
        return _lines(file, separator)

    separator = max(_SEPARATORS, key=lambda one: len(next(lines_by(one), [])))
    lines = lines_by(separator)
    names, first = [name.strip() for name in next(lines, [])], next(lines, [])
    if len(first) == len(names) + 1 and not first[-1].strip():
        names = [*names, ""]  # lines that end with a separator
    elif len(first) == len(names) + 1 and first[0].strip() in ("0", "1"):
        names = ["", *names]  # R numbers its rows, without a heading
    return names, separator


def cells_of(path: Path, text: str, names: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of CSV text below its heading, as cells; empty ones are left out.

    Raises:
        DataError: A line has another number of cells than the heading, or a heading stands there twice.
    """
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise DataError(path, 1, f"has two columns {twice[0]!r}; rename one")
    reader = _lines(io.StringIO(text, newline=""), separator, strict=True)
    try:
        next(reader, None)
        for cells in reader:
            if len(cells) != len(names) and any(map(str.strip, cells)):
                raise DataError(
                    path,
                    reader.line_num,
                    f"has {len(cells)} cells, the heading {len(names)} (separated by {separator!r}); quote cells "
                    "that hold the separator",
                )
            if any(map(str.strip, cells)):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not CSV ({error})") from None


def matched(names: Iterable[str], known: Collection[str], path: Path) -> dict[str, str]:
    """Known names, by the file's names that stand for them: the same, or the same but for capitals and spaces.

    Raises:
        DataError: Two of its names stand for one.
    """
    found: dict[str, str] = {}
    given = list(names)
    for name in known:
        alike = [name] if name in given else [one for one in given if one.strip().lower() == name]
        if len(alike) > 1:
            raise DataError(path, None, f"has columns {', '.join(map(repr, alike))}, all for {name!r}; keep one")
        found |= dict.fromkeys(alike, name)
    return found


def parquet_frame(path: Path) -> pd.DataFrame:
    """A Parquet file as a table, its index as columns.

    Raises:
        DataError: It cannot be read.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(path, None, "Parquet needs pyarrow; install it: pip install 'secondlook[data]'") from None
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(path, None, f"cannot be read ({cause})") from None
    # `set_index` moves columns into the index; an index that only counts rows has no name.
    named = [name for name in frame.index.names if name is not None and name not in frame]
    return frame.reset_index(named) if named else frame


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN is ``None``, half a surrogate pair is U+FFFD, a NumPy number plain, a date text.

    Raises:
        TypeError: JSON has no such value.
    """
    if isinstance(value, str):
        # UTF-16 joins two halves that stand together; one alone could not be written as UTF-8, and is replaced.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise TypeError(f"{value}")
        return None if math.isnan(value) else float(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    # By name, so that pandas need not be imported. NaT has an isoformat, which gives the word "NaT".
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _row(path: Path, line: int, row: Mapping[Any, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in row.items():
        if (stripped := str(name).strip()) in made:
            raise DataError(path, line, f"has two columns {stripped!r}, alike but for spaces; rename one")
        try:
            made[stripped] = plain(value)
        except TypeError as error:
            raise DataError(
                path, line, f"column {str(name)!r} holds {error}, which JSON cannot; leave it out"
            ) from None
    return made


def _json(path: Path) -> Rows:
    text = text_of(path)
    # Under another ending, a list of objects is read as a list too; [1, 2] is a line, and refused with its number.
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("[{", "[\n", "[\r")):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise DataError(path, line, f"not JSON ({error}); one object a line needs the ending .jsonl") from None
        if not isinstance(rows, list):
            raise DataError(path, None, f"holds a {type(rows).__name__}; give a list of objects")
        yield from ((line, _object(path, line, row)) for line, row in enumerate(rows, start=1))
        return
    # Not splitlines(): it also splits at U+2028 and the like, which may stand in a JSON string as they are.
    for line, one in enumerate(text.split("\n"), start=1):
        if not one.strip():
            continue
        try:
            row = json.loads(one)
        except json.JSONDecodeError as error:
            raise DataError(path, line, f"not JSON ({error.msg} at character {error.pos + 1})") from None
        except RecursionError:
            raise DataError(path, line, "is nested too deeply; flatten it") from None
        yield line, _object(path, line, row)


def _object(path: Path, line: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(path, line, f"is a {type(row).__name__}, not an object with fields such as prompt and answer")
    return _row(path, line, row)


def _csv(path: Path) -> Rows:
    text = text_of(path)
    names, separator = heading_of(text)
    for line, cells in cells_of(path, text, names, separator):
        yield line, _row(path, line, dict(zip(names, cells, strict=True)))


def _parquet(path: Path) -> Rows:
    frame = parquet_frame(path)
    columns = [str(name) for name in frame]
    for number, values in enumerate(zip(*(frame[name] for name in frame), strict=True), start=1):
        yield number, _row(path, number, dict(zip(columns, values, strict=True)))


def _lines(file: io.StringIO, separator: str, *, strict: bool = False) -> Reader:
    """Lines of CSV as cells, which may hold line breaks, and be of any length."""
    # The limit is the whole process's: raised, and never lowered. It is a C long, which has 32 bits on Windows.
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    return csv.reader(file, delimiter=separator, strict=strict, skipinitialspace=True)
