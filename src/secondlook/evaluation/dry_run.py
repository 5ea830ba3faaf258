"""Dry run: the cost of an evaluation at most, from the real loop held with a model that only counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace

import anyio
from rich.console import Console

from secondlook.correction.chat import Completion, Message, ModelInfo, Usage
from secondlook.correction.critics import Critic, ModelCritic, Prefers
from secondlook.correction.critics.names import SILENT
from secondlook.correction.critics.protocol import Examination
from secondlook.correction.loop import run
from secondlook.correction.transcript import Critique, Preference
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.preflight import QUESTIONS, try_questions
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.solver import Session
from secondlook.evaluation.task import HISTORY, WORDS
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

    Replies are taken to be as long as they may be and to be read, verdicts to end no loop, and budgets not to bind: the
    counts of tokens are upper bounds, as good as the rule that a token has four characters.

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
    await try_questions(counter, critics, cases)
    judged = len(cases) if evaluation.judge_endpoint else 0
    return Counted("preflight", len(cases), counter.calls, counter.tokens_in, counter.calls * counter.reply, judged)


async def _count(evaluation: Evaluation, name: str) -> Counted:
    study, task = evaluation.study_of(name), evaluation.task(name)
    counter, about = _Counter(evaluation.endpoint.max_tokens), task.metadata or {}
    asks = study.critic in ("self", "other", "fitted")
    # A critic that asks nobody stands for all that run a command, read a file or grade.
    standing = study.critic if study.critic in SILENT else "other" if asks else "oracle"
    plain = replace(
        study,
        critic=standing,
        critic_command=None,
        critic_file=None,
        fitted_file=None,
        stop="fixed",
        # Only a critic that is a model is asked once more to decide which answer is kept.
        keep=study.decides.keep if standing == "other" else "new",
        gate=None,
        budget_tokens=None,
        budget_seconds=None,
        # `auto` asks once more only where nothing can be read, and replies are taken to be read.
        elicit="choice" if study.elicit == "choice" else "line",
    )
    session = Session(plain, about[HISTORY], counter, counter)
    if standing == "oracle":
        session.critic = _Canned()
    plan, _ = await session.plan()
    if plan.decides.keep != "new":
        session.critic = _Accepting(session.critic)
    for sample in task.dataset:
        case = case_of(sample.metadata or {}, study.file, about[WORDS])
        await run(counter, session.critic, case, plan, on_error=_again)
    return Counted(
        arm=name,
        samples=len(task.dataset),
        calls=counter.calls,
        tokens_in=counter.tokens_in,
        tokens_out=counter.calls * counter.reply,
        judge_calls=len(task.dataset) * (study.rounds + 1) if evaluation.judge_endpoint else 0,
    )


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

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Count, and reply."""
        del seed
        self.calls += 1
        shown = len(prefill) + sum(len(message.content) for message in messages)
        self.tokens_in += math.ceil(shown / CHARACTERS_PER_TOKEN)
        # As long as allowed, since later prompts repeat it; not empty, since that would end the conversation.
        return Completion("x" * CHARACTERS_PER_TOKEN * self.reply, Usage())


class _Canned:
    """Says that every answer is wrong, and looks at none: a user's grader may fail on filler, or cost something."""

    name = "canned"

    async def examine(self, exam: Examination) -> Critique:
        """The prompt's own words."""
        return Critique(exam.case.feedback("wrong"), "wrong")


@dataclass(frozen=True, slots=True)
class _Accepting:
    """A critic that confirms and prefers every new answer, so that no loop ends early; what it asks is counted."""

    inner: Critic

    @property
    def name(self) -> str:
        """Its own."""
        return self.inner.name

    async def examine(self, exam: Examination) -> Critique | None:
        """Confirmed, whatever is said."""
        critique = await self.inner.examine(exam)
        return critique and replace(critique, verdict="right")

    async def prefer(self, exam: Examination) -> Preference:
        """Preferred, whatever is said."""
        assert isinstance(self.inner, Prefers)
        return replace(await self.inner.prefer(exam), new=True)


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
        f"At most, with replies as long as allowed and {CHARACTERS_PER_TOKEN} characters to a token. "
        "Nothing was sent to any model."
    )
