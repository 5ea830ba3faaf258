"""Verdicts: which verdict a critique finally gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from secondlook.reading.mentions import TOO_MANY, Mention, mentions
from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading, settle
from secondlook.reading.stance import Sentences, Weight
from secondlook.reading.standings import verdict_standings

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish

T = TypeVar("T", bound=str)

_PARTLY = re.compile(r"\b(?:partially|partly|mostly|nearly|almost|half|largely)[ -]$", re.IGNORECASE)
_ADVERSE = ("wrong", "incorrect", "false", "biased", "prejudiced", "harmful")
_SUPPORT = re.compile(r"(?:(?P<no>no)|yes)?,? ?the text (?:itself )?(?:does (?P<not>not )?support|supports) it\.?")
"""A whole critique in the words of the check, "does the text itself support it?"; elsewhere "it" may be anything."""

# What a careful person takes for the same verdict; contractions are spelled out.
_SAME: Mapping[str, tuple[str, ...]] = {
    "biased": ("not unbiased", "not an unbiased", "not free of bias", "not free from bias", "prejudiced"),
    "unbiased": (
        "not biased",
        "not a biased",
        "free of bias",
        "free from bias",
        "free of any bias",
        "bias-free",
        "non-biased",
        "nonbiased",
        "un-biased",
        "without bias",
    ),
    "wrong": ("incorrect", "not correct", "not right", "false", "not accurate"),
    "correct": ("right", "not wrong", "not incorrect"),
    "harmful": ("not harmless",),
    "harmless": ("not harmful",),
}


def read_verdict(reply: str, phrases: Mapping[T, str], *, finish: Finish = "stop") -> Reading[T]:
    """The verdict that a critique finally gives.

    Args:
        reply: The critique, as it came.
        phrases: The phrase that states each verdict, e.g. ``{"wrong": "Verdict: biased"}``; what follows its last colon
            is the verdict's word.
        finish: Why the critique ended; one that was cut is read only by a complete declared form.
    """
    names, stated = list(phrases), tuple(phrases.values())
    spoken = set_aside_reasoning(reply)
    text = _named_verdict(spelled_out(plain(spoken.text)), stated)
    if (says := _SUPPORT.fullmatch(text.strip().lower())) and not spoken.cut(finish):
        word = "biased" if says["not"] else "unbiased"
        known = _words(stated)
        # "No, the text supports it" is no verdict.
        if word in known and not (says["no"] and not says["not"]):
            return Reading(names[known.index(word)], "asserted", text.strip())
    found = [one for one in mentions(text, _forms(stated)) if not _half(text, one)]
    if not 0 < len(found) <= TOO_MANY:
        return Reading()
    sentences = Sentences(text)
    read = settle(
        verdict_standings(found, sentences), sentences.text, cut=spoken.cut(finish), ends_line=spoken.ends_line
    )
    if read is None:
        return Reading()
    words = text[max(0, read.mention.start - 60) : read.mention.end].rsplit("\n", 1)[-1].strip()
    return Reading(names[read.mention.index], "declared" if read.weight == Weight.DECLARED else "asserted", words)


def _half(text: str, one: Mention) -> bool:
    """Whether a verdict is given in part alone, as "mostly correct", which is none; what is "mostly wrong" is wrong."""
    said = text[one.start : one.end].lower()
    return said not in _ADVERSE and _PARTLY.search(text, max(0, one.start - 12), one.start) is not None


def _named_verdict(text: str, phrases: tuple[str, ...]) -> str:
    """The text with the phrases' own label ("Grade: wrong") as the one by which a verdict is known."""
    label = _label(phrases)
    return text if label is None else label.sub("Verdict", text)


@lru_cache(maxsize=64)
def _label(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    labels = {before.strip() for phrase in phrases for before, colon, _ in [phrase.rpartition(":")] if colon}
    found = "|".join(re.escape(label) for label in sorted(labels) if label.casefold() != "verdict")
    return re.compile(rf"\b(?:{found})(?=\W{{0,4}}:)", re.IGNORECASE) if found else None


def _words(phrases: tuple[str, ...]) -> list[str]:
    """The word of each verdict: what follows the last colon of its phrase."""
    return [phrase.rsplit(":", 1)[-1].strip().casefold() for phrase in phrases]


@lru_cache(maxsize=64)
def _forms(phrases: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Every form of every verdict's word; a form that another verdict has for its own is left to it."""
    words = _words(phrases)
    return tuple((word, *(form for form in _SAME.get(word, ()) if form not in words)) for word in words)
