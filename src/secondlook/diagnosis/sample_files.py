"""Scored answers out of plain files: lm-eval's ``samples_*.jsonl``, and tables with a sample and a score."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from secondlook.diagnosis.scored import ScoredAnswer, ScoredLog, score_of, scored_log
from secondlook.files import DataError, rows_of

_LM_EVAL = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+")
_LONG = frozenset(("arguments", "resps", "filtered_resps"))  # prompts and replies: nearly all of a file of lm-eval's
_OF_LM_EVAL = frozenset(("doc_id", "doc", "target", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"))
_OF_TABLES = frozenset(("sample", "epoch", "error", "model", "task", "question"))
_NO_FILTER = (None, "none")


def read_scored(path: Path, scorer: str | None = None, cluster: str | None = None) -> ScoredLog:
    """Read a file of lm-eval's, or a table: ``sample``, ``epoch`` where there are several, and columns of scores.

    Raises:
        DataError: It is neither, or cannot be read.
        ValueError: As of :func:`secondlook.diagnosis.scored.scored_log`.
    """
    rows = [{name: row[name] for name in row if name not in _LONG} for _, row in rows_of(path)]
    if rows and "doc_id" in rows[0]:
        written = _LM_EVAL.match(path.stem)
        task = written["task"] if written else None
        # lm-eval names the folder after the model, and the file after the task.
        model = path.parent.name.replace("__", "/", 1) if written and path.parent.name else None
        return scored_log(str(path), _lm_eval(path, rows), scorer=scorer, cluster=cluster, model=model, task=task)
    if other := next((row for row in rows if row.get("sample") is None), None):
        told = ", ".join(map(repr, list(other)[:12]))
        raise DataError(path, None, f"has neither doc_id (lm-eval) nor a sample in a row; that has {told}")
    models, tasks = ({str(row[name]) for row in rows if row.get(name) is not None} for name in ("model", "task"))
    for name, found in (("model", models), ("task", tasks)):
        if len(found) > 1:
            raise DataError(path, None, f"holds several {name}s ({', '.join(sorted(found)[:3])}); give each a file")
    # A cluster is no score, and of all other columns those are that hold numbers.
    known = _OF_TABLES | {cluster or ""}
    names = [name for name in rows[0] if name not in known and _scores(rows, name)] if rows else []
    answers = (
        ScoredAnswer(
            sample=str(row["sample"]),
            epoch=_epoch(path, row),
            # A score that was asked for is taken whatever it holds, so that an error can name the value.
            scores={name: row.get(name) for name in ([scorer] if scorer in row else names)},
            about={name: value for name, value in row.items() if name != "sample"},
            question=None if row.get("question") is None else str(row["question"]),
        )
        for row in rows
    )
    return scored_log(
        str(path),
        answers,
        scorer=scorer,
        cluster=cluster,
        model=next(iter(models), None),
        task=next(iter(tasks), None),
    )


def _lm_eval(path: Path, rows: list[dict[str, Any]]) -> Iterator[ScoredAnswer]:
    """A document may have a line for each filter of its replies; their scores are named as lm-eval's results are."""
    scores: dict[str, dict[str, Any]] = {}
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        doc, kind = str(row.get("doc_id")), row.get("filter")
        # Without a field `metrics`, scores are the columns that are no part of the form.
        named = row.get("metrics") or [name for name in row if name not in _OF_LM_EVAL]
        found = {name if kind in _NO_FILTER else f"{name},{kind}": row.get(name) for name in named}
        if twice := found.keys() & scores.setdefault(doc, {}).keys():
            raise DataError(path, None, f"document {doc} has {min(twice)} twice; keep the lines of one run")
        scores[doc] |= found
        first.setdefault(doc, row)
    for doc, row in first.items():
        held = row.get("doc")
        yield ScoredAnswer(
            sample=doc,
            scores=scores[doc],
            about={**row, **(held if isinstance(held, Mapping) else {})},
            question=row.get("doc_hash"),
        )


def _epoch(path: Path, row: Mapping[str, Any]) -> int:
    try:
        return int(row.get("epoch") or 1)
    except (TypeError, ValueError):
        raise DataError(path, None, f"has the epoch {row['epoch']!r}; number repeats 1, 2, 3, …") from None


def _scores(rows: list[dict[str, Any]], name: str) -> bool:
    """Whether a column can be a score."""
    try:
        return any(not math.isnan(score_of(row.get(name))) for row in rows)
    except ValueError:
        return False
