"""A user's own task as an Inspect task: ``inspect eval secondlook/own -T data=FILE -T grader=exact --model …``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from inspect_ai import Task, task

from secondlook.benchmarks.own.item import Question
from secondlook.benchmarks.own.load import load_questions
from secondlook.correction.case import seed_from
from secondlook.evaluation.samples import to_sample
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import make_task


@task
def own(
    data: str | None = None,
    grader: str = "exact",
    field: Mapping[str, str] | None = None,
    split: str | None = None,
    per_category: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    **study: Any,
) -> Task:
    """A model answers questions of anyone's, its answers are checked, it answers again.

    Args:
        data: File or folder of the questions; see :func:`~secondlook.benchmarks.own.load.load_questions`.
        grader: Who grades; see :func:`~secondlook.benchmarks.own.grading.load_grader`.
        field: Column by field, where the data name it otherwise.
        split: Of a dataset with several splits.
        per_category: How many questions of each group.
        limit: How many questions altogether.
        seed: Seed of the sample and the run.
        **study: Fields of :class:`~secondlook.evaluation.study.Study`.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    if data is None:
        raise ValueError("benchmark 'own' needs questions; give --data FILE")
    for name, value in (("per-category", per_category), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; ask for at least 1 question")
    arm = Study.of(seed=seed, **{"prompt": "own/binary-cot", **study})
    questions = load_questions(Path(data), grader, fields=field, split=split)
    chosen = _some(questions, per_category, limit, seed)
    taken = {question.id for question in chosen}
    spare = [question for question in questions if question.id not in taken]
    return make_task("own", [to_sample(one) for one in chosen], [to_sample(one) for one in spare[:64]], arm)


def _some(questions: list[Question], per_category: int | None, limit: int | None, seed: int) -> list[Question]:
    """So many of each group and altogether, as the seed and their names decide; in the order of the data."""

    def drawn(question: Question) -> int:
        return seed_from(seed, "own", question.id)

    groups = groupby(sorted(questions, key=lambda one: (one.category, drawn(one))), key=lambda one: one.category)
    some = [question for _, members in groups for question in list(members)[:per_category]]
    kept = {question.id for question in sorted(some, key=drawn)[:limit]}
    return [question for question in questions if question.id in kept]
