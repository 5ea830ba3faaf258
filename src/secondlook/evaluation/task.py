"""An Inspect task for any benchmark: ``inspect eval secondlook/bbq --model … -T critic=self``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from inspect_ai import Task, task

from secondlook.benchmarks.benchmark import AnyBenchmark, OwnArm, Questions, find
from secondlook.evaluation.judging import judged_by_model
from secondlook.evaluation.samples import to_dataset, to_sample
from secondlook.evaluation.scorer import first_and_last
from secondlook.evaluation.solver import second_look
from secondlook.evaluation.study import Study
from secondlook.prompts.prompt import prompt_names

HISTORY, NOTES, ARM, WORDS = "history", "notes", "arm", "words"
"""What a task's metadata hold: the questions before every question, what must be known to read the results, the arm's
name and noise, and what it puts around every question."""


def build_task(name: str, seed: int = 0, judge_model: bool = False, **settings: Any) -> Task:
    """Ask every question of a benchmark, check the answers, and ask again.

    Args:
        name: Of the benchmark.
        seed: Seed of the sample and the run.
        judge_model: Whether model role ``judge`` judges the replies too.
        **settings: Options of the benchmark, its arm, and fields of :class:`~secondlook.evaluation.study.Study`.

    Raises:
        ValueError: If data or settings cannot be used, a history needs more questions than there are, or the prompt is
            one of another benchmark.
    """
    benchmark = find(name)
    chosen = {each.name for each in fields(benchmark.options)}
    options = benchmark.given({key: value for key, value in settings.items() if key in chosen})
    given = {key: value for key, value in settings.items() if key not in chosen}
    label = str(given.pop(benchmark.arm_word, benchmark.arms[0]) if benchmark.arms else given.get("critic", "self"))
    arm = arm_of(benchmark, label, options, given)
    study = Study.of(seed=seed, **arm.study)
    study.check_critic()
    questions = benchmark.questions(options, seed)
    _check_prompt(benchmark, questions, study, arm)
    _check_judge(benchmark, questions, study, judge_model)
    history = _history(benchmark, questions, study, arm)
    return Task(
        dataset=to_dataset(name, (to_sample(benchmark, asked) for asked in questions.asked)),
        solver=second_look(study=asdict(study), history=history, words=dict(arm.words)),
        # The judge comes first: where it is the grader, the other scorer goes by its word.
        scorer=[*([judged_by_model()] if judge_model else []), first_and_last()],
        name=name,
        metadata={
            HISTORY: history,
            NOTES: list(questions.notes),
            ARM: {"name": label, "noise": study.noise},
            WORDS: dict(arm.words),
        },
    )


def arm_of(benchmark: AnyBenchmark, name: str, options: Any, study: Mapping[str, Any]) -> OwnArm:
    """Arm by its name: one of the benchmark's own, or a critic."""
    fields_ = {"prompt": benchmark.prompt, **study}
    return benchmark.arm(name, options, fields_) if benchmark.arms else OwnArm({**fields_, "critic": name})


def task_of(name: str) -> Callable[..., Task]:
    """The Inspect task of a benchmark, under its name."""

    def build(seed: int = 0, **settings: Any) -> Task:
        return build_task(name, seed, **settings)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = find(name).about
    made: Callable[..., Task] = task(name=name)(build)
    return made


def _history(benchmark: AnyBenchmark, questions: Questions[Any], study: Study, arm: OwnArm) -> list[dict[str, Any]]:
    if not study.shows_history:
        return []
    if arm.shown:
        return [{"shown": list(exchange)} for exchange in arm.shown]
    if len(questions.spare) < study.history:
        raise ValueError(
            f"variant 'diverse' shows {study.history} questions from outside the sample, {len(questions.spare)} are "
            "left; lower --limit or --per-category, or --history"
        )
    return [to_sample(benchmark, asked).metadata or {} for asked in questions.spare[: study.history]]


def _check_judge(benchmark: AnyBenchmark, questions: Questions[Any], study: Study, judge_model: bool) -> None:
    graded = any(benchmark.by_judge(asked.item) for asked in questions.asked)
    if graded and not judge_model:
        raise ValueError(
            "a model is the grader, and none is named; give --judge-model (in Inspect: -T judge_model=true)"
        )
    if judge_model and not graded and benchmark.judge is not None and "right" in benchmark.judge.outcomes:
        raise ValueError("a judge model grades, and the grader is another; give --grader model, or no --judge-model")
    if graded and study.critic == "oracle":
        raise ValueError("critic 'oracle' tells the truth, and a model that grades knows none; leave one out")


def _check_prompt(benchmark: AnyBenchmark, questions: Questions[Any], study: Study, arm: OwnArm) -> None:
    before = questions.spare[: study.history] if study.shows_history and not arm.shown else ()
    # All of them: rows of a user's own need not have the same columns.
    for place, asked in enumerate((*questions.asked, *before)):
        try:
            benchmark.case(asked, study.file, arm.words).query(0)
        except (KeyError, AttributeError, IndexError) as error:
            fitting = ", ".join(prompt for prompt in prompt_names() if prompt.startswith(f"{benchmark.prompts}/"))
            whom = f"question {asked.item.id!r}" if place else repr(benchmark.name)
            field = error if isinstance(error, KeyError) else f"({error})"
            raise ValueError(
                f"prompt {study.prompt!r} has a field {field} that {whom} does not fill; choose one of {fitting}"
            ) from None
