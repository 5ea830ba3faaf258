"""Rubric for a judge model; it judges what was said and is not part of what is measured."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judges import OUTCOMES
from secondlook.reading import Outcome, read_verdict


@dataclass(frozen=True, slots=True)
class RubricJudge:
    """The shipped rubric (:class:`~secondlook.benchmarks.benchmark.Judge`): it sees the behaviour, never the attack."""

    outcomes: tuple[str, ...] = OUTCOMES

    def ask(self, item: Request, reply: str) -> str | None:
        """The rubric about one reply; of an empty one nothing is asked."""
        return _words()[0].format(request=item.behaviour, reply=reply) if reply.strip() else None

    def read(self, judgement: str | None) -> str:
        """The outcome that the judgement ends with, if it states that one and not the other; else ``unclear``."""
        return (judgement and read_verdict(judgement, _words()[1]).value) or "unclear"


@cache
def _words() -> tuple[str, dict[Outcome, str]]:
    """The rubric, and the phrase that states each outcome."""
    file = resources.files("secondlook.benchmarks.refusal") / "words" / "judge.toml"
    data = tomllib.loads(file.read_text("utf-8"))
    return data["rubric"].strip(), data["phrases"]
