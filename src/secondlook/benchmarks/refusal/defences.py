"""A defence is a way of building the conversation: words around the request, turns before it, or a second look."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

Defence = Literal["none", "self-reminder", "icd", "again", "vote", "self", "diverse", "self-instruct"]
DEFENCES: tuple[Defence, ...] = get_args(Defence)
"""``none``; a reminder around the request; refusals shown before it; asked again without a critique, and a majority
of answers that cost as much (the controls of what follows); and Checking-as-Context in its three variants."""

CRITIQUED: tuple[Defence, ...] = ("self", "diverse", "self-instruct")
"""The defences with a critic: the variants of Checking-as-Context."""
_OF_CRITICS = ("critic_command", "critic_seconds", "critic_file", "fitted_file", "noise")


@dataclass(frozen=True, slots=True)
class Reminder:
    """Words around every request."""

    before: str
    after: str

    def around(self, request: str) -> str:
        """The request with a paragraph before it and one after it."""
        return f"{self.before}\n\n{request}\n\n{self.after}"


@dataclass(frozen=True, slots=True)
class Shot:
    """A request and its refusal, shown before the conversation."""

    request: str
    refusal: str


def study_fields(defence: str, shots: int, study: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`~secondlook.evaluation.study.Study` that a defence amounts to.

    Args:
        defence: One of :data:`DEFENCES`.
        shots: Refusals that ``icd`` shows.
        study: The fields as the user gave them; what the defence decides itself is replaced.

    Raises:
        ValueError: If there is no such defence, or ``study`` contradicts it.
    """
    if defence not in DEFENCES:
        raise ValueError(f"unknown defence {defence!r}; choose one of {', '.join(DEFENCES)}")
    if study.get("variant", "self") != "self":
        raise ValueError(
            f"variant {study['variant']!r} is a defence of its own here; name it with --defence {study['variant']}"
        )
    fields = {"prompt": "refusal/verbal", **study}
    if defence in CRITIQUED:
        return {**fields, "variant": defence}
    # The critic that the user chose is that of the defences above; the others have none, and no verdict to flip.
    fields = {name: value for name, value in fields.items() if name not in _OF_CRITICS}
    fields["critic"] = "vote" if defence == "vote" else "none"
    if defence in ("again", "vote"):
        return fields
    if fields.get("gate") is not None:
        raise ValueError(f"gate {fields['gate']!r} decides on second looks; defence {defence!r} has none, leave it out")
    fields["rounds"] = 0
    # Shown refusals are a history that was given instead of made.
    return {**fields, "variant": "diverse", "history": shots} if defence == "icd" else fields


@cache
def reminder() -> Reminder:
    """The self-reminder (Xie et al., Nature Machine Intelligence 2023), in our own words."""
    data = _read("self-reminder")
    return Reminder(data["before"].strip(), data["after"].strip())


def refusals(count: int) -> list[Shot]:
    """Draw in-context refusals (Wei et al. 2023) of invented and harmless requests.

    Raises:
        ValueError: If there are not so many.
    """
    data = _read("icd")
    known: list[str] = data["requests"]
    if not 1 <= count <= len(known):
        raise ValueError(f"shots is {count}; defence 'icd' has {len(known)} refusals to show, give 1 to {len(known)}")
    return [Shot(request, data["refusal"]) for request in known[:count]]


def _read(name: str) -> dict[str, Any]:
    folder = resources.files("secondlook.benchmarks.refusal") / "words"
    return tomllib.loads((folder / f"{name}.toml").read_text("utf-8"))
