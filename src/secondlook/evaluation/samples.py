"""Inspect samples and back: a question travels in a sample's metadata and becomes a case again in the solver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from inspect_ai.dataset import MemoryDataset, Sample
from pydantic import TypeAdapter

from secondlook.benchmarks.benchmark import AnyBenchmark, Asked, find
from secondlook.correction.case import Case
from secondlook.prompts.prompt import Prompt


def to_sample(benchmark: AnyBenchmark, asked: Asked[Any]) -> Sample:
    """An Inspect sample that carries the whole question."""
    item, shown = asked.item, benchmark.shown(asked.item)
    return Sample(
        id=item.id,
        input=shown.text,
        choices=list(shown.options) or None,
        target=shown.target,
        metadata={
            # Beside the item, not in it alone: the scorer clusters by `template`, a plan counts by `category`.
            "category": item.category,
            "condition": item.condition,
            "template": item.template,
            "benchmark": benchmark.name,
            "item": asdict(item),
            "around": dict(asked.around),
        },
    )


def to_dataset(name: str, samples: Iterable[Sample]) -> MemoryDataset:
    """A dataset in the given order.

    Raises:
        ValueError: If there are no samples.
    """
    dataset = MemoryDataset(list(samples), name=name)
    if not len(dataset):
        raise ValueError("no question is left after selection; relax category, condition or limit")
    return dataset


def asked_in(metadata: Mapping[str, Any]) -> tuple[AnyBenchmark, Asked[Any]]:
    """The question a sample's metadata carry, and its benchmark."""
    benchmark = find(metadata["benchmark"])
    return benchmark, Asked(_adapter(benchmark.name).validate_python(metadata["item"]), metadata["around"])


def case_of(metadata: Mapping[str, Any], file: Prompt, words: Mapping[str, str] | None = None) -> Case:
    """The case a sample's metadata describe, in the words of a prompt file and of its arm."""
    benchmark, asked = asked_in(metadata)
    return benchmark.case(asked, file, words or {})


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(find(name).item)
