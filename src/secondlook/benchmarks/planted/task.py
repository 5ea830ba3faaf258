"""The planted language as an Inspect task: ``inspect eval secondlook/planted --model secondlook/planted``."""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import SCHEDULES, Noise, Schedule
from secondlook.evaluation.samples import to_sample
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import make_task


@task
def planted(
    per_category: int = 48,
    schedule: Schedule = "fresh",
    limit: int | None = None,
    seed: int = 0,
    **study: Any,
) -> Task:
    """The planted subject answers questions it has never seen, in the language it was raised in.

    Args:
        per_category: Held-out questions of each of the eleven categories.
        schedule: Noise words ``fresh`` each round; ``fixed`` for the item: then every trait is a function of the item,
            and rounds after the first differ by selection; or ``none``: then the subjects of the family decide by
            chance when sampled at temperature 1.
        limit: How many questions altogether.
        seed: Seed of the questions, the noise words and the run.
        **study: Fields of :class:`~secondlook.evaluation.study.Study`.

    Raises:
        ValueError: If the schedule is unknown or ``per_category`` is not positive.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; ask for at least 1 question")
    items = draw_items(per_category, seed)[:limit]
    spare = draw_items(1, seed, split="train")
    samples, extra = ([to_sample(item, Noise(item.id, schedule, seed)) for item in part] for part in (items, spare))
    return make_task("planted", samples, extra, Study.of(seed=seed, **study))
