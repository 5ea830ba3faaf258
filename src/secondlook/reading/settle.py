"""Settling: of all that a reply mentions, the one thing it finally asserts; or nothing. Never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from secondlook.reading.mentions import NOWHERE
from secondlook.reading.stance import Standing, Weight
from secondlook.reading.words import CUES

T = TypeVar("T")
Form = Literal["declared", "asserted"]

_ENDS = re.compile(r"[\"')\]]*[.!]?\s*(?:\n|$)")
_STOP = re.compile(r"[.!?\n]")
_INSISTS = 3  # times that a reply says the same thing after another, so that it is what it ends with
_LETTER = 2  # a letter and a bracket
_AT_ONCE = 8  # characters between "no," and what it puts in place of another option


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """Reading of a reply: the value, or why there is none.

    Attributes:
        value: The value; ``None`` where it cannot be read.
        form: Whether it stands in the declared form, or is what the reply asserts.
        words: The words of the reply that it rests on.
    """

    value: T | None = None
    form: Form | None = None
    words: str = ""


def settle(found: Sequence[Standing], text: str, *, cut: bool = False, ends_line: bool = False) -> Standing | None:
    """The standing that is read; ``None`` where nothing is asserted, or several things are.

    The firmest count (:class:`~secondlook.reading.stance.Weight`), unless a firm one after them says otherwise. Where
    they differ among themselves, the last is read if it says that it is the last word and the one before does not, or
    if it is said three times over. What a reply takes back ("Wait, no.") does not count.

    Args:
        found: Every mention's standing, in order.
        text: The plain, spelled-out text, in lower case.
        cut: Whether the reply was cut off: then nothing counts but a complete declared form, or a first line.
        ends_line: Whether its last line is whole all the same.
    """
    asserted = [one for one in found if one.stance == "asserted"]
    if cut:
        asserted = [one for one in asserted if _complete(one, text, ends_line)]
    asserted = _not_taken_back(asserted, text)
    if not asserted:
        return None
    top = max(one.weight for one in asserted)
    firmest = [one for one in asserted if one.weight == top]
    read = firmest[-1]
    index = read.mention.index
    others = [one for one in firmest if one.mention.index != index]
    insists = [one.mention.index for one in firmest[-_INSISTS:]] == [index] * _INSISTS
    if others and not insists and (top < Weight.CONCLUDED or not read.final or others[-1].final):
        return None
    if any(
        one.weight >= Weight.CONCLUDED and one.mention.index != index and one.mention.start > read.mention.start
        for one in asserted
    ):
        return None
    if any(_contradicts(one, read) for one in found):
        return None
    if any(one.mention.index != index and _in_one_sentence(read, one, text) for one in asserted):
        return None
    # A stray letter or the noun of another option ("a grandson") puts a mere statement in doubt.
    if top < Weight.CONCLUDED and any(one.mention.stray and one.mention.index != index for one in found):
        return None
    return None if index == NOWHERE else read


def _contradicts(one: Standing, read: Standing) -> bool:
    """Whether a mention, wherever it stands, leaves no single answer to be read.

    It denies what is read after it was said; it says that another is right; it is a letter with another's text; or it
    repeats the question with another option after a bare letter ("The answer is (C). The boy was late.", who is B).
    """
    same = one.mention.index == read.mention.index
    bare = read.mention.letter and read.mention.end - read.mention.start <= _LETTER
    if bare and not same and one.weight == Weight.REPEATED and one.mention.start > read.mention.end:
        return one.stance == "asserted"
    if one.stance != "asserted":
        denied = one.stance == "denied" and one.mention.start > read.mention.end
        return same and denied and not read.mention.unknowable
    if same or one.judged or one.mention.index != NOWHERE:
        return not same and one.judged
    # A letter with another's text counts for nothing if a letter with its own text is declared after it.
    whole = read.mention.letter and read.mention.end - read.mention.start > _LETTER
    replaced = whole and read.weight == Weight.DECLARED > one.weight and one.mention.start < read.mention.start
    return one.weight >= Weight.CONCLUDED and not replaced


def _in_one_sentence(read: Standing, one: Standing, text: str) -> bool:
    """Whether a mention follows what is read in its sentence ("The answer is (A), it is (B)")."""
    return one.mention.start > read.mention.end and not _STOP.search(text, read.mention.end, one.mention.start)


def _not_taken_back(asserted: list[Standing], text: str) -> list[Standing]:
    cuts = [match.span() for match in CUES["takes_back"].finditer(text)]
    places = [start for start, _ in cuts]
    if not places or not asserted:
        return asserted
    later = [one for one in asserted if one.mention.start >= places[-1]]
    earlier = [one for one in asserted if one.mention.start < places[-1]]
    if not later:
        return [] if any(place > earlier[-1].mention.start for place in places) else asserted
    first = later[0].mention
    at_once = first.start - cuts[-1][1] <= _AT_ONCE and (first.letter or _ENDS.match(text, first.end))
    if not earlier or at_once or max(one.weight for one in later) >= Weight.CONCLUDED:
        return later
    # A mere statement after "Actually," does not replace an answer; it may put it in doubt.
    firm = {one.mention.index for one in earlier if one.weight >= Weight.CONCLUDED}
    return later if not firm or firm == {one.mention.index for one in later} else []


def _complete(one: Standing, text: str, ends_line: bool) -> bool:
    """Whether a mention is a whole declared form although the reply was cut.

    Something follows a declared form, or it cannot be longer; or the mention is the reply's first line.
    """
    if one.weight == Weight.DECLARED:
        after = text[one.mention.end :].strip(" )]*\"'")
        if not after and CUES["goes_through"].search(text, 0, one.mention.start):
            return False  # the heading of the next option
        # A letter cannot be longer, except an "a": it may be the article before an option's text.
        return ends_line or one.mention.end < len(text) or (one.mention.letter and text[one.mention.end - 1] != "a")
    first, _, rest = text.partition("\n")
    # A first line with 40 characters after it is whole, since the reply had gone on to explain it.
    return (
        one.weight == Weight.CONCLUDED and one.mention.start <= 2 and one.mention.end <= len(first) and len(rest) > 40
    )
