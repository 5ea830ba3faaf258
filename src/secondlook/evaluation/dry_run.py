"""Dry run: the cost of an evaluation at most, from the real loop held with a model that only counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path

import anyio
from rich.console import Console

from secondlook.correction.chat import Completion, Message, ModelInfo, Usage
from secondlook.correction.critics import Critic, ModelCritic
from secondlook.correction.critics.names import SILENT
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.elicit import Asking, ElicitMode
from secondlook.correction.loop import run
from secondlook.correction.transcript import Critique
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.preflight import QUESTIONS, try_questions
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.solver import Session
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import HISTORY, WORDS
from secondlook.fitting.critic_file import read_critic
from secondlook.gate import Gate, Seen
from secondlook.layout import table

CHARACTERS_PER_TOKEN = 4
"""The usual rule for English; the estimate is no better than it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls and tokens of one arm at most.

    Attributes:
        arm: Its name.
        samples: Questions.
        calls: Requests to the answering and the examining model, those for a shared history included.
        tokens_in: Prompt tokens of these calls, before any cache.
        tokens_out: Tokens of the replies, each as long as allowed.
        judge_calls: Requests to a judge model.
    """

    arm: str
    samples: int
    calls: int
    tokens_in: int
    tokens_out: int
    judge_calls: int


def dry_run(evaluation: Evaluation, *, preflight: bool = False) -> list[Counted]:
    """Count the calls and tokens of every arm, and of the questions that are tried before.

    No model is opened, and no command and no grader of a user's is run.

    Replies are taken to be as long as they may be and to be read, verdicts and gates to end no loop, and budgets not to
    bind: the counts of tokens are upper bounds, as good as the rule that a token has four characters.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    tried = [anyio.run(_count_tried, evaluation)] if preflight and evaluation.kind.users else []
    return [*tried, *(anyio.run(_count, evaluation, name) for name in evaluation.names)]


async def _count_tried(evaluation: Evaluation) -> Counted:
    name = evaluation.names[0]
    study, task = evaluation.study_of(name), evaluation.task(name)
    counter, about = _Counter(evaluation.endpoint.max_tokens), task.metadata or {}
    cases = [case_of(sample.metadata or {}, study.file, about[WORDS]) for sample in task.dataset][:QUESTIONS]
    critics = {arm: ModelCritic(counter, arm) for arm in evaluation.names if arm in ("self", "other")}
    await try_questions(counter, critics, cases, Asking(_elicit(study)))
    judged = len(cases) if evaluation.judge_endpoint else 0
    return Counted("preflight", len(cases), counter.calls, counter.tokens_in, counter.calls * counter.reply, judged)


async def _count(evaluation: Evaluation, name: str) -> Counted:
    study, task = evaluation.study_of(name), evaluation.task(name)
    counter, about = _Counter(evaluation.endpoint.max_tokens), task.metadata or {}
    session = Session(study, about[HISTORY], counter, counter)
    if study.critic not in (*SILENT, "self", "other"):
        session.critic = _Standing(_asked(study, counter))
    plan, _ = await session.plan()
    plan = replace(plan, max_tokens=None, max_seconds=None, elicit=_elicit(study))
    if plan.variant != "resample" and plan.decides.when != "never":
        plan = replace(plan, stop="gate", gate=_Open(**asdict(plan.decides)))
    for sample in task.dataset:
        case = case_of(sample.metadata or {}, study.file, about[WORDS])
        await run(counter, session.critic, case, plan, on_error=_again)
    return Counted(
        arm=name,
        samples=len(task.dataset),
        calls=counter.calls,
        tokens_in=counter.tokens_in,
        tokens_out=counter.calls * counter.reply,
        judge_calls=len(task.dataset) * (study.looks + 1) if evaluation.judge_endpoint else 0,
    )


def _elicit(study: Study) -> ElicitMode:
    """``auto`` asks once more only where nothing can be read, and replies are taken to be read."""
    return "choice" if study.elicit == "choice" else "line"


def _asked(study: Study, counter: _Counter) -> list[Critic]:
    """Models that a fitted critic asks; no other critic here asks any."""
    asked = read_critic(Path(study.fitted_file)).critics.values() if study.fitted_file is not None else ()
    return [ModelCritic(counter, examiner.kind) for examiner in asked if examiner.kind != "tool"]


@dataclass(slots=True)
class _Counter:
    """A :class:`~secondlook.correction.chat.ChatModel` whose replies are filler that states no verdict.

    Attributes:
        reply: Tokens of every reply.
        calls: Requests so far.
        tokens_in: Tokens of their prompts.
    """

    reply: int
    calls: int = 0
    tokens_in: int = 0
    info: ModelInfo = field(default_factory=lambda: ModelInfo("dry-run"))

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Count, and reply."""
        del seed
        self.calls += 1
        shown = sum(len(message.content) for message in messages)
        self.tokens_in += math.ceil(shown / CHARACTERS_PER_TOKEN)
        # As long as allowed, since later prompts repeat it; not empty, since that would end the conversation.
        return Completion("x" * CHARACTERS_PER_TOKEN * self.reply, Usage())


@dataclass(frozen=True, slots=True)
class _Standing:
    """Stands for a critic that runs a command, reads a file, grades or asks others; asks only the models among these.

    It looks at no answer: a user's grader may fail on filler, or cost something.
    """

    models: Sequence[Critic]
    name = "standing"

    async def examine(self, exam: Examination) -> Critique:
        """The longest of what the models and the prompt say, of which a fitted critic shows one."""
        said = [await model.examine(exam) for model in self.models]
        own = Critique(exam.case.feedback("wrong"), "wrong")
        return max((own, *filter(None, said)), key=lambda critique: len(critique.text))


class _Open(Gate):
    """A gate that always looks again and keeps every new answer: no loop ends early, and what it asks is counted."""

    def looks(self, seen: Seen) -> bool:
        """Always."""
        del seen
        return True

    def keeps(self, *, preferred: object = None, verdict: object = None) -> bool:
        """Always."""
        del preferred, verdict
        return True


# The loop would swallow the error and end the conversation there, and its later calls would not be counted.
def _again(error: Exception) -> None:
    raise error


def show_planned(counted: Sequence[Counted], console: Console) -> None:
    """Print the counts of every arm, and their sum."""
    made = table(spaces=2)
    made.add_column("arm", no_wrap=True)
    for heading in ("samples", "calls", "tokens in", "tokens out", "judge calls"):
        made.add_column(heading, justify="right", no_wrap=True)
    for line in counted:
        made.add_row(line.arm, *(f"{count:,}" for count in astuple(line)[1:]))
    made.add_section()
    made.add_row("all", *(f"{sum(counts):,}" for counts in zip(*(astuple(line)[1:] for line in counted), strict=True)))
    console.print(made)
    console.print(
        f"At most, with replies that can be read and are as long as allowed, and {CHARACTERS_PER_TOKEN} characters to "
        "a token. Nothing was sent to any model."
    )
