"""Questions out of a user's data: JSON Lines, JSON, CSV, Parquet, or a Hugging Face dataset on disk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from secondlook.benchmarks.bbq.rows import DataError
from secondlook.benchmarks.own.grading import absolute, cannot_match, load_grader, needs_answer
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Json

FIELDS = ("prompt", ANSWER, "id", "group", "template", "condition")
"""What a question is made of; all but ``prompt`` may be missing."""

_FORMATS = ".jsonl, .json (a list), .csv, .parquet, or the folder of a dataset saved with save_to_disk"
_Rows = Iterable[tuple[int, Mapping[str, Any]]]


def load_questions(
    path: Path, grader: str, *, fields: Mapping[str, str] | None = None, split: str | None = None
) -> list[Question]:
    """Load every row as a question.

    Args:
        path: A file, or the folder of a dataset.
        grader: Name of the grader.
        fields: Column by field, where a column of the data is not named as in :data:`FIELDS`.
        split: Of a dataset with several splits.

    Raises:
        DataError: The data cannot be read, or a row lacks what it needs; names the row and the remedy.
        ValueError: There is no such grader or field.
    """
    grader = absolute(grader)
    if not needs_answer(grader):
        load_grader(grader)
    columns = dict(zip(FIELDS, FIELDS, strict=True)) | dict(fields or {})
    if unknown := sorted(set(columns) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}; a question has {', '.join(FIELDS)}")
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for line, row in _rows(path, split):
        question = _question(path, line, row, grader, columns, given=set(fields or ()))
        if question.id in seen:
            raise DataError(path, line, f"id {question.id!r} is that of row {seen[question.id]}; give each its own")
        seen[question.id] = line
        questions.append(question)
    if not questions:
        raise DataError(path, None, "there is no row; give at least one question")
    return questions


def _question(
    path: Path, line: int, row: Mapping[str, Any], grader: str, columns: Mapping[str, str], given: set[str]
) -> Question:
    if missing := sorted(name for name in given if columns[name] not in row):
        raise DataError(
            path, line, f"there is no column {columns[missing[0]]!r} for {missing[0]}; it has {', '.join(row)}"
        )
    prompt = row.get(columns["prompt"])
    if not isinstance(prompt, str) or not prompt.strip():
        hint = "" if columns["prompt"] in row else f"; it has {', '.join(row)}: name one with --field prompt=COLUMN"
        raise DataError(path, line, f"{columns['prompt']} is {prompt!r}, but a question needs a text{hint}")
    truth = row.get(columns[ANSWER])
    if needs_answer(grader) and not (truth if isinstance(truth, list) else _told(truth)):
        raise DataError(
            path,
            line,
            f"{columns[ANSWER]} is {truth!r}, but grader {grader!r} compares with it; give it, name its column with "
            f"--field {ANSWER}=COLUMN, or give a grader of your own",
        )
    if cannot_match(grader, truth):
        wants = "a letter such as B" if grader == "choice" else "a number"
        raise DataError(path, line, f"{columns[ANSWER]} is {truth!r}, but grader {grader!r} needs {wants}")
    kept: dict[str, Json] = {name: _json(path, line, name, value) for name, value in row.items()}
    if columns[ANSWER] in kept:
        kept[ANSWER] = kept.pop(columns[ANSWER])
    name = str(row[columns["id"]]) if _told(row.get(columns["id"])) else str(line)
    condition = row.get(columns["condition"])
    return Question(
        id=name,
        category=str(row[columns["group"]]) if _told(row.get(columns["group"])) else path.stem,
        template=str(row[columns["template"]]) if _told(row.get(columns["template"])) else name,
        condition=str(condition) if _told(condition) else None,
        text=prompt,
        grader=grader,
        row=kept,
    )


def _told(value: object) -> bool:
    return value is not None and str(value).strip() != ""


def _json(path: Path, line: int, name: str, value: Any) -> Json:
    """A value as JSON can hold it: rows travel in the logs."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise DataError(
            path, line, f"column {name!r} holds a {type(value).__name__}, which JSON cannot; leave the column out"
        ) from None
    plain: Json = json.loads(text)
    return plain


def _rows(path: Path, split: str | None) -> _Rows:
    if path.is_dir():
        return _dataset(path, split)
    if split is not None:
        raise DataError(path, None, f"a file has no splits, but split is {split!r}; leave it out")
    readers = {".jsonl": _json_lines, ".json": _json_list, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise DataError(path, None, f"ends in {path.suffix!r}; give {_FORMATS}")
    return readers[path.suffix](path)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(path, None, f"cannot be read ({reason}); give {_FORMATS}") from None


def _json_lines(path: Path) -> _Rows:
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(path, line, f"not JSON ({error.msg} at character {error.pos + 1})") from None
        yield line, _object(path, line, row)


def _json_list(path: Path) -> _Rows:
    try:
        rows = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise DataError(path, error.lineno, f"not JSON ({error.msg})") from None
    if not isinstance(rows, list):
        raise DataError(path, None, f"holds a {type(rows).__name__}; give a list of objects")
    for index, row in enumerate(rows, start=1):
        yield index, _object(path, index, row)


def _object(path: Path, line: int, row: Any) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise DataError(path, line, f"is a {type(row).__name__}, not an object with fields such as prompt and answer")
    return row


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader: csv.DictReader[str] = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True, restkey="\0")
    try:
        for row in reader:
            if "\0" in row or None in row.values():
                raise DataError(path, reader.line_num, "has another number of cells than the heading; quote commas")
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not CSV ({error})") from None


def _parquet(path: Path) -> _Rows:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise DataError(path, None, "Parquet needs pyarrow; install it: pip install 'secondlook[data]'") from None
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(path, None, f"cannot be read ({cause})") from None
    return enumerate(json.loads(frame.to_json(orient="records")), start=1)


def _dataset(path: Path, split: str | None) -> _Rows:
    try:
        import datasets
    except ImportError:
        raise DataError(
            path, None, "a dataset on disk needs the datasets library; install it: pip install 'secondlook[data]'"
        ) from None
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(path, None, f"is no dataset saved with save_to_disk ({cause})") from None
    if isinstance(loaded, datasets.DatasetDict):
        names = ", ".join(loaded)
        if split is None and len(loaded) > 1:
            raise DataError(path, None, f"has the splits {names}; name one with --split")
        if split is not None and split not in loaded:
            raise DataError(path, None, f"has no split {split!r}; it has {names}")
        loaded = loaded[split or next(iter(loaded))]
    elif split is not None:
        raise DataError(path, None, f"has no splits, but split is {split!r}; leave it out")
    return enumerate(loaded.to_list(), start=1)
