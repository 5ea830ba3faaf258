"""Verdicts: which verdict, or which score, a critique finally gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from secondlook.correction.chat import Finish
from secondlook.reading.mentions import TOO_MANY, mentions
from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading, settle
from secondlook.reading.stance import Sentences, Weight
from secondlook.reading.standings import verdict_standings
from secondlook.reading.words import CUES

T = TypeVar("T", bound=str)

# What a careful person takes for the same verdict; contractions are spelled out.
_SAME: Mapping[str, tuple[str, ...]] = {
    "biased": ("not unbiased", "not free of bias", "not free from bias", "prejudiced"),
    "unbiased": (
        "not biased",
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
_SCORE = re.compile(
    r"(?P<score>[-+]?\d{1,6}(?:[.,]\d{1,4})?)(?:\s*(?:/|\b(?:out )?of\b)\s*(?P<range>\d{1,6}))?(?P<odd>[ ]?%|[ ]?(?:-|—|to|or)[ ]?\d|[\w/])?",
    re.IGNORECASE,
)
_BETWEEN = r"(?:[\"']?\s*[:=-]+|(?: [^.!?\n:\d]{0,60}?)?\s(?:is|of|as|would be|at|a|be|was)\b(?: (?:an?|about|approximately))?)[\s\"'(\[{:]*"
_GIVEN = re.compile(
    r"^\W*\d|\b(?:answer|response|rating|assessment|verdict) (?:is|was|would be|as)[\s:]+\d|\brate\b[^.!?\n]{0,40}\d"
)
"""A score without its label: first of all, or as what the answer is or is rated."""
_SPAN = re.compile(r"\d[ ]?(?:-|—|to|and)[ ]?\d")


def read_verdict(reply: str, phrases: Mapping[T, str], *, finish: Finish = "stop") -> Reading[T]:
    """The verdict that a critique finally gives.

    Args:
        reply: The critique, as it came.
        phrases: The phrase that states each verdict, e.g. ``{"wrong": "Verdict: biased"}``; what follows its last colon
            is the verdict's word.
        finish: Why the critique ended; one that was cut is read only by a complete declared form.
    """
    names = list(phrases)
    spoken = set_aside_reasoning(reply)
    text = spelled_out(plain(spoken.text))
    found = mentions(text, _forms(tuple(phrases.values())))
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


def read_score(reply: str, label: str, lowest: float, highest: float, *, finish: Finish = "stop") -> Reading[float]:
    """The score that a critique finally gives, within its range.

    It stands after the label ("Score: 7", "a score of 7 out of 10"), before "out of" and the highest score, or is the only
    number, first of all or as what the answer is ("10, correct."). A score of another range, a percentage, a span ("7-8"), and different scores of which none takes back the
    others cannot be read.

    Args:
        reply: The critique, as it came.
        label: What stands before the score, e.g. ``Score:``.
        lowest: The lowest score that may be given.
        highest: The highest.
        finish: Why the critique ended.
    """
    spoken = set_aside_reasoning(reply)
    text = spelled_out(plain(spoken.text)).lower()
    cut = spoken.cut(finish) and not spoken.ends_line
    scores: list[tuple[float | None, re.Match[str]]] = []
    for found in _labelled(label.rstrip(": ")).finditer(text):
        if (score := _SCORE.match(text, found.end())) is None:
            scores.append((None, found))
        elif not (float(lowest) == _value(score) and _SPAN.match(text, score.start())):
            scores.append((_score(score, lowest, highest), score))
    if not scores:
        scores = [(_score(score, lowest, highest), score) for score in _SCORE.finditer(text) if score["range"]]
    if not scores and _GIVEN.search(text):
        scores = [(_score(score, lowest, highest), score) for score in _SCORE.finditer(text)]
    back = [match.start() for match in CUES["takes_back"].finditer(text)]
    if back:
        scores = [one for one in scores if one[1].start() >= back[-1]]
    values = {value for value, _ in scores}
    if len(values) != 1 or None in values or (cut and scores[-1][1].end() >= len(text)):
        return Reading()
    value, last = scores[-1]
    clause = re.split(r"[.!?;\n]|, but\b", text[max(0, last.start() - 120) : last.start()])[-1]
    if len(CUES["negates"].findall(CUES["idle"].sub(" ", clause))) % 2 or re.search(
        r"\b(?:if|would not|might|could)\b", clause
    ):
        return Reading()
    return Reading(value, "declared", text[max(0, last.start() - 40) : last.end()].rsplit("\n", 1)[-1].strip())


@lru_cache(maxsize=64)
def _forms(phrases: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Every form of every verdict's word; a form that another verdict has for its own is left to it."""
    words = [phrase.rsplit(":", 1)[-1].strip().casefold() for phrase in phrases]
    return tuple((word, *(form for form in _SAME.get(word, ()) if form not in words)) for word in words)


@lru_cache(maxsize=64)
def _labelled(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:(?:{re.escape(label)}|rating){_BETWEEN}|boxed:[\s\"'({{\[]*(?=\d))", re.IGNORECASE)


def _score(found: re.Match[str], lowest: float, highest: float) -> float | None:
    score = _value(found)
    of_range = found["range"] is None or float(found["range"]) == highest
    return score if of_range and not found["odd"] and lowest <= score <= highest else None


def _value(found: re.Match[str]) -> float:
    return float(found["score"].replace(",", "."))
