"""Rubric by which a model grades answers to open questions, which no rule can."""

from __future__ import annotations

from dataclasses import dataclass

from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.benchmarks.rubric import read_judgement, rubric_words
from secondlook.reading import set_aside_reasoning

RUBRIC = "rubric"
"""The column of a question's own rubric; no critic is shown it."""
_PACKAGE = "secondlook.benchmarks.own"


@dataclass(frozen=True, slots=True)
class AnswerRubric:
    """The shipped rubric (:class:`~secondlook.benchmarks.benchmark.Judge`): question, criteria and one answer.

    The judge sees neither the round nor the critique, so that it cannot tell a first answer from a second look. The
    criteria are the question's own column ``rubric``, or else the shipped ones; a reference answer is shown where the
    data have one.
    """

    outcomes: tuple[str, ...] = ("right", "wrong", "unclear")

    def ask(self, item: Question, reply: str) -> str | None:
        """The rubric about one reply; of an empty one nothing is asked."""
        said = set_aside_reasoning(reply).text.strip()
        if not said:
            return None
        words, truth = rubric_words(_PACKAGE), item.row.get(ANSWER)
        known = "" if truth is None else words["reference"].strip().format(answer=_told(truth))
        criteria = _told(item.row.get(RUBRIC) or words["criteria"])
        rubric: str = words["rubric"]
        return rubric.strip().format(question=item.text, known=known, criteria=criteria, reply=said)

    def read(self, judgement: str | None) -> str:
        """``right`` or ``wrong``, if the judgement ends with that one and not the other; else ``unclear``."""
        return read_judgement(_PACKAGE, judgement)


def _told(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value).strip()
