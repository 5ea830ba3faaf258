"""Scored answers of one log, whatever made it: one row a sample and epoch, with its score and its cluster."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

_WORDS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # Inspect's grades: correct, incorrect, partial, no answer
_SPELT = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_SHOWN = 12  # names in an error


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One answer as a log has it.

    Attributes:
        scores: Its scores by name, as they were written; one that is a mapping is a score for each key.
        about: What is known of the sample, where a cluster is looked for.
        question: What was asked, by which one sees that two logs mean the same by a name; ``None`` if unknown.
    """

    sample: str
    scores: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 1
    question: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScoredLog:
    """One log, ready to be compared.

    Attributes:
        file: Where it came from.
        model: Its model, if it says so.
        task: Its task, likewise.
        scorer: The score that was taken.
        answers: A row an answer: ``sample``, ``epoch``, ``score`` (NaN where it failed or was not scored), ``cluster``
            and ``question`` (a number that is the same for the same question, 0 for unknown).
        note: What must be known of the log to read its numbers; empty if nothing.
    """

    file: str
    model: str | None
    task: str | None
    scorer: str
    answers: pd.DataFrame
    note: str = ""


def scored_log(
    file: str,
    answers: Iterable[ScoredAnswer],
    *,
    scorer: str | None = None,
    cluster: str | None = None,
    model: str | None = None,
    task: str | None = None,
    note: str = "",
) -> ScoredLog:
    """Take one score, and one field as cluster, out of what a log holds.

    Args:
        file: Its name, for messages.
        answers: What it holds.
        scorer: The score to take, its full name or the last part of it; needed where there are several.
        cluster: A field of ``about``, with dots into what is nested; by default each sample is a cluster of its own.
        model: As in :class:`ScoredLog`.
        task: Likewise.
        note: Likewise.

    Raises:
        ValueError: There is no answer, or one twice; the score or the field is not there or is not what it should be.
    """
    held = [(one, _flat(one.scores)) for one in answers]
    if not held:
        raise ValueError(f"{file}: holds no sample; give a log of a run that has begun")
    taken = _choose(file, dict.fromkeys(name for _, scores in held for name in scores), scorer)
    rows = [
        (
            one.sample,
            one.epoch,
            _score(scores.get(taken), f"{file}: sample {one.sample!r} has the {taken}"),
            one.sample if cluster is None else _cluster(one, cluster, file),
            # Python's hashes differ from process to process: they are compared within one, and never written.
            0 if one.question is None else hash(one.question),
        )
        for one, scores in held
    ]
    table = pd.DataFrame(rows, columns=["sample", "epoch", "score", "cluster", "question"])
    if (twice := table.duplicated(["sample", "epoch"])).any():
        again = table[twice].iloc[0]
        raise ValueError(
            f"{file}: sample {again['sample']!r} stands there twice in epoch {again['epoch']}; keep one, or number "
            "repeats in a column epoch"
        )
    return ScoredLog(file, model, task, taken, table, note)


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in scores.items():
        flat |= {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
    return flat


def _choose(file: str, names: Iterable[str], asked: str | None) -> str:
    known = list(names)
    told = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    if not known:
        raise ValueError(f"{file}: no sample has a score; score it first (for Inspect's logs: inspect score)")
    if asked is None and len(known) > 1:
        raise ValueError(f"{file}: has several scores ({told}); choose one, e.g. --scorer {known[0]}")
    if asked is None or asked in known:
        return asked or known[0]
    # Inspect's are NAME.KEY, lm-eval's METRIC,FILTER: a part will do where it is the only one.
    alike = [name for name in known if name.endswith((f".{asked}", f",{asked}")) or name.startswith(f"{asked},")]
    if len(alike) == 1:
        return alike[0]
    raise ValueError(f"{file}: --scorer {asked!r} is {'several' if alike else 'none'} of its scores; it has {told}")


def _score(value: Any, place: str) -> float:
    try:
        return score_of(value)
    except ValueError as error:
        raise ValueError(f"{place} {error}") from None


def score_of(value: Any) -> float:
    """A score as a number, by Inspect's own rule; NaN for none.

    Raises:
        ValueError: It is no score.
    """
    if value is None or value == "":
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text in _WORDS or text.lower() in _SPELT:
            return _WORDS.get(text, _SPELT.get(text.lower(), math.nan))
        try:
            value = float(text)
        except ValueError:
            # Inspect takes other words for 0, with a warning; nobody would see that in a comparison.
            raise ValueError(f"{value!r}; a score is a number, true or false, or one of C, I, P, N") from None
    if not isinstance(value, bool | int | float) or math.isinf(value):
        raise ValueError(f"{value!r:.40}, which is no finite number; choose another with --scorer")
    return float(value)


def _cluster(one: ScoredAnswer, cluster: str, file: str) -> str:
    value: Any = one.about
    if cluster in one.about:
        value = one.about[cluster]
    else:
        for part in cluster.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        names = ", ".join(map(str, [*one.about][:_SHOWN])) or "nothing"
        raise ValueError(f"{file}: sample {one.sample!r} has no {cluster!r} for --cluster; its fields: {names}")
    if isinstance(value, Mapping | list | tuple):
        inside = f", e.g. {cluster}.{next(iter(value))}" if isinstance(value, Mapping) and value else ""
        raise ValueError(  # noqa: TRY004 - of what is in a file, not of a type in a program
            f"{file}: {cluster!r} of sample {one.sample!r} is nested; give --cluster a word or a number{inside}"
        )
    return str(value)
