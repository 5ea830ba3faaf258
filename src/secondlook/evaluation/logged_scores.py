"""Scored answers out of anybody's Inspect log, whatever its task and scorer, by the summaries of its samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from inspect_ai.log import EvalLog, read_eval_log, read_eval_log_sample_summaries

from secondlook.diagnosis.scored import ScoredAnswer, ScoredLog, scored_log

_SUMMARIES = "summaries.json"  # of a log that was closed
_LEAST_CUT = 512  # characters; a text that was cut is shorter only where a word is longer than that


def read_logged_scores(path: Path, scorer: str | None = None, cluster: str | None = None) -> ScoredLog:
    """Read a log, ``.eval`` or ``.json``; the messages of an ``.eval``'s samples are not read.

    Raises:
        ValueError: It cannot be read, or as of :func:`secondlook.diagnosis.scored.scored_log`.
    """
    try:
        header = read_eval_log(str(path), header_only=True)
        # A sample that was asked again stands there once more, and the last counts.
        latest = {(str(one["id"]), one["epoch"]): one for one in _summaries(path)}
        answers = list(_answers(latest.values()))
    except Exception as error:  # zip, JSON, pydantic: each has its own
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: is no log of Inspect's that can be read ({cause}); give another") from None
    note = _note(header, len(answers))
    return scored_log(
        str(path), answers, scorer=scorer, cluster=cluster, model=header.eval.model, task=header.eval.task, note=note
    )


def _summaries(path: Path) -> list[dict[str, Any]]:
    """Summaries as the log has them; Inspect's reader would shorten every text again, at nearly all the cost."""
    if path.suffix == ".eval":
        with ZipFile(path) as log:  # Inspect teaches it Zstandard
            if _SUMMARIES in log.namelist():
                held: list[dict[str, Any]] = json.loads(log.read(_SUMMARIES))
                return held
    return [one.model_dump() for one in read_eval_log_sample_summaries(str(path))]


def _answers(summaries: Iterable[Mapping[str, Any]]) -> Iterator[ScoredAnswer]:
    for one in summaries:
        yield ScoredAnswer(
            sample=str(one["id"]),
            scores={name: score["value"] for name, score in (one.get("scores") or {}).items()},
            about={name: value for name, value in (one.get("metadata") or {}).items() if not _cut(value)},
            epoch=one["epoch"],
            question=_asked(one["input"]),
        )


def _asked(given: str | list[dict[str, Any]]) -> str:
    """The words of a sample; messages have ids of their own in every run."""
    return given if isinstance(given, str) else "\n".join(f"{one['role']}: {_words(one['content'])}" for one in given)


def _words(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text") or "" for part in content)


def _cut(value: object) -> bool:
    """Whether a summary holds but the beginning of a field, or less: such names nothing."""
    if not isinstance(value, str):
        return False
    # Inspect leaves out any other field of more than 1 kB, and cuts a text behind its last word that fits into 1,024
    # characters; a shorter one that ends so is whole, unless no word fits.
    cut = value.endswith("...") and (len(value) > _LEAST_CUT or value == "...")
    return cut or value.startswith("Key removed from summary")


def _note(header: EvalLog, held: int) -> str:
    planned = len(header.eval.dataset.sample_ids or ()) * (header.eval.config.epochs or 1)
    if header.status == "success":
        return ""
    return f"the run did not end (status {header.status}); the log holds {held:,} answers" + (
        f" of {planned:,}" if planned else ""
    )
