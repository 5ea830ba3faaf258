"""A judge model inside Inspect: every answer of a transcript is judged by model role ``judge``."""

from __future__ import annotations

from inspect_ai.log import EvalSample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState

from secondlook.benchmarks.benchmark import ItemLike, Judge
from secondlook.correction.chat import ChatModel, Message, WithheldError
from secondlook.correction.transcript import Transcript
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.rows import NOBODY, JudgedBy
from secondlook.evaluation.samples import asked_in
from secondlook.evaluation.solver import TranscriptStore

ROLE = "judge"
"""Inspect's model role of the judge."""


@scorer(metrics={"*": [mean()]})
def judged_by_model() -> Scorer:
    """Scorer with a judge model's word on every answer; the shares are of the one that was kept."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        benchmark, asked = asked_in(state.metadata)
        judge, judging = benchmark.judge, get_model(role=ROLE, required=True)
        model = InspectModel(judging)
        if judge is None:
            raise ValueError(f"benchmark {benchmark.name!r} has no rubric for a judge model; leave --judge-model out")
        transcript = Transcript.from_json(state.store_as(TranscriptStore).transcript)
        outcomes = [await judge_answer(judge, model, asked.item, round_.answer) for round_ in transcript.rounds]
        state.store_as(TranscriptStore).judged = outcomes  # for the scorer after this one
        # A filter may have refused the first answer already: then there is none.
        held = outcomes[transcript.in_hand.index] if outcomes else None
        return Score(
            value={outcome: float(held == outcome) for outcome in judge.outcomes},
            metadata={"outcomes": outcomes, "model": str(judging)},
        )

    return score


async def judge_answer(judge: Judge, model: ChatModel, item: ItemLike, answer: str) -> str:
    """The outcome that a model states of one answer, in a conversation of its own; none where it is withheld."""
    if (words := judge.ask(item, answer)) is None:
        return judge.read(None)
    try:
        return judge.read((await model.complete([Message("user", words)])).text)
    except WithheldError:  # a filter's, on this answer: the judge's words on the others stand
        return judge.read(None)


def read_judged(sample: EvalSample) -> JudgedBy:
    """Judge's words on each answer of a logged sample; none where there was no judge."""
    # Inspect names a score after the function of its scorer.
    score = (sample.scores or {}).get(judged_by_model.__name__)
    told = score.metadata if score is not None else None
    return JudgedBy(told.get("model"), tuple(told["outcomes"])) if told else NOBODY
