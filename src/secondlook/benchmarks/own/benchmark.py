"""A user's own task as a benchmark: ``secondlook eval own --data FILE --grader exact``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from secondlook.benchmarks.bbq.benchmark import SPARE
from secondlook.benchmarks.benchmark import Asked, Benchmark, Display, Graded, Questions, option
from secondlook.benchmarks.own.case import OwnCase
from secondlook.benchmarks.own.grading import BUILT_IN, MODEL, cannot_match, grade, try_grader
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.benchmarks.own.judge import AnswerRubric
from secondlook.benchmarks.own.load import load_questions
from secondlook.correction.case import Case, seed_from
from secondlook.correction.chat import Finish
from secondlook.prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """Options of the questions and their grader."""

    data: str | None = option(None, "Questions: .jsonl, .json, .csv, .parquet, or the folder of a dataset.")
    grader: str = option(
        "exact", "exact, contains, number, choice, FILE.py:function, module:function, or model (with --judge-model)."
    )
    field: Mapping[str, str] | None = option(None, "prompt=COLUMN (or answer, id, group, template, condition).")
    split: str | None = option(None, "Split of a dataset with several.")
    per_category: int | None = option(None, "Questions of each group.")
    limit: int | None = option(None, "Questions altogether.")


class Own(Benchmark[Question, OwnOptions]):
    """Questions of anyone's, and anyone's grader."""

    name = "own"
    about = "Your task: your questions, your grader."
    item = Question
    options = OwnOptions
    prompts = "own"
    prompt = "own/binary-cot"
    users = True
    judge = AnswerRubric()

    def questions(self, options: OwnOptions, seed: int) -> Questions[Question]:
        """Draw questions, so many of each group and altogether, as the seed and their names decide."""
        if options.data is None:
            raise ValueError("benchmark 'own' needs questions; give --data FILE")
        for name, value in (("per-category", options.per_category), ("limit", options.limit)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; ask for at least 1 question")
        every = load_questions(Path(options.data), options.grader, fields=options.field, split=options.split)
        chosen = _some(every, options.per_category, options.limit, seed)
        asked = [Asked(question) for question in every if question.id in chosen]
        spare = [Asked(question) for question in every if question.id not in chosen]
        marred = [one.item.id for one in asked if "\ufffd" in one.item.text]
        notes = [f"Questions with U+FFFD, as the data have it or for half a surrogate pair: {', '.join(marred)}."]
        return Questions(asked, spare[:SPARE], tuple(notes if marred else ()))

    def shown(self, item: Question) -> Display:
        """The question and its truth, where the data have one."""
        return Display(item.text, str(item.row.get(ANSWER, "")))

    def case(self, asked: Asked[Question], file: Prompt, words: Mapping[str, str]) -> Case:
        """The question in the words of the prompt file."""
        del words
        return OwnCase(asked.item, file)

    def by_judge(self, item: Question) -> bool:
        """Whether the grader is a model."""
        return item.grader == MODEL

    def trial(self, items: Sequence[Question]) -> None:
        """Grade made-up answers, and the truth itself."""
        for item in items:
            try_grader(item)

    def unread(self, items: Sequence[Question], answers: str) -> str:
        """The same of the grader, by its name: it may be the one that nobody asked for."""
        grader = items[0].grader
        if grader not in BUILT_IN:
            return f"grader {grader!r} read none of {answers} (it returned None); mend it, or ask for its form"
        numbers = grader != "number" and not any(cannot_match("number", item.row[ANSWER]) for item in items)
        other = "give --grader number, since the data's answers are numbers, or " if numbers else ""
        return f"grader {grader!r} read none of {answers}; {other}ask for answers in its form (--prompt)"

    def read(self, item: Question, answer: str, finish: Finish) -> Graded:
        """Grade an answer by the user's grader."""
        graded = grade(item, answer, finish)
        return Graded(graded.reading, graded.correct, "unparsed" if graded.correct is None else "ok")


def _some(questions: list[Question], per_category: int | None, limit: int | None, seed: int) -> set[str]:
    # By name alone, whatever rows stand beside it: a larger sample holds the smaller one.
    def drawn(question: Question) -> int:
        return seed_from(seed, "own", question.id)

    groups = groupby(sorted(questions, key=lambda one: (one.category, drawn(one))), key=lambda one: one.category)
    some = [question for _, members in groups for question in list(members)[:per_category]]
    return {question.id for question in sorted(some, key=drawn)[:limit]}


BENCHMARK = Own()
