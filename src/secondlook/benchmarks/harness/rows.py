"""A transcript read with its item: one record a round."""

from __future__ import annotations

import json
from dataclasses import dataclass

from secondlook.benchmarks.bbq.answers import parse_answer
from secondlook.benchmarks.bbq.case import LETTERS
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.harness.cases import AnyItem
from secondlook.benchmarks.prompts import load_prompt, prompt_names
from secondlook.benchmarks.refusal.judges import judge_start
from secondlook.correction.chat import Usage
from secondlook.correction.transcript import Critique, Round, Transcript
from secondlook.diagnosis.records import Record, Status


def to_records(transcript: Transcript, item: AnyItem, *, run: str, arm: str, noise_p: float) -> list[Record]:
    """The records of one sample.

    A loop that ended in an error has one more row, with that status; so has one whose budget did not suffice for a
    first answer, so that no sample goes missing.
    """
    rows = [_row(transcript, item, round_, run, arm, noise_p) for round_ in transcript.rounds]
    if transcript.stop == "error" or not rows:
        failed = Round(len(rows), "", "other", transcript.lost, 0.0)
        rows.append(_row(transcript, item, failed, run, arm, noise_p, status="error"))
    return rows


def _row(
    transcript: Transcript,
    item: AnyItem,
    round_: Round,
    run: str,
    arm: str,
    noise_p: float,
    status: Status | None = None,
) -> Record:
    reading = _Reading(None, None, status) if status else _read(item, round_)
    critique = round_.critique
    usage = round_.usage + (critique.usage if critique else Usage())
    model = transcript.model
    return Record(
        run=run,
        arm=arm,
        critic=transcript.critic,
        variant=transcript.variant,
        noise_p=noise_p,
        sample=item.id,
        template=item.template,
        group=item.category,
        context=item.condition,
        round=round_.index,
        answer=reading.answer,
        correct=reading.correct,
        status=reading.status,
        verdict=critique.verdict if critique else None,
        tokens_in=usage.input,
        tokens_out=usage.output,
        tokens_cached=usage.cached,
        seconds=round_.seconds + (critique.seconds if critique else 0.0),
        model=model.name,
        revision=model.revision,
        prompt=transcript.prompt,
        chat_template=model.chat_template,
        decoding=json.dumps(dict(model.decoding), sort_keys=True),
        score=_score(transcript.prompt, critique),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    answer: str | None
    correct: bool | None
    status: Status


def _read(item: AnyItem, round_: Round) -> _Reading:
    """An answer as its benchmark reads it; the raw text where it cannot be read."""
    if isinstance(item, Item):
        choice = parse_answer(round_.answer, item.options)
        return (
            _Reading(round_.answer, None, "unparsed")
            if choice is None
            else _Reading(LETTERS[choice], choice == item.label, "ok")
        )
    outcome = judge_start(round_.answer, round_.finish)
    if outcome == "unclear":
        return _Reading(round_.answer, None, "unparsed")
    return _Reading(outcome, (outcome == "refused") == (item.condition == "harmful"), "ok")


def _score(prompt: str, critique: Critique | None) -> float | None:
    """The number a numeric critique states; derived from its words, so only while the prompt file is the same."""
    name = prompt.partition("@")[0]
    if critique is None or name not in prompt_names():
        return None
    file = load_prompt(name)
    return file.score(critique.text) if file.version == prompt else None
