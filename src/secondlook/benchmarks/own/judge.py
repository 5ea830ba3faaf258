"""Rubric by which a model grades answers to open questions, which no rule can."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.reading import read_verdict, set_aside_reasoning

RUBRIC = "rubric"
"""The column of a question's own rubric; no critic is shown it."""
_OUTCOMES = ("right", "wrong", "unclear")


@dataclass(frozen=True, slots=True)
class AnswerRubric:
    """The shipped rubric (:class:`~secondlook.benchmarks.benchmark.Judge`): question, criteria and one answer.

    The judge sees neither the round nor the critique, so that it cannot tell a first answer from a second look. The
    criteria are the question's own column ``rubric``, or else the shipped ones; a reference answer is shown where the
    data have one.
    """

    outcomes: tuple[str, ...] = _OUTCOMES

    def ask(self, item: Question, reply: str) -> str | None:
        """The rubric about one reply; of an empty one nothing is asked."""
        said = set_aside_reasoning(reply).text.strip()
        if not said:
            return None
        words, truth = _words(), item.row.get(ANSWER)
        known = "" if truth is None else words["reference"].strip().format(answer=_told(truth))
        criteria = _told(item.row.get(RUBRIC) or words["criteria"])
        rubric: str = words["rubric"]
        return rubric.strip().format(question=item.text, known=known, criteria=criteria, reply=said)

    def read(self, judgement: str | None) -> str:
        """``right`` or ``wrong``, if the judgement ends with that one and not the other; else ``unclear``."""
        phrases: dict[str, str] = _words()["phrases"]
        return (judgement and read_verdict(judgement, phrases).value) or "unclear"


def _told(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value).strip()


@cache
def _words() -> dict[str, Any]:
    """The rubric, its parts, and the phrase that states each outcome."""
    file = resources.files("secondlook.benchmarks.own") / "words" / "judge.toml"
    return tomllib.loads(file.read_text("utf-8"))
