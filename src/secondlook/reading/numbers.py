"""Numbers: the value that a reply's reasoning comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secondlook.reading.numerals import Number, Numeral, numerals, spelt_number
from secondlook.reading.plain import plain, spelled_out
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Form, Reading
from secondlook.reading.words import CUES, patterns

if TYPE_CHECKING:
    from secondlook.correction.chat import Finish

_WORDS = patterns("values")
_FAR = 300  # characters of a statement that are looked at
_NEAR = 40  # characters before a statement, or after an equals sign


def read_number(reply: str, *, finish: Finish = "stop") -> Reading[Number]:
    """The number that a reply comes to.

    That is what follows its last "answer is", "Answer:", ``####`` or box; without such a place the only number of the
    reply, or else what its last sentence with numbers comes to. A statement comes to the number that begins it, to the
    one after its last equals sign where there is a sum, or to the one of its conclusion ("so she has 7"). A range, a
    denied number, several numbers without any of this, and a number that a cut may have shortened cannot be read.

    Args:
        reply: The reply, as it came.
        finish: Why it ended.
    """
    spoken = set_aside_reasoning(reply)
    text = spelled_out(plain(spoken.text)).lower()
    cut = spoken.cut(finish) and not spoken.ends_line
    limit = len(text)
    for mark in reversed(list(_WORDS["mark"].finditer(text))):
        statement = _statement(text, mark.end(), limit)
        # "Solution:" on a line of its own heads the steps, and "Step 3:" is one.
        heads = mark.group().startswith("solution") and not any(one.start == 0 for one in numerals(statement))
        announced = _WORDS["announces"].search(text, max(0, mark.start() - _NEAR), mark.start())
        told = announced and _WORDS["equals"].search(statement)  # a sum of the steps, and not the value at once
        steps = "\n" in mark.group() and (heads or told or _WORDS["labels"].match(statement))
        if not steps and (numerals(statement) or spelt_number(statement)):
            whole = mark.end() + len(statement) < len(text) or _WORDS["ended"].search(statement)
            back = CUES["takes_back"].search(text, mark.end())
            before = text[max(0, mark.start() - _NEAR) : mark.end()]
            denied = _WORDS["denies"].search(before) or back or (cut and not whole)
            return Reading() if denied else _comes_to(statement, "declared")
        # A number in words that is too large to be read.
        if not steps and _WORDS["spelt"].match(statement):
            return Reading()
        # The cut fell between the mark and its number.
        if cut and statement.strip() and not steps:
            return Reading()
        limit = mark.start()
    # A reply that was cut has no end to read, whether its last line is whole or not.
    return Reading() if spoken.cut(finish) else _of_the_end(text)


def parse_number(text: str) -> float | None:
    """The value of a text that is one number with its unit; ``None`` where it is not."""
    found = numerals(plain(text).lower())
    return found[0].number.value if len(found) == 1 else None


def _of_the_end(text: str) -> Reading[Number]:
    """The number of a reply without a declared form."""
    sentences = [part for part in _WORDS["sentence"].split(text) if part.strip()]
    if not sentences or text.endswith("?") or _WORDS["scored"].search(text):
        return Reading()
    found = numerals(text)
    if not found:
        spelt = spelt_number(text)
        whole = spelt is not None and not text[spelt.end :].strip(".!")
        return Reading(spelt.number, "asserted", text) if spelt and whole else Reading()
    if len({one.number for one in found}) == 1 and not _WORDS["equals"].search(text):
        unended = _WORDS["begins"].search(text) and text[-1] not in ".!)]\"'"
        denied = _WORDS["denies"].search(text[max(0, found[0].start - _NEAR) : found[0].start])
        denied = denied or _WORDS["denied"].match(text, found[-1].end)
        words = text[found[-1].start : found[-1].end].strip()
        return Reading() if unended or denied else Reading(found[-1].number, "asserted", words)
    last = [sentence for sentence in sentences if numerals(sentence)][-1]
    if _WORDS["restates"].search(last) or (_WORDS["begins"].search(last) and not _WORDS["equals"].search(last)):
        return Reading()
    read = _comes_to(last, "asserted", first=False)
    return read if read.value is not None else _said_again(text, last)


def _said_again(text: str, last: str) -> Reading[Number]:
    """The result of the last sum if the last sentence says it again ("2300 * 2 = 4600. So 4600 are for 2300.")."""
    before = text[: text.rindex(last)]
    equals = list(_WORDS["equals"].finditer(before))
    result = numerals(before[equals[-1].end() : equals[-1].end() + _NEAR])[:1] if equals else []
    again = [one for one in numerals(last) if result and one.number == result[0].number]
    # "1 hour and 2 minutes" is not 1.
    if not again or _WORDS["either"].search(last) or _WORDS["beside"].match(last, again[0].end):
        return Reading()
    return Reading(result[0].number, "asserted", last.strip())


def _statement(text: str, start: int, limit: int) -> str:
    """Rest of a place's sentence."""
    return _WORDS["sentence"].split(text[start : min(start + _FAR, limit)], maxsplit=1)[0]


def _comes_to(statement: str, form: Form, *, first: bool = True) -> Reading[Number]:
    """Number that a statement comes to.

    Args:
        statement: A sentence, or what follows a mark in it.
        form: The form of the reading.
        first: Whether the number that begins the statement is meant, if no sum begins with it.
    """
    if first and (spelt := spelt_number(statement)) is not None:
        return Reading(spelt.number, form, statement)
    found = numerals(statement)
    value = found[0]
    if not first or value.start > 0 or _WORDS["operator"].match(statement, value.end):
        equals = [one.end() for one in _WORDS["equals"].finditer(statement)]
        found = [one for one in found if equals and one.start >= equals[-1]] or _concluded(statement, found)
        if not found or (len({one.number for one in found}) > 1 and not (first and equals)):
            return Reading()
        value = found[0]
        if _WORDS["operator"].match(statement, value.end):
            return Reading()
    beside = _WORDS["beside"].match(statement, value.end) or _WORDS["either"].search(statement)
    denied = _WORDS["denied"].match(statement, value.end) or _WORDS["denies"].search(statement[: value.start])
    return Reading() if beside or denied else Reading(value.number, form, statement[: value.end].strip())


def _concluded(statement: str, found: list[Numeral]) -> list[Numeral]:
    """The numbers of a statement's last conclusion ("..., so she has 7"), or else those outside brackets."""
    if conclusions := [one.end() for one in _WORDS["so"].finditer(statement)]:
        return [one for one in found if one.start >= conclusions[-1]]
    brackets = [one.span() for one in _WORDS["brackets"].finditer(statement)]
    return [one for one in found if not any(start < one.start < end for start, end in brackets)] or found
