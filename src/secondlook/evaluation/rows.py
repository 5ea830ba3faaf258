"""A transcript read with its item: one record a round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from secondlook.benchmarks.benchmark import AnyBenchmark, Graded, ItemLike
from secondlook.benchmarks.votes import majority
from secondlook.correction.chat import Usage
from secondlook.correction.elicit import stated
from secondlook.correction.transcript import Critique, Round, Transcript
from secondlook.diagnosis.records import Record
from secondlook.prompts.prompt import load_prompt

_UNJUDGED = "the judge model gave no word on this answer"


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """Word of a judge model on each answer of a transcript.

    Attributes:
        model: The judge; ``None`` where there was none, or it gave no word.
        outcomes: Its word on each answer, by round.
    """

    model: str | None = None
    outcomes: tuple[str, ...] = ()


NOBODY = JudgedBy()


def to_records(
    transcript: Transcript,
    benchmark: AnyBenchmark,
    item: ItemLike,
    *,
    arm: str,
    noise_p: float,
    judged: JudgedBy = NOBODY,
) -> list[Record]:
    """The records of one sample.

    A loop that ended in an error or a refusal has one more row, with that status and the server's words; so has one
    whose budget did not suffice for a first answer, so that no sample goes missing. Tokens of calls that brought no
    answer stand in that row, or else in the first: nothing spent is left out. Where answers vote, a row holds the
    majority of the answers up to it. Where a judge model is the grader, its word on an answer is the grade; an answer
    that it gave no word on is an error.
    """
    rounds, lost = list(transcript.rounds), transcript.lost
    readings = [benchmark.read(item, *round_.stated) for round_ in rounds]
    by_judge = benchmark.by_judge(item)
    if by_judge:
        # A judge that failed on one answer left no words on any, and every answer lacks its word.
        readings = [graded_by(one, word) for one, word in zip_longest(readings, judged.outcomes[: len(readings)])]
    votes: list[str | None] = [None] * len(rounds)
    if transcript.variant == "resample":
        votes = [reading.answer if reading.status == "ok" else None for reading in readings]
        readings = [readings[majority(votes[:count])] for count in range(1, len(votes) + 1)]
    if transcript.stop in ("error", "refused") or not rounds:
        # Refused, a sample, a critique or one more vote takes no answer's place: what is in hand stands.
        stands = rounds and transcript.stop == "refused" and not _asked_again(transcript)
        rounds.append(Round(len(rounds), "", "other", lost, 0.0, kept=not stands))
        readings.append(Graded(None, None, "refused" if transcript.stop == "refused" else "error"))
        votes.append(None)
    else:
        rounds[0] = replace(rounds[0], usage=rounds[0].usage + lost)
    rows = [
        replace(_row(transcript, item, round_, reading, benchmark.name, arm, noise_p), sampled=vote)
        for round_, reading, vote in zip(rounds, readings, votes, strict=True)
    ]
    return [_by_judge(row, judged, transcript) for row in rows] if by_judge else rows


def _asked_again(transcript: Transcript) -> bool:
    """Whether a loop ended as the model was asked to answer again: its request stands without an answer."""
    said = transcript.messages
    return transcript.variant != "resample" and (not said or said[-1].role == "user")


def graded_by(reading: Graded, word: str | None) -> Graded:
    """An answer as a judge model grades it; one that says nothing is left unread."""
    if word is None:
        return replace(reading, status="error")
    return replace(reading, correct=word == "right", status="ok") if word in ("right", "wrong") else reading


def who_read(benchmark: AnyBenchmark, items: Sequence[ItemLike], answers: str, judge: str | None) -> str:
    """Words that say that none of the answers to some questions could be read: by the judge, where it is the grader."""
    if judge is not None and all(map(benchmark.by_judge, items)):
        return f"judge {judge} said neither right nor wrong of any of {answers}; name another --judge-model"
    return benchmark.unread(items, answers)


def _by_judge(row: Record, judged: JudgedBy, transcript: Transcript) -> Record:
    """A record with the judge's name and, where the judge gave no word on its answer, that reason."""
    # The row past the last answer is that of a call that failed or was refused: no judge was asked about it.
    answered = row.round < len(transcript.rounds)
    lacks = row.status == "error" and answered and row.error is None
    return replace(row, judge=judged.model, error=_UNJUDGED if lacks else row.error)


def _row(
    transcript: Transcript, item: ItemLike, round_: Round, reading: Graded, run: str, arm: str, noise_p: float
) -> Record:
    critique, preference = round_.critique, round_.preference
    usage, model = round_.spent, transcript.model
    examining = (critique.cost if critique else Usage()) + (round_.sampled or Usage())
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
        tokens_in=None if usage.untold else usage.input,
        tokens_out=None if usage.untold else usage.output,
        tokens_critique=None if usage.untold else examining.total,
        tokens_critique_cached=None if usage.untold else examining.cached,
        tokens_judge=None if usage.untold else preference.cost.total if preference else 0,
        tokens_cached=None if usage.untold else usage.cached,
        seconds=round_.took + sum(part.took for part in (critique, preference) if part is not None),
        seconds_critique=critique.took if critique else 0.0,
        model=model.name,
        revision=model.revision,
        prompt=transcript.prompt,
        chat_template=model.chat_template,
        decoding=json.dumps(dict(model.decoding), sort_keys=True),
        score=_score(transcript.prompt, critique),
        bias=reading.bias,
        stop=transcript.rule,  # the rule that may end a loop; why this one ended is `transcript.stop`
        error=transcript.error if reading.status in ("error", "refused") else None,
        elicited=round_.elicited.how if round_.elicited else None,
        elicited_verdict=critique.elicited.how if critique and critique.elicited else None,
        p_answer=_p_answer(transcript, round_, reading),
        p_wrong=critique.shares["wrong"] if critique and critique.shares else None,
        preferred=preference.new if preference else None,
        kept=round_.kept,
        keep=transcript.keep,
    )


def _p_answer(transcript: Transcript, round_: Round, reading: Graded) -> float | None:
    """Probability of the answer as read; a majority has none."""
    if round_.shares is None or reading.answer is None or transcript.variant == "resample":
        return None
    return round_.shares.get(reading.answer)


def _score(prompt: str, critique: Critique | None) -> float | None:
    """The number a numeric critique states; derived from its words, so only while the prompt file is the same."""
    if critique is None:
        return None
    try:
        # From the right: a path of the user's may hold an @.
        file = load_prompt(prompt.rpartition("@")[0])
    except ValueError:
        return None
    if file.version != prompt:
        return None
    return file.score(*stated(critique.text, critique.finish, critique.elicited))
