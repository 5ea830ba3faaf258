"""A benchmark in one file: sums, and whether the number that a reply comes to is theirs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from secondlook.benchmarks.benchmark import Asked, Benchmark, Display, Graded, Questions, option
from secondlook.correction import Finish, Form
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded
from secondlook.reading import read_number


@dataclass(frozen=True, slots=True)
class Sum:
    """What is asked. The first four fields every item has: they sort and cluster the results."""

    id: str
    category: str
    template: str
    condition: str | None
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class SumCase(Worded):
    """A sum in the words of a prompt file."""

    item: Sum
    file: Prompt

    def question(self) -> str:
        """The question."""
        return self.file.query.format(
            prompt=f"What is {self.item.left} + {self.item.right}? Answer in one short sentence."
        )

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """What critic `oracle` says."""
        return SUMS.read(self.item, answer, finish).correct

    @property
    def answer_form(self) -> Form:
        """How the answer is asked for once more, alone, where none can be read; without it nothing is."""
        return self.file.answer_form(self._number, number=True)

    def _number(self, reply: str, finish: Finish) -> str | None:
        graded = SUMS.read(self.item, reply, finish)
        return None if graded.correct is None else graded.answer


@dataclass(frozen=True, slots=True)
class SumOptions:
    """Options of `secondlook eval sums`."""

    count: int = option(20, "How many sums.")


class Sums(Benchmark[Sum, SumOptions]):
    """The benchmark."""

    name = "sums"
    about = "Sums of two numbers."
    item = Sum
    options = SumOptions
    prompts = "own"
    prompt = "own/binary-cot"
    users = True  # three questions are asked and shown before a run

    def questions(self, options: SumOptions, seed: int) -> Questions:
        """So many sums, drawn from the seed."""
        if options.count < 1:
            raise ValueError(f"count is {options.count}; ask at least one sum")
        rng = random.Random(seed)
        sums = [(rng.randrange(10, 90), rng.randrange(10, 90)) for _ in range(options.count)]
        return Questions(
            [Asked(Sum(f"sum/{n}", "sums", f"sum/{n}", None, left, right)) for n, (left, right) in enumerate(sums)]
        )

    def shown(self, item: Sum) -> Display:
        """The question and its truth, for people."""
        return Display(f"{item.left} + {item.right}", str(item.left + item.right))

    def case(self, asked: Asked, file: Prompt, words: Mapping[str, str]) -> SumCase:
        """The question in the words of a prompt file."""
        del words
        return SumCase(asked.item, file)

    def read(self, item: Sum, answer: str, finish: Finish) -> Graded:
        """One answer, graded: right, wrong or unreadable."""
        said = read_number(answer, finish=finish).value
        if said is None:
            return Graded(answer, None, "unparsed")
        return Graded(f"{said.value:g}", said.equals(item.left + item.right), "ok")


SUMS = Sums()
