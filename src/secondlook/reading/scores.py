"""Scores: the score that a critique finally gives."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading
from secondlook.reading.words import CUES, patterns

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish

_WORDS = patterns("values")
_CLAUSE = 120  # characters before a score in which it may be denied
_Scores = list[tuple[float | None, re.Match[str]]]


def read_score(reply: str, label: str, lowest: float, highest: float, *, finish: Finish = "stop") -> Reading[float]:
    """The score that a critique finally gives, within its range.

    It stands after the label ("Score: 7", "a score of 7 out of 10"), before "out of" and the highest score, or is the
    only number, first of all or as what the answer is ("10, correct."). A score of another range, a percentage, a span
    ("7-8"), and different scores of which none takes back the others cannot be read.

    Args:
        reply: The critique, as it came.
        label: What stands before the score, e.g. ``Score:``.
        lowest: The lowest score that may be given.
        highest: The highest.
        finish: Why the critique ended.
    """
    spoken = set_aside_reasoning(reply)
    text = spelled_out(plain(spoken.text)).lower()
    cut = spoken.cut(finish)
    scores = _scores(text, label.lower().rstrip(": "), lowest, highest, labelled=cut)
    if back := [match.start() for match in CUES["takes_back"].finditer(text)]:
        scores = [one for one in scores if one[1].start() >= back[-1]]
    values = {value for value, _ in scores}
    # "Score: 1" at a cut may have been "Score: 10".
    shortened = cut and not spoken.ends_line and bool(scores) and scores[-1][1].end() >= len(text)
    if len(values) != 1 or None in values or shortened:
        return Reading()
    value, last = scores[-1]
    clause = _WORDS["clause_start"].split(text[max(0, last.start() - _CLAUSE) : last.start()])[-1]
    denied = len(CUES["negates"].findall(CUES["idle"].sub(" ", clause))) % 2 == 1
    if denied or _WORDS["supposes"].search(clause):
        return Reading()
    return Reading(value, "declared", text[max(0, last.start() - 40) : last.end()].rsplit("\n", 1)[-1].strip())


def _scores(text: str, label: str, lowest: float, highest: float, *, labelled: bool) -> _Scores:
    """Every score that is given (``None`` for what cannot be one): labelled, else of its range, else the only one."""
    scores: _Scores = []
    for found in _labelled(label).finditer(text):
        if (score := _WORDS["score"].match(text, found.end())) is None:
            scores.append((None, found))
        # A label before the whole range ("Score: 0-10") names the scale and gives no score.
        elif lowest != _value(score) or not _WORDS["span"].match(text, score.start()):
            scores.append((_within(score, lowest, highest), score))
    if not scores and not labelled and not CUES["unknowable"].search(text):
        every = [(_within(score, lowest, highest), score) for score in _WORDS["score"].finditer(text)]
        scores = [one for one in every if one[1]["range"]] or (every if _WORDS["given"].search(text) else [])
    return scores


@lru_cache(maxsize=64)
def _labelled(label: str) -> re.Pattern[str]:
    between = _WORDS["between"].pattern
    return re.compile(rf"(?<!\w)(?:(?:{re.escape(label)}|rating){between}|boxed:[\s\"'({{\[]*(?=\d))")


def _within(found: re.Match[str], lowest: float, highest: float) -> float | None:
    score = _value(found)
    of_range = found["range"] is None or float(found["range"]) == highest
    return score if of_range and not found["odd"] and lowest <= score <= highest else None


def _value(found: re.Match[str]) -> float:
    return float(found["score"].replace(",", "."))
