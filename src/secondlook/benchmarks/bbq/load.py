"""Loading a folder of BBQ files as items: strict, in the order of the files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from secondlook.benchmarks.bbq.biased import METADATA_NAME, biased_from_groups, biased_from_metadata
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.bbq.rows import PublishedRow, parse_row
from secondlook.files import DataError

__all__ = ["DataError", "data_folder", "load_items"]

_GET = "run `secondlook data get bbq`, or set SECONDLOOK_DATA to the folder that holds bbq/"


def data_folder() -> Path:
    """Folder in which the BBQ files are looked for.

    Returns:
        ``$SECONDLOOK_DATA/bbq`` if that variable is set, else ``secondlook/bbq`` in the user's cache
        (``$XDG_CACHE_HOME``, by default ``~/.cache``), where the download command puts them. It need not
        exist.
    """
    if data := os.environ.get("SECONDLOOK_DATA"):
        return Path(data) / "bbq"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "secondlook" / "bbq"


def load_items(folder: Path, metadata: Path | None = None, categories: Sequence[str] | None = None) -> list[Item]:
    """Load the questions of a folder.

    Args:
        folder: Holds one ``CATEGORY.jsonl`` per category; sub-folders are not looked into.
        metadata: The published ``additional_metadata.csv``, which tells the biased answers. By default the
            file of that name in ``folder``; where there is none, they are derived from the rows' groups
            (:mod:`secondlook.benchmarks.bbq.biased`).
        categories: Load only these.

    Returns:
        Every row of the files, by file name and line number, with the options as in the file.

    Raises:
        DataError: The folder or a category is missing, a line is bad, an example is there twice, or the
            metadata do not belong to the data. The message names file, line, reason and remedy.
    """
    sources: list[tuple[Path, int]] = []
    rows: list[PublishedRow] = []
    for path in _files(folder, categories):
        for number, row in enumerate(_rows(path), start=1):
            sources.append((path, number))
            rows.append(row)
    # A file holds the category of its name (`parse_row` sees to it), so these numbers are lines of one file.
    seen: dict[tuple[str, int], int] = {}
    for (path, number), row in zip(sources, rows, strict=True):
        first = seen.setdefault((row.category, row.example_id), number)
        if first != number:
            reason = f"example_id is that of line {first} ({row.example_id}) — delete one of the two lines"
            raise DataError(path, number, reason)
    if metadata is None and (folder / METADATA_NAME).is_file():
        metadata = folder / METADATA_NAME
    biased = [biased_from_groups(row) for row in rows] if metadata is None else biased_from_metadata(rows, metadata)
    return [to_item(row, index) for row, index in zip(rows, biased, strict=True)]


def _files(folder: Path, categories: Sequence[str] | None) -> list[Path]:
    if not folder.is_dir():
        raise DataError(folder, None, f"no such folder — {_GET}")
    files = {path.stem: path for path in sorted(folder.glob("*.jsonl")) if path.is_file()}
    if not files:
        raise DataError(folder, None, f"no .jsonl file in this folder — {_GET}")
    if categories is None:
        return list(files.values())
    known = ", ".join(files)
    if not categories:
        raise DataError(folder, None, f"no category asked for — name one or more of: {known}")
    unknown = [name for name in categories if name not in files]
    if unknown:
        reason = f"unknown category ({', '.join(unknown)}) — known here: {known}; for others {_GET}"
        raise DataError(folder, None, reason)
    return [path for name, path in files.items() if name in categories]


def _rows(path: Path) -> list[PublishedRow]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(path, None, f"cannot be read ({error.strerror}) — check its permissions") from None
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError(path, None, "empty file — fetch it again: `secondlook data get bbq`")
    return [parse_row(line, path, number) for number, line in enumerate(lines, start=1)]


def to_item(row: PublishedRow, biased: int | None) -> Item:
    """A validated row as an item, with the options as in the file.

    Args:
        row: The row.
        biased: Index of its biased answer, if known (:mod:`secondlook.benchmarks.bbq.biased`).
    """
    return Item(
        id=f"{row.category}/{row.example_id}",
        category=row.category,
        template=f"{row.category}/{row.question_index}",
        condition=row.context_condition,
        polarity=row.question_polarity,
        context=row.context,
        question=row.question,
        options=(row.ans0, row.ans1, row.ans2),
        label=row.label,
        unknown=row.unknowns[0],
        biased=biased,
    )
