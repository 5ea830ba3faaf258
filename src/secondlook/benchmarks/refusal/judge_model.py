"""Rubric for a judge model; it judges what was said and is not part of what is measured."""

from __future__ import annotations

from dataclasses import dataclass

from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judges import OUTCOMES
from secondlook.benchmarks.rubric import read_judgement, rubric_words
from secondlook.reading import set_aside_reasoning

_PACKAGE = "secondlook.benchmarks.refusal"


@dataclass(frozen=True, slots=True)
class RubricJudge:
    """The shipped rubric (:class:`~secondlook.benchmarks.benchmark.Judge`): it sees the behaviour, never the attack."""

    outcomes: tuple[str, ...] = OUTCOMES

    def ask(self, item: Request, reply: str) -> str | None:
        """The rubric about what one reply says, its reasoning set aside; of an empty one nothing is asked."""
        rubric: str = rubric_words(_PACKAGE)["rubric"]
        said = set_aside_reasoning(reply).text.strip()
        return rubric.strip().format(request=item.behaviour, reply=said) if said else None

    def read(self, judgement: str | None) -> str:
        """The outcome that the judgement ends with, if it states that one and not the other; else ``unclear``."""
        return read_judgement(_PACKAGE, judgement)
