"""Reading of one reply by the part of the product that reads replies of its kind: ``secondlook read``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from secondlook.benchmarks.own.grading import BUILT_IN, cannot_match
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Finish
from secondlook.prompts.prompt import load_prompt
from secondlook.reading import choice_letter, read_answer, read_refusal

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line with what is read of it, and its grade where it has an answer.

    Args:
        line: ``kind`` (one of :data:`KINDS`), ``reply``, and, as the kind needs them, ``finish``, ``options``,
            ``answer``, ``question`` (of an answer), ``prompt`` (a prompt file for verdicts and scores; what was asked,
            for a choice).

    Returns:
        The line with ``read`` (``null``: it cannot be read), and ``grade`` beside an ``answer``.

    Raises:
        ValueError: A field is missing, or of another form; names it.
    """
    if not isinstance(line, Mapping):
        raise ValueError(f"is a {type(line).__name__}, not an object with kind and reply")  # noqa: TRY004 - likewise
    kind, reply = str(line.get("kind")), line.get("reply")
    if kind not in _READERS:
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(_READERS)}")
    if not isinstance(reply, str):
        raise ValueError(f"reply is {reply!r}; give the reply as text")  # noqa: TRY004 - a user's line
    return {**line, **_READERS[kind](line, reply, line.get("finish") or "stop")}


def _answer(line: Mapping[str, Any], reply: str, finish: Finish) -> dict[str, Any]:
    options = line.get("options")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ValueError(f"options is {options!r}; give the option texts as a list, in the order shown")
    if not isinstance(question := line.get("question"), str | None):
        raise ValueError(f"question is {question!r}; give it as text")  # noqa: TRY004 - a user's line
    choice = read_answer(reply, options, finish=finish, question=question).value
    letter = None if choice is None else LETTERS[choice]
    truth = None if line.get(ANSWER) is None else choice_letter(line[ANSWER])
    return {"read": letter, **_graded(line, None if letter is None else letter == truth)}


def _verdict(line: Mapping[str, Any], reply: str, finish: Finish) -> dict[str, Any]:
    verdict = _prompt(line).verdict(reply, finish)
    return {"read": None if verdict == "unclear" else verdict}


def _score(line: Mapping[str, Any], reply: str, finish: Finish) -> dict[str, Any]:
    return {"read": _prompt(line).score(reply, finish)}


def _own(line: Mapping[str, Any], reply: str, finish: Finish) -> dict[str, Any]:
    kind, truth = str(line["kind"]), line.get(ANSWER)
    if truth is not None and cannot_match(kind, truth):
        raise ValueError(f"answer is {truth!r}, which no reply can match as {kind}")
    asked = str(line.get("prompt") or "")
    # A grader reads and grades at once, so it needs some truth; without one its grade is left out.
    question = Question("line", "", "line", None, asked, kind, {ANSWER: "" if truth is None else truth})
    correct, said = BUILT_IN[kind](reply, question, finish)
    return {"read": None if correct is None else said, **_graded(line, correct)}


def _refusal(line: Mapping[str, Any], reply: str, finish: Finish) -> dict[str, Any]:
    del line
    outcome = read_refusal(reply, finish=finish)
    return {"read": None if outcome == "unclear" else outcome}


def _graded(line: Mapping[str, Any], correct: bool | None) -> dict[str, Any]:
    return {} if line.get("answer") is None else {"grade": correct}


def _prompt(line: Mapping[str, Any]) -> Any:
    return load_prompt(str(line.get("prompt") or "bbq/binary-cot"))


_READERS: Mapping[str, Callable[[Mapping[str, Any], str, Finish], dict[str, Any]]] = {
    "answer": _answer,
    "verdict": _verdict,
    "score": _score,
    **dict.fromkeys(BUILT_IN, _own),
    "refusal": _refusal,
}
KINDS = tuple(_READERS)
"""Kinds of replies."""
