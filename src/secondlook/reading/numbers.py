"""Numbers: the value that a reply's reasoning comes to."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

from secondlook.correction.chat import Finish
from secondlook.reading.plain import BOX, plain
from secondlook.reading.reasoning import set_aside_reasoning
from secondlook.reading.settle import Form, Reading
from secondlook.reading.words import CUES

TOLERANCE = 1e-6
"""How far apart, relative to the truth, two equal numbers may be."""

_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "k": 1e3, "bn": 1e9}
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501, SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_WORDS = dict(zip([*_UNITS, *_TENS], [*range(20), *range(20, 100, 10)], strict=True))

_DIGITS = (
    r"(?:\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?!\d)"  # 1.234,50 and 1.000.000
    r"|\d{1,3}(?:,\d{2,3})*,\d{3}(?![\d,])(?:\.\d+)?|\d{1,3}(?:[ ']\d{3})+(?!\d)(?:[.,]\d+)?"  # 1,234.5; 1,00,000; 1 000; 1'000
    r"|\d+,\d{1,2}(?![\d,])|\d+(?:\.\d+)?|\.\d+)"  # 2,5; 12; 0.5; .5
)
_EXPONENT = r"[-+]?\d{1,4}"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>(?<![)%])(?<![\w)%][ ])[-+][ ]?|^[-+][ ])?(?:US|CA|A)?[$€£¥₹]?[ ]?(?P<minus>(?<=[$€£¥₹])-)?(?<![\d.,])(?P<digits>{_DIGITS})"
    rf"(?:[ ]?(?:×|x|\*)[ ]?10[ ]?(?:\^|\*\*)[ ]?[{{(]?(?P<ten>{_EXPONENT})[}})]?|[eE](?P<e>{_EXPONENT})(?!\w)|(?:\^|\*\*)[{{(]?(?P<raised>{_EXPONENT})[}})]?)?"
    rf"(?:(?:(?P<bar>[ ]?/[ ]?)|[ ](?P<over>\d{{1,4}})/)(?P<under>\d{{1,9}}(?:\.\d+)?)(?![\d/]))?"
    rf"(?:[ ]?(?P<percent>%|percent\b|per cent\b)|[ -]?(?P<scale>hundred|thousand|million|billion|trillion|bn|k)\b)?",
    re.IGNORECASE,
)
_SPELT = re.compile(
    rf"(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<one>{'|'.join(_UNITS[1:10])}))?|(?P<unit>{'|'.join(_UNITS)}))\b",
    re.IGNORECASE,
)
_FILLER = r"(?:(?:about|approximately|exactly|therefore|thus|simply|equal to|roughly|around|still|only|just|also|now|then|indeed|the number)[ ,]+)*"
_MARK = re.compile(
    r"(?:\b(?:answer|result|solution|conclusion)\b(?:(?: (?:to|of|for|here|in|from)\b[^.!?\n:=]{0,60}?)?"
    r"\s(?:is|are|was|would be|should be|must be|comes to|equals)\b|(?: \w+){0,2}[\"']?\s*[:=])"
    rf"|{BOX}|答案(?:是|:)?)[\s\"'(\[{{:=]*{_FILLER}",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"[=≈]|\bequals?\b(?: to)?", re.IGNORECASE)
_OPERATOR = re.compile(
    r"[ ]*(?:[+*/^×÷=≈]|-[ ]?\d|- |x \d|plus\b|minus\b|times\b|divided\b|multiplied\b|of \d)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_DENIES = re.compile(
    r"\b(?:not|n't|cannot|never|wrong|incorrect|previous|earlier|original|initial|initially|first)\b[^.!?\n]{0,30}$",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\W*(?:is|was|would be)? ?(?:not correct|not right|incorrect|wrong)\b", re.IGNORECASE)
# Another number beside a number: a range, a time, hours and minutes.
_BESIDE = re.compile(r"[ ]?(?:-|—|to|or|:|and)[ ]?[$€£]?\d|[ ]\w+,?(?: and)? \d", re.IGNORECASE)
_EITHER = re.compile(r"\bor\b[^.!?\n]{0,20}\d", re.IGNORECASE)
_SO = re.compile(
    r"\b(?:so|therefore|thus|hence|which (?:is|gives|leaves|makes|equals)(?=[ ]?[$€£]?\d)|which means|total of|in total|leaving|making|giving)\b(?=[^\n]*\d)",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"\([^()\n]{0,80}\)")
_CONCLUDES = re.compile(r"(?:so|therefore|thus|hence)\b[^\n]*[.!]$", re.IGNORECASE)
_BEGINS = re.compile(r"^(?:first|firstly|step|let|to (?:solve|find)|we (?:need|know)|given)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was said.

    Attributes:
        value: Its value, without a percent sign's division.
        percent: Whether it was given as a percentage.
    """

    value: float
    percent: bool = False

    def equals(self, truth: float) -> bool:
        """Whether it is the truth, within a millionth of it; "25%" is both 25 and 0.25."""
        values = (self.value, self.value / 100) if self.percent else (self.value,)
        return any(math.isclose(value, truth, rel_tol=TOLERANCE, abs_tol=0.0) for value in values)


_Found: TypeAlias = tuple[Number, re.Match[str]]


def read_number(reply: str, *, finish: Finish = "stop") -> Reading[Number]:
    """The number that a reply comes to.

    That is what follows its last "answer is", "Answer:", ``####`` or box, and where a sum stands there, the value after
    its last equals sign; without such a place the only number of the reply, or else what its last sentence with numbers
    comes to, read the same way. A range, a denied number, several numbers without an equals sign, and a number that a
    cut may have shortened cannot be read.

    Args:
        reply: The reply, as it came.
        finish: Why it ended.
    """
    spoken = set_aside_reasoning(reply)
    cut = spoken.cut(finish)
    text = plain(spoken.text)
    mark = None
    limit = len(text)
    for mark in reversed(list(_MARK.finditer(text))):
        if _states(text, mark.end(), limit):
            break
        if cut and not spoken.ends_line:
            return Reading()
        limit = mark.start()
    else:
        mark = None
    if mark is not None:
        statement = _SENTENCE.split(text[mark.end() : mark.end() + 300], maxsplit=1)[0]
        last = not re.search(r"[^\d\s.,]\W*$|\s\w+\W*$", statement) and mark.end() + len(statement) >= len(text)
        back = CUES["takes_back"].search(text.lower(), mark.end())
        if (
            _DENIES.search(text[max(0, mark.start() - 40) : mark.end()])
            or back
            or (cut and last and not spoken.ends_line)
        ):
            return Reading()
        return _comes_to(statement, "declared")
    if text.endswith("?") or (cut and not (spoken.ends_line and _CONCLUDES.match(_SENTENCE.split(text)[-1]))):
        return Reading()
    found = _numbers(text)
    if not found:
        spelt = _SPELT.fullmatch(text.rstrip(".!"))
        return Reading(_spelt(spelt), "asserted", text) if spelt else Reading()
    if len({value for value, _ in found}) == 1 and "=" not in text:
        unended = _BEGINS.search(text) and text[-1] not in ".!)]\"'"
        return (
            Reading()
            if unended or _DENIES.search(text[: found[0][1].start()][-60:])
            else Reading(found[-1][0], "asserted", found[-1][1].group().strip())
        )
    statements = [part for part in _SENTENCE.split(text) if _NUMBER.search(part)]
    last_statement = statements[-1]
    if (
        last_statement.rstrip().endswith(("?", ":"))
        or "question" in last_statement
        or (_BEGINS.search(last_statement) and "=" not in last_statement)
    ):
        return Reading()
    read = _comes_to(last_statement, "asserted", first=False)
    before = text[: text.rindex(last_statement)]
    if read.value is None and (equals := list(_EQUALS.finditer(before))) and not _EITHER.search(last_statement):
        # "2300 * 2 = 4600. So 4600 bottles are needed for 2300 people.": the last result is said again.
        result = _numbers(before[equals[-1].end() : equals[-1].end() + 40])
        if result and result[0][0] in {number for number, _ in _numbers(last_statement)}:
            return Reading(result[0][0], "asserted", last_statement.strip())
    return read


def parse_number(text: str) -> float | None:
    """The value of a text that is one number with its unit; ``None`` where it is not."""
    found = _numbers(plain(text))
    return found[0][0].value if len(found) == 1 else None


def _states(text: str, place: int, limit: int) -> bool:
    """Whether a number follows a mark in its sentence, before the next mark."""
    statement = _SENTENCE.split(text[place : min(place + 300, limit)], maxsplit=1)[0]
    return bool(_NUMBER.search(statement) or _SPELT.match(statement))


def _comes_to(statement: str, form: Form, *, first: bool = True) -> Reading[Number]:
    """What a statement comes to: its first number, or the one after its last equals sign, or its conclusion's one.

    Args:
        statement: A sentence, or what follows a mark in it.
        form: The form of the reading.
        first: Whether the number that begins the statement is meant, if no sum begins with it.
    """
    if first and (spelt := _SPELT.match(statement)):
        return Reading(_spelt(spelt), form, statement)
    found = _numbers(statement)
    value, place = found[0]
    if not first or place.start() > 0 or _OPERATOR.match(statement, place.end()):
        equals = [one.end() for one in _EQUALS.finditer(statement)]
        found = [one for one in found if equals and one[1].start() >= equals[-1]] or _concluded(statement, found)
        if not found or (len({number for number, _ in found}) > 1 and not (first and equals)):
            return Reading()
        value, place = found[0]
        if _OPERATOR.match(statement, place.end()):
            return Reading()
    beside = _BESIDE.match(statement, place.end()) or _EITHER.search(statement)
    if beside or _DENIED.match(statement, place.end()) or _DENIES.search(statement[: place.start()]):
        return Reading()
    return Reading(value, form, statement[: place.end()].strip())


def _concluded(statement: str, found: list[_Found]) -> list[_Found]:
    """The numbers of a statement's last conclusion ("..., so she has 7"), or else those outside brackets."""
    if conclusions := [one.end() for one in _SO.finditer(statement)]:
        return [one for one in found if one[1].start() >= conclusions[-1]]
    brackets = [one.span() for one in _BRACKETS.finditer(statement)]
    return [one for one in found if not any(start < one[1].start() < end for start, end in brackets)] or found


def _numbers(text: str) -> list[_Found]:
    return [(value, found) for found in _NUMBER.finditer(text) if (value := _value(found)) is not None]


def _spelt(found: re.Match[str]) -> Number:
    words = [word.lower() for word in (found["tens"], found["one"], found["unit"]) if word]
    return Number(float(sum(_WORDS[word] for word in words)))


def _value(found: re.Match[str]) -> Number | None:
    digits = found["digits"]
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}|\d{1,3}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}", digits):
        digits = digits.replace(",", ".")
    value = float(re.sub("[ ',]", "", digits))
    try:
        if found["ten"] or found["e"]:
            value *= 10.0 ** int(found["ten"] or found["e"])
        elif found["raised"]:
            value **= int(found["raised"])
        if found["under"]:
            under = float(found["under"])
            value = value / under if found["bar"] else value + float(found["over"]) / under
        if found["scale"]:
            value *= _SCALES[found["scale"].lower()]
    except (OverflowError, ZeroDivisionError):
        return None
    negative = (found["sign"] or "").startswith("-") or found["minus"]
    return Number(-value if negative else value, bool(found["percent"])) if math.isfinite(value) else None
