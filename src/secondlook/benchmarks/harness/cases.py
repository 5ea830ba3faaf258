"""Inspect samples and back: an item travels in a sample's metadata and becomes a case again in the solver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from inspect_ai.dataset import MemoryDataset, Sample
from pydantic import TypeAdapter

from secondlook.benchmarks.bbq.case import LETTERS, BBQCase, no_words
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.planted.noise import Noise
from secondlook.benchmarks.prompts import Prompt

_ITEM = TypeAdapter(Item)
_NOISE: TypeAdapter[Noise | None] = TypeAdapter(Noise | None)


def to_sample(item: Item, noise: Noise | None = None) -> Sample:
    """An Inspect sample that carries the whole item, and its noise words' seed where it has any."""
    return Sample(
        id=item.id,
        input=f"{item.context} {item.question}",
        choices=list(item.options),
        target=LETTERS[item.label],
        metadata={
            "category": item.category,
            "condition": item.condition,
            "template": item.template,
            "item": asdict(item),
            "noise": None if noise is None else asdict(noise),
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


def item_of(metadata: Mapping[str, Any]) -> Item:
    """The item a sample's metadata carries."""
    return _ITEM.validate_python(metadata["item"])


def case_of(metadata: Mapping[str, Any], prompt: Prompt) -> BBQCase:
    """The case a sample's metadata describes, in the words of a prompt file."""
    noise = _NOISE.validate_python(metadata.get("noise"))
    return BBQCase(item_of(metadata), prompt, no_words if noise is None else noise.words)
