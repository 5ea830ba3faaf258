"""An Inspect task from questions and a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from inspect_ai import Task
from inspect_ai.dataset import Sample

from secondlook.benchmarks.harness.cases import to_dataset
from secondlook.benchmarks.harness.scorer import first_and_last
from secondlook.benchmarks.harness.solver import second_look
from secondlook.benchmarks.harness.study import Study


def make_task(name: str, samples: Sequence[Sample], spare: Sequence[Sample], study: Study) -> Task:
    """A task that asks every question and looks again as the study says.

    Args:
        name: Name of the benchmark.
        samples: The questions.
        spare: Questions outside the sample; the first ``study.history`` of them stand before every question in
            the ``diverse`` variant.
        study: Critic, variant, rounds, prompt.

    Raises:
        ValueError: If the diverse variant has too few spare questions, there are no questions, or what the
            critic needs is not there.
    """
    study.check_critic()
    history: list[Sample] = []
    if study.variant == "diverse":
        history = list(spare[: study.history])
        if len(history) < study.history:
            raise ValueError(
                f"variant 'diverse' shows {study.history} questions from outside the sample, {len(history)} are left; "
                "lower --limit or --per-category, or --history"
            )
    return Task(
        dataset=to_dataset(name, samples),
        solver=second_look(study=asdict(study), history=[sample.metadata or {} for sample in history]),
        scorer=first_and_last(),
        name=name,
    )
