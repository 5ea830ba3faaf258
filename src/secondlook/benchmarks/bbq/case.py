"""A BBQ question as the correction loop sees it."""

from __future__ import annotations

from dataclasses import dataclass

from secondlook.benchmarks.bbq.answers import parse_answer
from secondlook.benchmarks.bbq.item import Item
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded, Words, no_words

LETTERS = "ABC"


@dataclass(frozen=True, slots=True)
class BBQCase(Worded):
    """One BBQ question in the words of a prompt file (see :class:`secondlook.correction.Case`)."""

    item: Item
    file: Prompt
    closing_words: Words = no_words

    def question(self) -> str:
        """Context, question and lettered options."""
        a, b, c = self.item.options
        return self.file.query.format(context=self.item.context, question=self.item.question, a=a, b=b, c=c)

    def grade(self, answer: str) -> bool | None:
        """Whether the answer names the correct option; ``None`` if it names none or several."""
        choice = parse_answer(answer, self.item.options)
        return None if choice is None else choice == self.item.label
