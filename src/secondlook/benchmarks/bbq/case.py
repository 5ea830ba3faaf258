"""A BBQ question as the correction loop sees it."""

from __future__ import annotations

from dataclasses import dataclass

from secondlook.benchmarks.bbq.item import Item
from secondlook.correction.chat import Finish
from secondlook.correction.elicit import Form
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded, Words, no_words
from secondlook.reading import read_answer

LETTERS = "ABC"


@dataclass(frozen=True, slots=True)
class BBQCase(Worded):
    """One BBQ question in the words of a prompt file (see :class:`secondlook.correction.Case`)."""

    item: Item
    file: Prompt
    closing_words: Words = no_words

    @property
    def answer_form(self) -> Form:
        """The letter of an option."""
        return self.file.answer_form(self._letter, tuple(LETTERS))

    def question(self) -> str:
        """Context, question and lettered options."""
        a, b, c = self.item.options
        return self.file.query.format(context=self.item.context, question=self.item.question, a=a, b=b, c=c)

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """Whether the answer asserts the correct option; ``None`` if it asserts none."""
        choice = read_choice_of(self.item, answer, finish)
        return None if choice is None else choice == self.item.label

    def _letter(self, answer: str, finish: Finish) -> str | None:
        choice = read_choice_of(self.item, answer, finish)
        return None if choice is None else LETTERS[choice]


def read_choice_of(item: Item, answer: str, finish: Finish) -> int | None:
    """Index of the option that a reply finally asserts; ``None`` where it cannot be read."""
    return read_answer(answer, item.options, finish=finish, unknown=item.unknown, question=item.question).value
