"""Exact text: what a reply says in so many words, compared as a person would compare it."""

from __future__ import annotations

import re

from secondlook.correction.chat import Finish
from secondlook.reading.numbers import Number, parse_number
from secondlook.reading.plain import BOX, folded, plain
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Reading

_MARK = re.compile(
    rf"(?:\b(?:final |correct |my )?answer\b(?: [^.!?\n:]{{0,60}}?)?(?:\s(?:is|was|would be)\b:?|\"?\s*[:=])|{BOX})\s*(?P<said>\S[^\n]*)",
    re.IGNORECASE,
)
_IS = re.compile(
    r"[^.,;:!?\n]{1,80}?\s(?:is|was|are|were|equals|gives|returns|prints|becomes)(?::| called| named)?\s+(?P<said>\S[^.!?\n]{0,80})[.!]?",
    re.IGNORECASE,
)
_NO_TEXT = re.compile(r"(?:not|an?|in|because|that|very|wrong|incorrect|correct)\b", re.IGNORECASE)
_SHORT = 4  # words


def read_exact(reply: str, *, finish: Finish = "stop") -> Reading[str]:
    """The text that a reply gives, folded: without case, markup, typography and closing punctuation.

    It is what follows the last "Answer:", "the answer is" or in the last box; else a reply of a few words as a whole; else,
    in a reply of one sentence ("The capital of France is Paris."), what it says its subject is.

    Args:
        reply: The reply, as it came.
        finish: Why it ended; one that was cut is read only if something follows its declared text.
    """
    spoken = set_aside_reasoning(reply)
    cut = spoken.cut(finish)
    text = plain(spoken.text)
    marks = list(_MARK.finditer(text))
    if marks and (not cut or spoken.ends_line or marks[-1].end() < len(text)):
        said = re.split(r"(?<=\w[.!])\s", marks[-1]["said"], maxsplit=1)[0]
        if value := _folded(said):
            return Reading(value, "declared", marks[-1].group().strip())
    if cut or not (value := _folded(text)):
        return Reading()
    sentence = _IS.fullmatch(text)
    if sentence and len(sentence["said"].split()) <= _SHORT and not _NO_TEXT.match(sentence["said"]):
        return Reading(_folded(sentence["said"]), "asserted", text)
    return Reading(value, "asserted", text) if len(value.split()) <= _SHORT else Reading()


def same_text(said: str, truth: object) -> bool:
    """Whether two texts are the same but for case, markup, typography and closing punctuation, or are the same number."""
    if _folded(said) == _folded(str(truth)):
        return True
    numbers = parse_number(said), parse_number(str(truth))
    return all(re.fullmatch(r"[-+\d.,eE ']+", text.strip()) for text in (said, str(truth))) and (
        numbers[0] is not None and numbers[1] is not None and Number(numbers[0]).equals(numbers[1])
    )


def _folded(text: str) -> str:
    said = folded(text).strip("\"'()[]{}. ")
    return said if re.search(r"\w", said) else folded(text)
