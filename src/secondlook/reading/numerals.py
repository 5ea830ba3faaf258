"""Numerals: numbers as they are written, with signs, separators, powers, fractions, scales and percent."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from secondlook.reading.words import patterns

TOLERANCE = 1e-6
"""Largest distance of two equal numbers, relative to the truth."""

_WORDS = patterns("values")
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "k": 1e3, "bn": 1e9}
_SPELT = {
    word: value
    for words, values in (
        ("zero one two three four five six seven eight nine ten eleven twelve", range(13)),
        ("thirteen fourteen fifteen sixteen seventeen eighteen nineteen", range(13, 20)),
        ("twenty thirty forty fifty sixty seventy eighty ninety", range(20, 100, 10)),
    )
    for word, value in zip(words.split(), values, strict=True)
}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was said.

    Attributes:
        value: Its value; of a percentage, the number before the sign.
        percent: Whether it was given as a percentage.
    """

    value: float
    percent: bool = False

    def equals(self, truth: float) -> bool:
        """Whether it is the truth, within a millionth of it; "25%" is both 25 and 0.25."""
        values = (self.value, self.value / 100) if self.percent else (self.value,)
        return any(math.isclose(value, truth, rel_tol=TOLERANCE, abs_tol=0.0) for value in values)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number and where it stands in a text."""

    number: Number
    start: int
    end: int


def numerals(text: str) -> list[Numeral]:
    """Every number in figures of a plain, lower-case text, in order; one too large for a float is left out."""
    found = _WORDS["number"].finditer(text)
    return [Numeral(number, one.start(), one.end()) for one in found if (number := _number(one)) is not None]


def spelt_number(text: str) -> Numeral | None:
    """Number in words, up to ninety-nine, at the beginning of a text; none where more of it follows."""
    found = _WORDS["spelt"].match(text)
    if found is None or _WORDS["larger"].match(text, found.end()):
        return None
    return Numeral(Number(float(sum(_SPELT[word] for word in re.findall("[a-z]+", found.group())))), 0, found.end())


def _number(found: re.Match[str]) -> Number | None:
    digits = found["digits"]
    if _WORDS["dots_group"].fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif _WORDS["comma_decimal"].fullmatch(digits):
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
    except (OverflowError, ZeroDivisionError):
        return None
    value *= _SCALES.get(found["scale"] or "", 1.0)
    negative = (found["sign"] or "").startswith(("-", "—", "negative", "minus")) or found["minus"]
    return Number(-value if negative else value, bool(found["percent"])) if math.isfinite(value) else None
