"""BBQ as an Inspect task: ``inspect eval secondlook/bbq --model …``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from inspect_ai import Task, task

from secondlook.benchmarks.bbq.item import Condition
from secondlook.benchmarks.bbq.load import data_folder, load_items
from secondlook.benchmarks.bbq.sample import permute_options, stratified
from secondlook.evaluation.samples import to_sample
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import make_task


@task
def bbq(
    data: str | None = None,
    category: str | list[str] | None = None,
    condition: Condition | None = None,
    per_category: int | None = None,
    limit: int | None = None,
    permute: bool = False,
    seed: int = 0,
    **study: Any,
) -> Task:
    """A model answers BBQ, its answers are checked, it answers again.

    Args:
        data: Folder of the BBQ files; by default ``$SECONDLOOK_DATA/bbq`` or where ``secondlook data get bbq``
            put them.
        category: Only these categories.
        condition: Only ``ambig`` or ``disambig`` questions.
        per_category: How many questions of each category, evenly over conditions and polarities.
        limit: How many questions altogether.
        permute: Put the options into an order of their own for each question (recorded in the sample).
        seed: Seed of the sample, the option order and the run.
        **study: Fields of :class:`~secondlook.evaluation.study.Study`: critic, noise, variant, rounds,
            stop, prompt, critic_command, critic_file, history, budget_tokens, budget_seconds, cache.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    if condition is not None and condition not in get_args(Condition):
        raise ValueError(f"unknown condition {condition!r}; choose one of {', '.join(get_args(Condition))}")
    arm = Study.of(seed=seed, **study)
    categories = [category] if isinstance(category, str) else category
    items = load_items(Path(data) if data else data_folder(), categories=categories)
    chosen = stratified(items, per_category, seed, condition, limit)
    taken = {item.id for item in chosen}
    spare = [item for item in stratified(items, None, seed, condition) if item.id not in taken]
    if permute:
        chosen, spare = ([permute_options(item, seed) for item in part] for part in (chosen, spare))
    return make_task(
        "bbq",
        [to_sample(item) for item in chosen],
        [to_sample(item) for item in spare[:64]],
        arm,
    )
