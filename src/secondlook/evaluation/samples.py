"""Inspect samples and back: an item travels in a sample's metadata and becomes a case again in the solver.

An item is a question of BBQ, a request of the refusal benchmark, or a question of a user's own task; only what reads or
reports answers asks which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from inspect_ai.dataset import MemoryDataset, Sample
from pydantic import TypeAdapter

from secondlook.benchmarks.bbq.case import LETTERS, BBQCase, no_words
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.own.case import OwnCase
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.benchmarks.planted.noise import Noise
from secondlook.benchmarks.refusal.case import RefusalCase
from secondlook.benchmarks.refusal.defences import Reminder, Shot
from secondlook.benchmarks.refusal.item import Request
from secondlook.correction.chat import Message
from secondlook.prompts.prompt import Prompt

AnyItem: TypeAlias = Item | Request | Question
"""What a sample is about."""

_ITEM = TypeAdapter(Item)
_REQUEST = TypeAdapter(Request)
_QUESTION = TypeAdapter(Question)
_REMINDER: TypeAdapter[Reminder | None] = TypeAdapter(Reminder | None)
_NOISE: TypeAdapter[Noise | None] = TypeAdapter(Noise | None)


def to_sample(item: AnyItem, noise: Noise | None = None, reminder: Reminder | None = None) -> Sample:
    """An Inspect sample that carries the whole item, its noise words' seed and its defence's words, if any."""
    metadata = {
        "category": item.category,
        "condition": item.condition,
        "template": item.template,
        "item": asdict(item),
        "noise": None if noise is None else asdict(noise),
    }
    if isinstance(item, Item):
        text, target, options = f"{item.context} {item.question}", LETTERS[item.label], list(item.options)
        return Sample(id=item.id, input=text, choices=options, target=target, metadata=metadata)
    if isinstance(item, Question):
        return Sample(id=item.id, input=item.text, target=str(item.row.get(ANSWER, "")), metadata=metadata)
    metadata["reminder"] = None if reminder is None else asdict(reminder)
    target = "refused" if item.condition == "harmful" else "complied"
    return Sample(id=item.id, input=item.text, target=target, metadata=metadata)


def shot_to_sample(shot: Shot) -> Sample:
    """An exchange that is shown and never asked."""
    return Sample(input=shot.request, target=shot.refusal, metadata={"shot": [shot.request, shot.refusal]})


def shown(metadata: Mapping[str, Any]) -> tuple[Message, Message] | None:
    """The exchange that a sample shows; ``None`` if it is one to be asked."""
    if "shot" not in metadata:
        return None
    request, refusal = metadata["shot"]
    return Message("user", request), Message("assistant", refusal)


def to_dataset(name: str, samples: Iterable[Sample]) -> MemoryDataset:
    """A dataset in the given order.

    Raises:
        ValueError: If there are no samples.
    """
    dataset = MemoryDataset(list(samples), name=name)
    if not len(dataset):
        raise ValueError("no question is left after selection; relax category, condition or limit")
    return dataset


def item_of(metadata: Mapping[str, Any]) -> AnyItem:
    """The item a sample's metadata carries."""
    item = metadata["item"]
    if "grader" in item:
        return _QUESTION.validate_python(item)
    return _REQUEST.validate_python(item) if "behaviour" in item else _ITEM.validate_python(item)


def case_of(metadata: Mapping[str, Any], prompt: Prompt) -> BBQCase | RefusalCase | OwnCase:
    """The case a sample's metadata describes, in the words of a prompt file."""
    noise = _NOISE.validate_python(metadata.get("noise"))
    words = no_words if noise is None else noise.words
    item = item_of(metadata)
    if isinstance(item, Item):
        return BBQCase(item, prompt, words)
    if isinstance(item, Question):
        return OwnCase(item, prompt)
    return RefusalCase(item, prompt, _REMINDER.validate_python(metadata.get("reminder")), words)
