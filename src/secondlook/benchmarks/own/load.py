"""Questions out of a user's data: JSON Lines, JSON, CSV, Parquet, or a Hugging Face dataset on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from secondlook.benchmarks.own.grading import MODEL, absolute, cannot_match, load_grader, needs_answer
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Json
from secondlook.files import DataError, matched, plain, rows_of

FIELDS = ("prompt", ANSWER, "id", "group", "template", "condition")
"""Fields of a question; all but ``prompt`` may be missing."""

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
    if not needs_answer(grader) and grader != MODEL:
        load_grader(grader)
    fields = dict(fields or {})
    if unknown := sorted(set(fields) - set(FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}; a question has {', '.join(FIELDS)}")
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for line, row in _rows(path, split):
        # The columns anew for each row: objects of JSON Lines need not have the same keys.
        question = _question(path, line, row, grader, _columns(path, row, fields), given=set(fields))
        if question.id in seen:
            raise DataError(path, line, f"id {question.id!r} is that of row {seen[question.id]}; give each its own")
        seen[question.id] = line
        questions.append(question)
    if not questions:
        raise DataError(path, None, "there is no row; give at least one question")
    return questions


def _columns(path: Path, row: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """Column by field: the one that was named, or one of the field's own name but for capitals and spaces."""
    alike = matched(row, [name for name in FIELDS if name not in fields], path)
    return {**{name: name for name in FIELDS}, **{name: given for given, name in alike.items()}, **fields}


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
        wants = {"choice": "a letter such as B", "number": "a number"}.get(grader, "words: markup alone is none")
        raise DataError(path, line, f"{columns[ANSWER]} is {truth!r}, but grader {grader!r} needs {wants}")
    kept: dict[str, Json] = dict(row)
    # The one name by which graders find the truth, and by which critics and prompts are kept from it.
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


def _rows(path: Path, split: str | None) -> _Rows:
    if path.is_dir():
        return _dataset(path, split)
    if split is not None:
        raise DataError(path, None, f"a file has no splits, but split is {split!r}; leave it out")
    return rows_of(path)


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
    return _plain_rows(path, loaded.to_list())


def _plain_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> _Rows:
    for number, row in enumerate(rows, start=1):
        try:
            yield number, plain(row)
        except TypeError as error:
            raise DataError(path, number, f"holds {error}, which JSON cannot; leave the column out") from None
