"""Exact text: what a reply says in so many words, compared as a person would compare it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secondlook.reading.numbers import parse_number
from secondlook.reading.numerals import Number
from secondlook.reading.plain import folded, plain
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading
from secondlook.reading.words import patterns

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish

_WORDS = patterns("values")
_SHORT = 4  # words


def read_exact(reply: str, *, finish: Finish = "stop") -> Reading[str]:
    """The text that a reply gives, folded: without case, markup, typography and closing punctuation.

    It is what follows the last "Answer:", "the answer is" or in the last box; else, in a reply of one sentence ("The
    capital of France is Paris."), what it says its subject is; else a reply of a few words as a whole.

    Args:
        reply: The reply, as it came.
        finish: Why it ended; one that was cut is read only if something follows its declared text.
    """
    spoken = set_aside_reasoning(reply)
    cut = spoken.cut(finish)
    text = plain(spoken.text).lower()
    marks = list(_WORDS["said_mark"].finditer(text))
    if marks and (not cut or spoken.ends_line or marks[-1].end() < len(text)):
        said = re.split(r"(?<=\w[.!])\s", marks[-1]["said"], maxsplit=1)[0]
        if value := _folded(said):
            return Reading(value, "declared", marks[-1].group().strip())
    if cut or not (value := _folded(text)):
        return Reading()
    sentence = _WORDS["copula"].fullmatch(text)
    if sentence and len(sentence["said"].split()) <= _SHORT and not _WORDS["no_text"].match(sentence["said"]):
        return Reading(_folded(sentence["said"]), "asserted", text)
    return Reading(value, "asserted", text) if len(value.split()) <= _SHORT else Reading()


def same_text(said: str, truth: object) -> bool:
    """Whether two texts are the same but for case, markup, typography and closing punctuation, or the same number."""
    if _folded(said) == _folded(str(truth)):
        return True
    if not all(_WORDS["figures"].fullmatch(text.strip()) for text in (said, str(truth))):
        return False
    one, other = parse_number(said), parse_number(str(truth))
    return one is not None and other is not None and Number(one).equals(other)


def _folded(text: str) -> str:
    said = folded(text).strip("\"'()[]{}. ")
    return said if re.search(r"\w", said) else folded(text)
