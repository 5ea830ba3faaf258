"""A language model as judge of replies, by a rubric; it judges what was said and is no part of what is measured."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from inspect_ai.log import EvalSample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState

from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judges import OUTCOMES, Outcome
from secondlook.correction.chat import ChatModel, Message
from secondlook.correction.transcript import Transcript
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.samples import item_of
from secondlook.evaluation.solver import Kept
from secondlook.prompts.prompt import stated

ROLE = "judge"
"""Inspect's model role of the judge."""


@dataclass(frozen=True, slots=True)
class Rubric:
    """The words a judge model is shown, and the phrases that state its judgement."""

    text: str
    phrases: dict[Outcome, str]

    def ask(self, behaviour: str, reply: str) -> str:
        """The rubric about one reply."""
        return self.text.format(request=behaviour, reply=reply)

    def read(self, judgement: str) -> Outcome:
        """The judgement that the text ends with, if it states that one and not the other; else ``unclear``."""
        return stated(judgement, self.phrases) or "unclear"


@cache
def rubric() -> Rubric:
    """The shipped rubric."""
    file = resources.files("secondlook.benchmarks.refusal") / "words" / "judge.toml"
    data = tomllib.loads(file.read_text("utf-8"))
    return Rubric(data["rubric"].strip(), data["phrases"])


async def judge(model: ChatModel, request: Request, reply: str) -> Outcome:
    """Ask a model about one reply; an empty reply is ``unclear`` without asking."""
    if not reply.strip():
        return "unclear"
    completion = await model.complete([Message("user", rubric().ask(request.behaviour, reply))])
    return rubric().read(completion.text)


@scorer(metrics={"*": [mean()]})
def judged_by_model() -> Scorer:
    """Every answer of the transcript, judged by model role ``judge``; the shares are of the last answer."""

    async def score(state: TaskState, target: Target) -> Score:
        del target
        transcript = Transcript.from_json(state.store_as(Kept).transcript)
        request, model = item_of(state.metadata), InspectModel(get_model(role=ROLE, required=True))
        assert isinstance(request, Request)  # no other task asks for this scorer
        outcomes = [await judge(model, request, round_.answer) for round_ in transcript.rounds]
        return Score(
            value={outcome: float(outcomes[-1] == outcome) for outcome in OUTCOMES},
            metadata={"outcomes": outcomes},
        )

    return score


def read_judged(sample: EvalSample) -> tuple[Outcome, ...]:
    """What the judge said of each answer of a logged sample; empty where there was none."""
    score = (sample.scores or {}).get(judged_by_model.__name__)
    return tuple(score.metadata["outcomes"]) if score is not None and score.metadata else ()
