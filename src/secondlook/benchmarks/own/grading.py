"""Graders: four that are built in, and the user's own Python function.

A grader is given the answer and the row of the data, and says ``True``, ``False``, or ``None`` where the answer cannot
be read. It may add what it read, as a second value; by it a vote tells equal answers from different ones.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Json

Row: TypeAlias = Mapping[str, Json]
Grader: TypeAlias = Callable[[str, Row], "bool | tuple[bool | None, str | None] | None"]

_NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+\u2212]?\.\d+")
_MARKED = re.compile(r"(?:answer|result)(?:\s*(?:is|:|=))*\s*$", re.IGNORECASE)
_LETTER = re.compile(r"(?<!\w)\(?([A-Z])\)?(?!\w)")
_TOLERANCE = 1e-6


class GradingError(ValueError):
    """A grader failed, or returned something that is no grade; the message is one line."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a grader said.

    Attributes:
        correct: Whether the answer is right; ``None`` if it cannot be read.
        reading: The answer as read; the whole answer where the grader does not say.
    """

    correct: bool | None
    reading: str


def grade(question: Question, answer: str) -> Grade:
    """Grade one answer.

    Raises:
        GradingError: If the grader raised, or returned something else than a grade; names the question.
        ValueError: If there is no such grader.
    """
    grader = load_grader(question.grader)
    try:
        said = grader(answer, question.row)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise GradingError(f"grader {question.grader!r} failed on question {question.id!r} ({cause})") from error
    correct, reading = said if isinstance(said, tuple) and len(said) == 2 else (said, None)
    if not (correct is None or isinstance(correct, bool)) or not (reading is None or isinstance(reading, str)):
        raise GradingError(
            f"grader {question.grader!r} returned {said!r} on question {question.id!r}; return True, False or None "
            "(unreadable), alone or with the answer as read"
        )
    return Grade(correct, answer.strip() if reading is None else reading)


@cache
def load_grader(name: str) -> Grader:
    """A grader by name: one of :data:`BUILT_IN`, ``FILE.py:function``, or ``package.module:function``.

    Raises:
        ValueError: If there is none, or its file cannot be read or run; says which and the remedy.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    place, colon, function = name.rpartition(":")
    if not colon or not function.isidentifier():
        raise ValueError(
            f"unknown grader {name!r}; choose one of {', '.join(BUILT_IN)}, or give FILE.py:function or module:function"
        )
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"grader {name!r} cannot be loaded ({cause}); give FILE.py:function or module:function"
        ) from None
    found = getattr(module, function, None)
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - the user named the wrong thing, no code passed the wrong type
            f"grader {name!r}: {place} has no function {function!r}; it has {_names(module)}"
        )
    grader: Grader = found
    return grader


def needs_answer(name: str) -> bool:
    """Whether a grader compares with the field ``answer``."""
    return name in BUILT_IN


def absolute(name: str) -> str:
    """The same grader from whichever folder it is loaded."""
    place, colon, function = name.rpartition(":")
    return f"{Path(place).resolve()}:{function}" if colon and place.endswith(".py") else name


def exact(answer: str, row: Row) -> tuple[bool | None, str]:
    """The same text as ``answer``, or one of them, but for case, spaces and a closing full stop."""
    said = _plain(answer)
    return (said in {_plain(truth) for truth in _truths(row)} if said else None), said


def contains(answer: str, row: Row) -> tuple[bool | None, str]:
    """``answer``, or one of them, stands in the reply as whole words; case and spaces do not matter."""
    said = _plain(answer)
    if not said:
        return None, said
    return any(re.search(rf"(?<!\w){re.escape(_plain(truth))}(?!\w)", said) for truth in _truths(row)), said


def number(answer: str, row: Row) -> tuple[bool | None, str]:
    """The number the reply ends its reasoning with, within a millionth of ``answer``.

    That is the number after "answer is", "answer:" or the like if there is such a place, the last one, or else the only
    number of the reply. Several numbers without such a place cannot be read.
    """
    text = answer.replace("**", "").replace("$", "").replace("\\boxed{", "answer: ").replace("####", "answer:")
    hits = list(_NUMBER.finditer(text))
    marked = [hit for hit in hits if _MARKED.search(text[: hit.start()])]
    values = [_value(hit.group()) for hit in (marked[-1:] if marked else hits)]
    if len(set(values)) != 1:
        return None, answer.strip()
    (value, *_), (truth, *_) = values, [_value(str(truth)) for truth in _truths(row)]
    return abs(value - truth) <= _TOLERANCE * max(1.0, abs(truth)), f"{value:.12g}"


def choice(answer: str, row: Row) -> tuple[bool | None, str]:
    """The one capital letter the reply names, standing alone or in brackets; several letters cannot be read."""
    letters = {hit.group(1) for hit in _LETTER.finditer(answer)} - _words(answer)
    if len(letters) != 1:
        return None, answer.strip()
    (letter,) = letters
    return letter in {str(truth).strip().strip("()").upper() for truth in _truths(row)}, letter


BUILT_IN: Mapping[str, Grader] = {"exact": exact, "contains": contains, "number": number, "choice": choice}
"""Graders by name; each compares with the field ``answer``, which may be a list of right ones."""


def _truths(row: Row) -> list[Json]:
    truth = row[ANSWER]
    return truth if isinstance(truth, list) else [truth]


def _plain(text: object) -> str:
    return " ".join(str(text).split()).casefold().rstrip(".").strip()


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("\u2212", "-"))


def _words(answer: str) -> set[str]:
    """Capital letters that are words of English: A before a noun, and I."""
    return {"I"} | ({"A"} if re.search(r"(?<![\w(])A(?= (?!(?:or|and|is)\b)[a-z])", answer) else set())


def _from_file(path: Path) -> ModuleType:
    path = path.resolve(strict=True)
    spec = importlib.util.spec_from_file_location(f"secondlook_grader_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # What stands beside the file may be imported by it, as by a script.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def _names(module: Any) -> str:
    return ", ".join(name for name, value in vars(module).items() if callable(value) and name[0] != "_") or "none"
