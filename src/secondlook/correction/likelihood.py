"""Likelihood of each choice at the place where a reply states one, of the mass of the choices alone."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from secondlook.correction.chat import Completion

_DIGITS = 6
_LEAD = 8  # characters, e.g. of brackets and markup before a word


@dataclass(frozen=True, slots=True)
class Place:
    """Place where a reply states one of several choices.

    Attributes:
        before: The reply up to there.
        continuations: How it would go on with each choice, in order.
    """

    before: str
    continuations: tuple[str, ...]


def place_of(reply: str, said: str, choices: Sequence[str]) -> Place | None:
    """The last place where a reply says its choice, in its own spelling; ``None`` where it does so in other words.

    A choice is known by its word, what follows its last colon: ``biased`` of ``Verdict: biased``. What goes before the
    word up to the last white space, e.g. a bracket, belongs to the continuation, since tokens do not end at words.
    """
    words = [choice.rsplit(":", 1)[-1].strip() for choice in choices]
    word = words[list(choices).index(said)]
    # A letter alone is told from the article by its case.
    flags = 0 if len(word) == 1 else re.IGNORECASE
    found = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", reply, flags))
    if not found:
        return None
    start = end = found[-1].start()
    while end - start < _LEAD and start and not (reply[start - 1].isalnum() or reply[start - 1].isspace()):
        start -= 1
    # One white space more, since a word's token usually begins with it.
    start -= bool(start and reply[start - 1].isspace())
    lead, shape = reply[start:end], found[-1].group()
    return Place(reply[:start], tuple(lead + _spelt(other, like=shape) for other in words))


def shares_of(logprobs: Sequence[float]) -> tuple[float, ...]:
    """Probabilities of choices from their log-probabilities."""
    most = max(logprobs)
    weights = [math.exp(each - most) for each in logprobs]
    return _normed(weights)


def shares_at(place: Place, said: Completion) -> tuple[float, ...] | None:
    """Probabilities of choices from the likeliest tokens at the place where they part; ``None`` where none are told.

    A token counts for the choice it begins or completes, and for none if it could begin several. A choice that is not
    among the likeliest tokens has no mass. Tokens may hold more than the text, e.g. a fence that the server took off.
    """
    spelt = "".join(token.text for token in said.tokens)
    if (offset := spelt.find(said.text)) < 0:
        return None
    before, start = spelt[:offset] + place.before, 0
    part = len(before) + _alike(place.continuations)
    for token in said.tokens:
        if start + len(token.text) > part:
            break
        start += len(token.text)
    else:
        return None
    # One character of slack: a token may begin with the space that the server took off the text.
    if start < len(before) - 1:
        return None  # a token that began before the statement
    whole = [(before + continuation)[start:] for continuation in place.continuations]
    weights = [0.0] * len(whole)
    # A sampled token may be missing among the likeliest, and is not counted twice where it is one of them.
    for text, logprob in {token.text: token.logprob, **token.top}.items():
        index = _begun(text, whole, part - start)
        if index is not None:
            weights[index] += math.exp(logprob)
    return _normed(weights) if sum(weights) > 0 else None


def _begun(text: str, whole: Sequence[str], shared: int) -> int | None:
    """Index of the text that a token begins or completes."""
    if text in whole:
        return whole.index(text)
    # So far all choices are alike: the token could begin any of them.
    if len(text) <= shared:
        return None
    begun = [index for index, each in enumerate(whole) if each.startswith(text)]
    if not begun:
        begun = [index for index, each in enumerate(whole) if text.startswith(each)]
        # The longest choice that the token spells out whole, unless the token goes on with more of a word.
        begun.sort(key=lambda index: -len(whole[index]))
        return begun[0] if begun and not text[len(whole[begun[0]]) :][:1].isalnum() else None
    return begun[0] if len(begun) == 1 else None


def _alike(texts: Sequence[str]) -> int:
    """Number of characters that all texts begin with."""
    first, last = min(texts), max(texts)  # what these two begin with, all between them begin with
    return next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))


def _normed(weights: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(weight / sum(weights), _DIGITS) for weight in weights)


def _spelt(word: str, *, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() and not word[:1].isupper() else word
