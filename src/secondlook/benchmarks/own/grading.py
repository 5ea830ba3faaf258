"""Graders: four that are built in, the user's own Python function, and a model under a rubric.

A grader is given the answer and the row of the data, and says ``True``, ``False``, or ``None`` where the answer cannot
be read. It may add what it read, as a second value; by it a vote tells equal answers from different ones. The grader
``model`` is asked after the loop (:mod:`~secondlook.benchmarks.own.judge`): here every answer of its is unread.
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

from secondlook.benchmarks.benchmark import MADE_UP
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Finish, Json
from secondlook.reading import (
    choice_letter,
    parse_number,
    read_choice,
    read_exact,
    read_number,
    same_text,
    set_aside_reasoning,
)
from secondlook.reading.plain import folded, plain

MODEL = "model"
"""The grader that is a language model."""
Row: TypeAlias = Mapping[str, Json]
Grader: TypeAlias = Callable[[str, Row], "bool | tuple[bool | None, str | None] | None"]


class GradingError(ValueError):
    """A grader failed, or returned something that is no grade; the message is one line."""


@dataclass(frozen=True, slots=True)
class Grade:
    """Grade that a grader gave.

    Attributes:
        correct: Whether the answer is right; ``None`` if it cannot be read.
        reading: The answer as read; the whole answer where the grader does not say.
    """

    correct: bool | None
    reading: str


def grade(question: Question, answer: str, finish: Finish = "stop") -> Grade:
    """Grade one answer, which ended as ``finish`` says.

    Raises:
        GradingError: If the grader raised, or returned something else than a grade; names the question.
        ValueError: If there is no such grader.
    """
    if question.grader == MODEL:
        return Grade(None, set_aside_reasoning(answer).text.strip())
    if question.grader in BUILT_IN:
        return Grade(*BUILT_IN[question.grader](answer, question, finish))
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
    """A grader of the user's by name: ``FILE.py:function``, or ``package.module:function``.

    Raises:
        ValueError: If there is none, or its file cannot be read or run; says which and the remedy.
    """
    place, colon, function = name.rpartition(":")
    if not colon or not function.isidentifier():
        raise ValueError(
            f"unknown grader {name!r}; choose one of {', '.join((*BUILT_IN, MODEL))}, or give FILE.py:function or "
            "module:function"
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


def try_grader(question: Question) -> None:
    """Grade a made-up answer, and see that the truth itself is not wrong for being text where it is a number.

    Raises:
        GradingError: The grader fails, or compares text with numbers.
    """
    if question.grader in (*BUILT_IN, MODEL):
        return
    grade(question, MADE_UP)
    truth = question.row.get(ANSWER)
    # An answer is always text: a truth that is right when it is said as text leaves nothing to confuse.
    if isinstance(truth, bool) or not isinstance(truth, int | float | str) or _right(question, str(truth), truth):
        return
    number = parse_number(str(truth))
    if isinstance(truth, str):
        if number is not None and _right(question, truth, float(number)):
            raise GradingError(
                f"grader {question.grader!r} compares a number with {truth!r}, which is text in the data, so that no "
                f"answer is ever right: compare with float(row[{ANSWER!r}]), or store numbers"
            )
    elif _right(question, truth, truth):
        raise GradingError(
            f"grader {question.grader!r} compares the answer, which is text, with the number {truth!r}, so that no "
            f"answer is ever right: compare with str(row[{ANSWER!r}]), or read the number in the answer"
        )


def _right(question: Question, answer: Any, truth: Json) -> bool:
    """Whether the user's grader calls an answer right, were that the truth."""
    try:
        said = load_grader(question.grader)(answer, {**question.row, ANSWER: truth})
    except Exception:
        return False
    return (said[0] if isinstance(said, tuple) and said else said) is True


def needs_answer(name: str) -> bool:
    """Whether a grader compares with the field ``answer``."""
    return name in BUILT_IN


def absolute(name: str) -> str:
    """The same grader from whichever folder it is loaded."""
    place, colon, function = name.rpartition(":")
    return f"{Path(place).resolve()}:{function}" if colon and place.endswith(".py") else name


def exact(answer: str, question: Question, finish: Finish) -> tuple[bool | None, str]:
    """The reply gives the text of ``answer``, or of one of them, whatever its case, markup and closing punctuation."""
    # A truth may be a sentence, of which the reading takes the end: the whole reply counts too, unless it was cut.
    said, whole = read_exact(answer, finish=finish).value, folded(set_aside_reasoning(answer).text)
    for text in (said, whole if finish == "stop" else None):
        if text is not None and any(same_text(text, truth) for truth in _truths(question.row)):
            return True, text
    return (None, answer.strip()) if said is None else (False, said)


def contains(answer: str, question: Question, finish: Finish) -> tuple[bool | None, str]:
    """``answer``, or one of them, stands in the reply as whole words; case and spaces do not matter."""
    said = folded(plain(set_aside_reasoning(answer).text))
    if not said:
        return None, said
    truths = (re.escape(folded(str(truth))) for truth in _truths(question.row))
    found = any(re.search(rf"(?<!\w){truth}(?!\w)", said) for truth in truths)
    # A reply that was cut might have come to it.
    return (None if finish == "length" and not found else found), said


def number(answer: str, question: Question, finish: Finish) -> tuple[bool | None, str]:
    """The number that the reply comes to (:func:`~secondlook.reading.read_number`) is ``answer``, or one of them."""
    said = read_number(answer, finish=finish).value
    if said is None:
        return None, answer.strip()
    truths = [value for truth in _truths(question.row) if (value := parse_number(str(truth))) is not None]
    return any(said.equals(truth) for truth in truths), f"{said.value:.12g}"


def choice(answer: str, question: Question, finish: Finish) -> tuple[bool | None, str]:
    """The letter that the reply asserts (:func:`~secondlook.reading.read_choice`) is ``answer``, or one of them."""
    letter = read_choice(answer, finish=finish, prompt=question.text).value
    if letter is None:
        return None, answer.strip()
    return letter in {choice_letter(truth) for truth in _truths(question.row)}, letter


BuiltIn: TypeAlias = Callable[[str, Question, Finish], "tuple[bool | None, str]"]
BUILT_IN: Mapping[str, BuiltIn] = {"exact": exact, "contains": contains, "number": number, "choice": choice}
"""Graders by name; each compares with the field ``answer``, which may be a list of right ones."""


def cannot_match(grader: str, truth: Json) -> bool:
    """Whether a truth is one that no reply could match under a built-in grader, e.g. a number under ``choice``."""
    every = truth if isinstance(truth, list) else [truth]
    reads: Mapping[str, Callable[[Json], object]] = {
        "number": lambda one: parse_number(str(one)),
        "choice": choice_letter,
        # Of "**" or "<b>" nothing is left once markup is undone.
        "exact": lambda one: folded(str(one)) or None,
        "contains": lambda one: folded(str(one)) or None,
    }
    return grader in reads and any(reads[grader](one) is None for one in every)


def _truths(row: Row) -> list[Json]:
    truth = row[ANSWER]
    return truth if isinstance(truth, list) else [truth]


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
