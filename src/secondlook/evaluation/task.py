"""An Inspect task from questions and a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Scorer

from secondlook.evaluation.samples import case_of, to_dataset
from secondlook.evaluation.scorer import first_and_last
from secondlook.evaluation.solver import second_look
from secondlook.evaluation.study import Study
from secondlook.prompts.prompt import prompt_names

HISTORY, NOTES = "history", "notes"
"""What a task's metadata hold: the questions before every question, and what must be known to read the results."""


def make_task(
    name: str,
    samples: Sequence[Sample],
    spare: Sequence[Sample],
    study: Study,
    *,
    scorers: Sequence[Scorer] = (),
    notes: Sequence[str] = (),
) -> Task:
    """A task that asks every question and looks again as the study says.

    Args:
        name: Name of the benchmark.
        samples: The questions.
        spare: Questions outside the sample; the first ``study.history`` of them stand before every question in
            the ``diverse`` variant.
        study: Critic, variant, rounds, prompt.
        scorers: Further scorers.
        notes: What must be known of the questions to read the results.

    Raises:
        ValueError: If the diverse variant has too few spare questions, there are no questions, the prompt is one of
            another benchmark, or what the critic needs is not there.
    """
    study.check_critic()
    _check_prompt(name, samples, study)
    history: list[Sample] = []
    if study.shows_history:
        history = list(spare[: study.history])
        if len(history) < study.history:
            raise ValueError(
                f"variant 'diverse' shows {study.history} questions from outside the sample, {len(history)} are left; "
                "lower --limit or --per-category, or --history"
            )
    return Task(
        dataset=to_dataset(name, samples),
        solver=second_look(study=asdict(study), history=[sample.metadata or {} for sample in history]),
        scorer=[first_and_last(), *scorers],
        name=name,
        metadata={HISTORY: [sample.metadata for sample in history], NOTES: list(notes)},
    )


def _check_prompt(name: str, samples: Sequence[Sample], study: Study) -> None:
    try:
        for sample in samples[:1]:
            case_of(sample.metadata or {}, study.file).query(0)
    except KeyError as error:
        room = name if name in ("refusal", "own") else "bbq"
        fitting = ", ".join(prompt for prompt in prompt_names() if prompt.startswith(f"{room}/"))
        raise ValueError(
            f"prompt {study.prompt!r} has a field {error} that {name!r} does not fill; choose one of {fitting}"
        ) from None
