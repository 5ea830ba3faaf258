"""A transcript read with its item: one record a round."""

from __future__ import annotations

import json

from secondlook.benchmarks.bbq.answers import parse_answer
from secondlook.benchmarks.bbq.case import LETTERS
from secondlook.benchmarks.bbq.item import Item
from secondlook.correction.chat import Usage
from secondlook.correction.transcript import Round, Transcript
from secondlook.diagnosis.records import Record, Status


def to_records(transcript: Transcript, item: Item, *, run: str, arm: str, noise_p: float) -> list[Record]:
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
    item: Item,
    round_: Round,
    run: str,
    arm: str,
    noise_p: float,
    status: Status | None = None,
) -> Record:
    choice = None if status else parse_answer(round_.answer, item.options)
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
        answer=None if status else round_.answer if choice is None else LETTERS[choice],
        correct=None if choice is None else choice == item.label,
        status=status or ("unparsed" if choice is None else "ok"),
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
    )
