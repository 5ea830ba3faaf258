"""A judge model inside Inspect: every answer of a transcript is judged by model role ``judge``."""

from __future__ import annotations

from inspect_ai.log import EvalSample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState

from secondlook.correction.chat import Message
from secondlook.correction.transcript import Transcript
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.samples import asked_in
from secondlook.evaluation.solver import TranscriptStore

ROLE = "judge"
"""Inspect's model role of the judge."""


@scorer(metrics={"*": [mean()]})
def judged_by_model() -> Scorer:
    """Scorer with a judge model's word on every answer; the shares are of the last one."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        benchmark, asked = asked_in(state.metadata)
        judge, model = benchmark.judge, InspectModel(get_model(role=ROLE, required=True))
        if judge is None:
            raise ValueError(f"benchmark {benchmark.name!r} has no rubric for a judge model; leave --judge-model out")
        outcomes = []
        for round_ in Transcript.from_json(state.store_as(TranscriptStore).transcript).rounds:
            words = judge.ask(asked.item, round_.answer)
            said = None if words is None else (await model.complete([Message("user", words)])).text
            outcomes.append(judge.read(said))
        return Score(
            value={outcome: float(outcomes[-1] == outcome) for outcome in judge.outcomes},
            metadata={"outcomes": outcomes},
        )

    return score


def read_judged(sample: EvalSample) -> tuple[str, ...]:
    """Judge's words on each answer of a logged sample; empty where there was no judge."""
    score = (sample.scores or {}).get(judged_by_model.__name__)
    return tuple(score.metadata["outcomes"]) if score is not None and score.metadata else ()
