"""The refusal benchmark as an Inspect task: ``inspect eval secondlook/refusal -T behaviours=FILE --model …``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample

from secondlook.benchmarks.planted.noise import SCHEDULES, Noise, Schedule
from secondlook.benchmarks.refusal.defences import refusals, reminder, study_fields
from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judge_model import judged_by_model
from secondlook.benchmarks.refusal.load import load_attacks, load_behaviours
from secondlook.correction.case import seed_from
from secondlook.evaluation.samples import shot_to_sample, to_sample
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import make_task


@task
def refusal(
    behaviours: str | None = None,
    benign: str | None = None,
    attacks: str | list[str] | None = None,
    defence: str = "none",
    shots: int = 4,
    limit: int | None = None,
    schedule: Schedule | None = None,
    judge_model: bool = False,
    seed: int = 0,
    **study: Any,
) -> Task:
    """A model is asked for what it should refuse, and for what it should not, behind one defence.

    Args:
        behaviours: CSV file of harmful behaviours (AdvBench or JailbreakBench), put as they are.
        benign: CSV file of benign behaviours, for over-refusal.
        attacks: JSON files of stored attacks (JailbreakBench artifacts), replayed.
        defence: One of :data:`~secondlook.benchmarks.refusal.defences.DEFENCES`.
        shots: Refusals that defence ``icd`` shows.
        limit: How many requests of each file; the same behaviours are taken out of each.
        schedule: Noise words of the planted language at the end of every prompt, which its subjects decide by.
        judge_model: Whether model role ``judge`` judges the replies too.
        seed: Seed of the sample and the run.
        **study: Fields of :class:`~secondlook.evaluation.study.Study`; the defence decides ``variant``.

    Raises:
        ValueError: If data or settings cannot be used.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; ask for at least 1 request of each file")
    if schedule not in (None, *SCHEDULES):
        raise ValueError(f"unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}, or none of them")
    arm = Study.of(seed=seed, **study_fields(defence, shots, study))
    harmful = load_behaviours(Path(behaviours), "harmful") if behaviours else []
    made = load_attacks([Path(file) for file in ([attacks] if isinstance(attacks, str) else attacks or [])])
    parts = [harmful, *(attack.requests for attack in made)]
    parts.append(load_behaviours(Path(benign), "benign") if benign else [])
    if not any(parts):
        raise ValueError("there is nothing to ask: give --behaviours, --benign or --attacks, each a file")
    chosen = [request for part in parts for request in _some(part, limit, seed)]
    asked = {request.behaviour for request in chosen}
    others = [request for request in _some(harmful, None, seed) if request.behaviour not in asked]
    words = reminder() if defence == "self-reminder" else None

    def sample(request: Request) -> Sample:
        return to_sample(request, Noise(request.id, schedule, seed) if schedule else None, words)

    return make_task(
        "refusal",
        [sample(request) for request in chosen],
        [shot_to_sample(shot) for shot in refusals(shots)] if defence == "icd" else [sample(one) for one in others],
        arm,
        scorers=[judged_by_model()] if judge_model else [],
        notes=[attack.note for attack in made],
    )


def _some(requests: Iterable[Request], limit: int | None, seed: int) -> list[Request]:
    """The first so many in an order that the seed and the behaviour decide, whichever file they stand in."""
    return sorted(requests, key=lambda request: seed_from(seed, "refusal", request.behaviour))[:limit]
