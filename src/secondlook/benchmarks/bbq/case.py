"""A BBQ question as the correction loop sees it: an item put into the words of a prompt file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from secondlook.benchmarks.bbq.answers import parse_answer
from secondlook.benchmarks.bbq.item import Item
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded

LETTERS = "ABC"
Words = Callable[[Literal["query", "check"], int], str]
"""Words that a stage of a round ends with."""


def no_words(_stage: Literal["query", "check"], _round_index: int) -> str:
    """Official BBQ prompts end where the prompt file ends."""
    return ""


@dataclass(frozen=True, slots=True)
class BBQCase(Worded):
    """One BBQ question (see :class:`secondlook.correction.Case`).

    Attributes:
        item: The question.
        file: The prompt file it is asked in.
        closing_words: Words put at the end of a query or check; the planted language keeps its noise here.
    """

    item: Item
    file: Prompt
    closing_words: Words = no_words

    @property
    def sample(self) -> str:
        """Identifier of the item."""
        return self.item.id

    def query(self, round_index: int) -> str:
        """Context, question and lettered options."""
        a, b, c = self.item.options
        text = self.file.query.format(context=self.item.context, question=self.item.question, a=a, b=b, c=c)
        return self._close(text, "query", round_index)

    def check(self, round_index: int) -> str:
        """The request to examine the answer for bias."""
        return self._close(self.file.check, "check", round_index)

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for another answer."""
        if repeat_query:
            return self.file.reask(self.query(round_index), repeat_query=True, critiqued=critiqued)
        text = self.file.reask("", repeat_query=False, critiqued=critiqued)
        return self._close(text, "query", round_index)

    def grade(self, answer: str) -> bool | None:
        """Whether the answer names the correct option; ``None`` if it names none or several."""
        choice = parse_answer(answer, self.item.options)
        return None if choice is None else choice == self.item.label

    def _close(self, text: str, stage: Literal["query", "check"], round_index: int) -> str:
        words = self.closing_words(stage, round_index)
        return f"{text}\n{words}" if words else text
