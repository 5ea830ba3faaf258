"""The real loop, held with a model that only counts: what every call of an arm would show and say, in characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

import anyio
from inspect_ai import Task

from secondlook.correction.chat import Completion, Message, ModelInfo, Usage
from secondlook.correction.loop import run
from secondlook.correction.transcript import Transcript
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.solver import Session
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import HISTORY, WORDS

Kind = Literal["first", "check", "again"]
"""What a call is for: an answer to the question alone, an examination, or another answer after a second look."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a transcript, in whatever unit its usage has.

    Attributes:
        kind: What it is for.
        round: Of the answer that it gives or examines.
        input: Length of the prompt.
        added: What the prompt has more than the conversation's prompt before it; all of it, where it stands alone.
        output: Length of the reply.
        cached: How much of the prompt a prefix cache gave, or in a count could give.
        seconds: Wall time.
        text: Characters of the reply.
    """

    kind: Kind
    round: int
    input: int
    added: int
    output: int
    cached: int
    seconds: float
    text: int


def calls_of(transcript: Transcript) -> list[Call]:
    """The requests that brought the rounds of a transcript, in their order; critics that ask no model make none."""
    calls: list[Call] = []
    alone = transcript.variant == "resample"

    def add(kind: Kind, index: int, usage: Usage, seconds: float, text: str) -> None:
        before = calls[-1].input if calls and kind != "first" else 0
        calls.append(
            Call(kind, index, usage.input, usage.input - before, usage.output, usage.cached, seconds, len(text))
        )

    for round_ in transcript.rounds:
        kind: Kind = "first" if alone or not round_.index else "again"
        add(kind, round_.index, round_.usage, round_.seconds, round_.answer)
        if (critique := round_.critique) is not None and critique.usage.calls:
            add("check", round_.index, critique.usage, critique.seconds, critique.text)
    return calls


@dataclass(slots=True)
class Counter:
    """A :class:`~secondlook.correction.chat.ChatModel` that replies with filler, and counts characters for tokens.

    Attributes:
        reply: Characters of every reply.
        shown: The last prompt with its reply, of whichever counter shares it: what a prefix cache that remembers one
            conversation at a time would hold.
    """

    reply: int
    shown: list[Message] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        """No model."""
        return ModelInfo("dry-run")

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Count, and reply with filler that states no verdict."""
        del seed
        text = "x" * max(1, self.reply)
        length = len(prefill) + sum(len(message.content) for message in messages)
        usage = Usage(length, len(text), _shared(self.shown, messages), calls=1)
        self.shown[:] = [*messages, Message("assistant", text)]
        return Completion(text, usage)


@dataclass(frozen=True, slots=True)
class Counted:
    """What an arm would ask.

    Attributes:
        transcripts: One a question, usage in characters.
        history: What is asked once for all, in characters.
    """

    transcripts: tuple[Transcript, ...]
    history: Usage


def count(seed: int, arm: Mapping[str, Any], task: Task, answer: int, critique: int) -> Counted:
    """Hold every conversation of an arm with a model that only counts; no command of a critic is run.

    Verdicts end no loop and budgets do not bind: no study asks more.

    Args:
        seed: Of the run.
        arm: Fields of its study.
        task: Its questions.
        answer: Characters of every answer.
        critique: Characters of every critique.
    """
    return anyio.run(_count, Study.of(seed=seed, **_counted(arm)), task, answer, critique)


async def _count(study: Study, task: Task, answer: int, critique: int) -> Counted:
    answering = Counter(answer)
    examining = Counter(critique, answering.shown)
    about = task.metadata or {}
    session = Session(study, about[HISTORY], answering, examining)
    plan, history = await session.plan()
    cases = [case_of(sample.metadata or {}, study.file, about[WORDS]) for sample in task.dataset]
    return Counted(tuple([await run(answering, session.critic, case, plan) for case in cases]), history)


def _counted(arm: Mapping[str, Any]) -> dict[str, Any]:
    """The arm without what would run a command, read verdicts or stop early.

    Critics of the kind speak in canned words; one that asks the model itself asks as another model would.
    """
    counted = {name: value for name, value in arm.items() if not name.startswith(("critic_", "budget_"))}
    standing = {"tool": "oracle", "recorded": "oracle", "self": "other"}
    return {**counted, "critic": standing.get(arm["critic"], arm["critic"]), "stop": "fixed"}


def _shared(before: Sequence[Message], now: Sequence[Message]) -> int:
    """Characters that two conversations begin with alike."""
    length = 0
    for one, other in zip(before, now, strict=False):
        if one != other:
            letters = zip(one.content, other.content, strict=False) if one.role == other.role else ()
            return length + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], letters))
        length += len(one.content)
    return length
