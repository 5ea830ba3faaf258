"""Three questions before a run: grader, critic and model are tried where a mistake costs nothing yet, or little."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

import anyio
from inspect_ai import Task
from inspect_ai.model import Model
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.benchmarks.benchmark import MADE_UP, AnyBenchmark, Graded, ItemLike, Judge
from secondlook.correction.case import Case
from secondlook.correction.chat import ChatModel, Completion, Finish, Message
from secondlook.correction.critics import CommandCritic, Critic, CriticError
from secondlook.correction.critics.protocol import AbstainedError, Examination
from secondlook.correction.elicit import NEVER, Asking, Elicited, stated
from secondlook.correction.transcript import Critique
from secondlook.evaluation.asking import RunError, one_line
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.judging import judge_answer
from secondlook.evaluation.rows import graded_by, who_read
from secondlook.evaluation.samples import asked_in, case_of
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import WORDS

QUESTIONS = 3
EXAMINING = ("self", "other", "tool")
"""Critics that are tried: the others say what a file, the truth or nobody says."""
_SHOWN = 220  # characters of a text


@dataclass(frozen=True, slots=True)
class Tried:
    """One question, its answer, and what each critic said of it."""

    case: Case
    answer: Completion
    critiques: Mapping[str, Critique | None]
    elicited: Elicited | None = None

    @property
    def stated(self) -> tuple[str, Finish]:
        """The text that the answer is read from, and why it ended."""
        return stated(self.answer.text, self.answer.finish, self.elicited)


@dataclass(frozen=True, slots=True)
class Preflight:
    """Tries the questions of a user's own task, and shows what came of them.

    Attributes:
        console: Where it is shown.
    """

    console: Console

    def __call__(self, evaluation: Evaluation, tasks: Mapping[str, Task], model: Model, examiner: Model | None) -> None:
        """Try, show, and stop where something is wrong.

        Raises:
            RunError: The grader or a critic fails or says nothing, or an answer is cut off; with the remedy.
        """
        benchmark = evaluation.kind
        if not benchmark.users:
            return
        about = next(iter(tasks.values()))  # the questions are those of every arm
        asked = [sample.metadata or {} for sample in about.dataset][:QUESTIONS]
        studies = {name: evaluation.study_of(name) for name in evaluation.names if name in EXAMINING}
        study = next(iter(studies.values()), evaluation.study_of(evaluation.names[0]))
        try:
            benchmark.trial([asked_in(metadata)[1].item for metadata in asked])
        except ValueError as error:
            raise _stop(str(error)) from None
        answering = InspectModel(model)
        other = InspectModel(examiner) if examiner is not None else None
        critics = {name: one.build_critic(answering, other) for name, one in studies.items()}
        cases = [case_of(metadata, study.file, (about.metadata or {})[WORDS]) for metadata in asked]
        # Said first: a large model, or a slow tool, may take minutes.
        self.console.print(Text(f"Before the run, {len(cases)} questions are asked", style="bold"))
        notes = [note for name in critics if name == "tool" for note in _try_tool(critics[name], cases[0], study)]
        try:
            tried = anyio.run(try_questions, answering, critics, cases, Asking(study.elicit))
        except CriticError as error:
            raise _stop(str(error)) from None
        except Exception as error:
            raise _stop(
                f"model {model} gave no answer ({one_line(error)}); see that it is there and answers"
            ) from error
        graded = [_graded(benchmark, metadata, one) for metadata, one in zip(asked, tried, strict=True)]
        if evaluation.judge_endpoint and benchmark.judge:
            judge = InspectModel(evaluation.judge_endpoint.open())
            items = [asked_in(metadata)[1].item for metadata in asked]
            words = anyio.run(_judge, benchmark.judge, judge, items, [one.answer.text for one in tried])
            graded = [graded_by(grade, word) for grade, word in zip(graded, words, strict=True)]
        self._show(benchmark, asked, tried, graded, notes)
        judge_model = evaluation.judge_endpoint.model if evaluation.judge_endpoint else None
        unread = who_read(
            benchmark, [asked_in(metadata)[1].item for metadata in asked], "the answers above", judge_model
        )
        if why := next(_wrong(tried, graded, study, model.config.max_tokens or 0, unread), None):
            raise _stop(why)

    def _show(
        self,
        benchmark: AnyBenchmark,
        asked: Sequence[Mapping[str, Any]],
        tried: Sequence[Tried],
        graded: Sequence[Graded],
        notes: Sequence[str],
    ) -> None:
        made = Table.grid(padding=(0, 1))
        for number, (metadata, one, grade) in enumerate(zip(asked, tried, graded, strict=True), 1):
            word = "not read" if grade.correct is None else "right" if grade.correct else "wrong"
            told = [f"read as {grade.answer!r}"] if grade.answer and grade.answer != one.answer.text.strip() else []
            told += ["asked once more"] if one.elicited else []
            read = f" ({', '.join(told)})" if told else ""
            lines = [
                ("prompt", one.case.query(0)),
                ("answer", one.answer.text),
                ("truth", benchmark.shown(asked_in(metadata)[1].item).target or "not told"),
                ("grade", f"{word}{read}"),
            ]
            for name, said in one.critiques.items():
                if said is not None:
                    again = " (asked once more)" if said.elicited else ""
                    lines += [(name, said.text), ("verdict", f"{said.verdict}{again}")]
            for row, (name, text) in enumerate(lines):
                shown = textwrap.shorten(text, _SHOWN, placeholder=" …")
                made.add_row("" if row else f"{number}", name, Text(shown))
        self.console.print(made)
        for note in notes:
            self.console.print(Text(note, style="yellow"))
        self.console.print()


async def try_questions(
    model: ChatModel, critics: Mapping[str, Critic], cases: Sequence[Case], asking: Asking = NEVER
) -> list[Tried]:
    """Ask each question once, and each critic about its answer; for either alone, too, where the run would."""
    tried = []
    for case in cases:
        system = [Message("system", case.system)] if case.system is not None else []
        messages = (*system, Message("user", case.query(0)))
        answer = await model.complete(messages, seed=0)
        elicited, _ = await asking.settle(model, messages, answer, case.answer_form, 0)
        said: dict[str, Critique | None] = {}
        tried.append(Tried(case, answer, said, elicited))
        held = (*messages, Message("assistant", answer.text))
        exam = Examination(case, 0, answer.text, held, 0, answer.finish, tried[-1].stated, asking)
        # In an empty answer there is nothing to examine, and servers refuse empty turns.
        asked = critics if answer.text.strip() else {}
        for name, critic in asked.items():
            with suppress(AbstainedError):  # which is no fault, and there is nothing to show
                said[name] = await critic.examine(exam)
    return tried


def _try_tool(critic: Critic, case: Case, study: Study) -> Iterator[str]:
    """Run the command on a made-up answer, with all it is told here, and with what a gateway could tell it."""
    # The tool itself, without the noise around it, which flips verdicts.
    while hasattr(critic, "inner"):
        critic = critic.inner
    assert isinstance(critic, CommandCritic)
    exam = Examination(case, 0, MADE_UP, (Message("user", case.query(0)), Message("assistant", MADE_UP)), 0)
    try:
        said = anyio.run(critic.examine, exam)
    except AbstainedError:
        return
    except CriticError as error:
        raise _stop(f"on a made-up answer, critic {error}") from None
    printed = said.text.strip()
    if not printed:
        raise _stop(f"critic command {critic.argv[0]!r} printed nothing on a made-up answer; {_ends(study)}")
    if said.verdict == "unclear" and _states(study):
        short = textwrap.shorten(printed, _SHOWN, placeholder=" …")
        raise _stop(
            f"critic command {critic.argv[0]!r} stated no verdict on a made-up answer: {short!r}; {_ends(study)}"
        )
    try:
        served = anyio.run(critic.examine, replace(exam, case=cast("Case", _Served(case))))
        fault = "says nothing" if not served.text.strip() else ""
    except AbstainedError:
        fault = "abstains"
    except CriticError as error:
        fault = f"fails: {error}"
    if fault:
        yield (
            f"A gateway gives a tool the query and the answer, and no row; without the row this one {fault}. It can be "
            "evaluated, but not served."
        )


class _Served:
    """Case that has words and nothing else, as in a gateway."""

    row = None  # `__getattr__` is called for what the class lacks, and so never shows the case's own row

    def __init__(self, case: Case) -> None:
        self._case = case

    def __getattr__(self, name: str) -> Any:
        return getattr(self._case, name)


def _graded(benchmark: AnyBenchmark, metadata: Mapping[str, Any], one: Tried) -> Graded:
    try:
        return benchmark.read(asked_in(metadata)[1].item, *one.stated)
    except ValueError as error:
        raise _stop(str(error)) from None


async def _judge(judge: Judge, model: ChatModel, items: Sequence[ItemLike], answers: Sequence[str]) -> list[str]:
    return [await judge_answer(judge, model, item, answer) for item, answer in zip(items, answers, strict=True)]


def _wrong(tried: Sequence[Tried], graded: Sequence[Graded], study: Study, limit: int, unread: str) -> Iterator[str]:
    """Faults of what was said, worst first."""
    more = f"the limit is {limit} tokens, give more: --reply-tokens {2 * limit}, unless this model never ends by itself"
    if cut := sum(one.answer.finish == "length" for one in tried):
        yield f"{cut} of {len(tried)} answers are cut off; {more}"
    if empty := sum(not one.answer.text.strip() for one in tried):
        yield f"{empty} of {len(tried)} answers are empty; see that this model answers in words"
    if all(grade.correct is None for grade in graded):
        yield unread
    for name in dict.fromkeys(name for one in tried for name in one.critiques):
        said = [critique for one in tried if (critique := one.critiques.get(name)) is not None]
        if cut := sum(critique.finish == "length" for critique in said):
            yield f"{cut} of {len(said)} critiques of critic {name!r} are cut off; {more}"
        if said and _states(study) and all(critique.verdict == "unclear" for critique in said):
            yield f"critic {name!r} stated no verdict on any of {len(said)} answers; {_ends(study)}"


def _states(study: Study) -> bool:
    return bool(study.file.verdicts) or study.file.scale is not None


def _ends(study: Study) -> str:
    """Form in which a critique has to end."""
    if study.file.scale is not None:
        return f"a critique ends with a score, such as {study.file.scale.whole()[-1]!r}"
    stated = " or ".join(map(repr, study.file.verdicts.values())) or "what is wrong"
    return f"a critique ends with {stated}"


def _stop(why: str) -> RunError:
    return RunError(f"{why}. Nothing was run; --no-preflight goes on all the same")
