"""Scored answers out of anybody's Inspect log, whatever its task and scorer, by the summaries of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from inspect_ai.log import EvalLog, EvalSampleSummary, read_eval_log, read_eval_log_sample_summaries
from inspect_ai.model import ChatMessage

from secondlook.diagnosis.scored import ScoredAnswer, ScoredLog, scored_log


def read_logged_scores(path: Path, scorer: str | None = None, cluster: str | None = None) -> ScoredLog:
    """Read a log, ``.eval`` or ``.json``; the messages of its samples are not read.

    Raises:
        ValueError: It cannot be read, or as of :func:`secondlook.diagnosis.scored.scored_log`.
    """
    try:
        header = read_eval_log(str(path), header_only=True)
        summaries = read_eval_log_sample_summaries(str(path))
    except Exception as error:  # zip, JSON, pydantic: each has its own
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: is no log of Inspect's that can be read ({cause}); give another") from None
    return scored_log(
        str(path),
        _answered(summaries),
        scorer=scorer,
        cluster=cluster,
        model=header.eval.model,
        task=header.eval.task,
        note=_note(header, len(summaries)),
    )


def _answered(summaries: Sequence[EvalSampleSummary]) -> Iterator[ScoredAnswer]:
    for one in summaries:
        scores = {} if one.error else {name: score.value for name, score in (one.scores or {}).items()}
        asked = one.input if isinstance(one.input, str) else "\n".join(map(_said, one.input))
        about = {name: value for name, value in one.metadata.items() if not _cut(value)}
        yield ScoredAnswer(str(one.id), scores, about, one.epoch, asked, bool(one.error))


def _cut(value: object) -> bool:
    """Whether a summary holds but the beginning of a field, or less: such names nothing."""
    return isinstance(value, str) and (value.startswith("Key removed from summary") or value.endswith("..."))


def _said(message: ChatMessage) -> str:
    return f"{message.role}: {message.text}"


def _note(header: EvalLog, held: int) -> str:
    planned = len(header.eval.dataset.sample_ids or ()) * (header.eval.config.epochs or 1)
    if header.status == "success":
        return ""
    return f"the run did not end (status {header.status}); the log holds {held:,} answers" + (
        f" of {planned:,}" if planned else ""
    )
