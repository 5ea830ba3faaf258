"""The correction loop as an Inspect solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import StoreModel
from pydantic import Field, TypeAdapter

from secondlook.correction.chat import ChatModel, Message, Usage
from secondlook.correction.history import as_history
from secondlook.correction.loop import run
from secondlook.correction.plan import Plan
from secondlook.evaluation.inspect_model import InspectModel, inspect_messages
from secondlook.evaluation.progress import one_done
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.study import SAMPLED, VOTE, Study
from secondlook.fitting.critic_file import read_critic

_STUDY = TypeAdapter(Study)


class TranscriptStore(StoreModel):
    """Transcript of a sample as JSON text in Inspect's store, and a judge model's word on each answer."""

    transcript: str = ""
    judged: list[str] = Field(default_factory=list)


class NoAnswerError(Exception):
    """A sample's budget was spent before there was a first answer."""


@solver
def second_look(
    study: Mapping[str, Any], history: Sequence[Mapping[str, Any]] = (), words: Mapping[str, str] | None = None
) -> Solver:
    """Answer, check, answer again.

    The transcript is stored whatever happens; an exception of the model or the critic is then raised again, and so
    is one where a budget left no answer: Inspect counts the sample as errored, and a later run tries it again.

    Args:
        study: Fields of a :class:`~secondlook.evaluation.study.Study`.
        history: What stands before every question in the ``diverse`` variant: metadata of other questions, exchanges
            that are shown, or the messages of a history that has been made, with what it cost and the sample that
            pays for it.
        words: What the arm puts around every question.
    """
    arm = _STUDY.validate_python(dict(study))
    # Inspect makes one solver of a task, and may run it with several models.
    sessions: dict[str, Session] = {}

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        del generate  # the loop calls the model itself
        answering = as_asked(get_model(), arm)
        if (session := sessions.get(name := str(answering))) is None:
            session = sessions[name] = Session(
                arm, history, in_loop(answering, arm), _other(arm), in_loop(sampled(answering), arm)
            )
        errors: list[Exception] = []
        usage = Usage()
        try:
            plan, spent = await session.plan(str(state.sample_id))
            case = case_of(state.metadata, arm.file, words)
            transcript = await run(
                session.model, session.critic, case, plan, sampler=session.sampler, on_error=errors.append
            )
            transcript = replace(transcript, lost=transcript.lost + spent)
            usage = transcript.usage
        finally:
            one_done(usage)  # a sample that fails is done too; else the bar stops short of its end
        state.store_as(TranscriptStore).transcript = transcript.to_json()
        state.messages = inspect_messages(transcript.messages)  # for Inspect's viewer; the reports read the store
        if errors:
            raise errors[0]
        if transcript.answer is None and transcript.stop != "refused":
            raise NoAnswerError(f"no answer within the budget of {transcript.stop}")
        state.output.completion = transcript.answer or ""
        state.completed = True
        return state

    return solve


def as_asked(model: Model, study: Study) -> Model:
    """The model as an arm asks it: answers that vote are sampled, at a temperature of their own."""
    return model if study.critic != VOTE else sampled(model, study.vote_temperature)


def sampled(model: Model, temperature: float | None = None) -> Model:
    """The model, sampled: at this temperature, its own, or the usual one where that is 0."""
    temperature = temperature or model.config.temperature or SAMPLED
    # The same provider with another temperature: `get_model` would make a second one, and load a checkpoint again.
    return Model(model.api, model.config.merge(GenerateConfig(temperature=temperature)), model.model_args)


def in_loop(model: Model, study: Study) -> InspectModel:
    """A model of Inspect's as the loop asks it for a study."""
    return InspectModel(model, study.cache, study.confidence, study.count_tokens)


class Session:
    """Session that the samples of an arm and a model share: the model, its critic, and the plan.

    The diverse variant's history is made once, by the model itself; an attempt that fails is the sample's failure
    that made it, and the next one tries again.

    Args:
        study: The arm.
        history: What makes the history; see :func:`second_look`.
        model: The answering model.
        other: The examining model of critic ``other``.
        sampler: The answering model, sampled, for a gate that asks whether samples agree.
    """

    def __init__(
        self,
        study: Study,
        history: Sequence[Mapping[str, Any]],
        model: ChatModel,
        other: ChatModel | None = None,
        sampler: ChatModel | None = None,
    ) -> None:
        self.model, self.sampler = model, sampler
        self.critic = study.build_critic(model, other)
        self._study = study
        self._shown = history
        self._lock = anyio.Lock()
        self._plan: Plan | None = None
        # A history that has been made is paid for by one sample, however often and in whatever session it is asked.
        self._owed = {shown["paid_by"]: Usage(**shown["spent"]) for shown in history if "paid_by" in shown}

    async def plan(self, sample: str | None = None) -> tuple[Plan, Usage]:
        """The plan, with its history, and what a sample pays for that; the first call makes it, and it alone pays."""
        spent = Usage()
        async with self._lock:
            if self._plan is None:
                messages, spent = await self._history() if self._study.shows_history else ((), spent)
                self._plan = self._study.plan(messages)
        return self._plan, spent + self._owed.get(sample or "", Usage())

    async def _history(self) -> tuple[tuple[Message, ...], Usage]:
        errors: list[Exception] = []
        history: list[Message] = []
        spent = Usage()
        for metadata in self._shown:
            if "messages" in metadata:
                history += [Message(role, content) for role, content in metadata["messages"]]
                continue
            if "shown" in metadata:
                asked, reply = metadata["shown"]
                history += [Message("user", asked), Message("assistant", reply)]
                continue
            case = case_of(metadata, self._study.file)
            # One look, because the loop leaves the last answer unexamined, and a history shows a check. The second
            # answer is not shown (`as_history`).
            plan = Plan(rounds=1, seed=self._study.seed)
            transcript = await run(self.model, self.critic, case, plan, on_error=errors.append)
            if errors:
                raise errors[0]
            history += as_history([transcript])
            spent += transcript.usage
        return tuple(history), spent


def _other(study: Study) -> InspectModel | None:
    if study.critic == "other" or (study.fitted_file is not None and _asks_another(study.fitted_file)):
        return in_loop(get_model(role="critic", required=True), study)
    return None


def _asks_another(file: str) -> bool:
    """Whether a fitted critic asks another model."""
    return any(examiner.kind == "other" for examiner in read_critic(Path(file)).critics.values())
