"""Words that every case takes from its prompt file, whatever is asked in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from secondlook.correction.case import Verdict
from secondlook.correction.chat import Finish
from secondlook.correction.elicit import Form
from secondlook.prompts.prompt import Prompt

Stage: TypeAlias = Literal["query", "check"]
Words: TypeAlias = Callable[[Stage, int], str]
"""Words that a stage of a round ends with; the planted language keeps its noise there."""


def no_words(_stage: Stage, _round_index: int) -> str:
    """No closing words: official prompts end where the prompt file ends."""
    return ""


class Named(Protocol):
    """Item that has an identifier."""

    @property
    def id(self) -> str:
        """Identifier."""
        ...


class Worded:
    """A :class:`secondlook.correction.Case` in the words of a prompt file; a subclass adds the question and its truth.

    Attributes:
        item: What is asked.
        file: The prompt file it is asked in.
        closing_words: Words put at the end of a query or check.
    """

    __slots__ = ()
    item: Named
    file: Prompt
    # A bare function would become a method here and get the case as its first argument.
    closing_words: Words = staticmethod(no_words)

    @property
    def sample(self) -> str:
        """Identifier of the question."""
        return self.item.id

    @property
    def prompt(self) -> str:
        """Name and hash of the prompt file."""
        return self.file.version

    @property
    def system(self) -> str | None:
        """System message of the prompt file."""
        return self.file.system

    @property
    def answer_form(self) -> Form | None:
        """No form; a benchmark whose answers have a form says so."""
        return None

    @property
    def verdict_form(self) -> Form | None:
        """Form of a verdict, from the prompt file."""
        return self.file.verdict_form

    @property
    def preference_form(self) -> Form | None:
        """Form of a preference, from the prompt file."""
        return self.file.preference_form

    def question(self) -> str:
        """The question in the prompt file's words; a subclass has to say it.

        Raises:
            NotImplementedError: It does not.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no question(); define it: the prompt file's words, filled"
        )

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """Whether an answer is correct; a subclass has to say it.

        Raises:
            NotImplementedError: It does not.
        """
        raise NotImplementedError(f"{type(self).__name__} has no grade(); define it, by what its benchmark reads")

    def query(self, round_index: int) -> str:
        """The question, as asked in this round."""
        return self._closed(self.question(), "query", round_index)

    def check(self, round_index: int) -> str:
        """The request to examine the answer."""
        return self._closed(self.file.check, "check", round_index)

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for another answer."""
        if repeat_query:
            return self.file.reask(self.query(round_index), repeat_query=True, critiqued=critiqued)
        text = self.file.reask("", repeat_query=False, critiqued=critiqued)
        return self._closed(text, "query", round_index)

    def verify(self, round_index: int) -> str:
        """The request to verify the earlier answer first, with the question before it."""
        return f"{self.query(round_index)}\n\n{self.file.verify}"

    def feedback(self, verdict: Verdict) -> str:
        """The prompt file's canned critique."""
        return self.file.feedback[verdict]

    def verdict(self, critique: str, finish: Finish = "stop") -> Verdict:
        """The verdict a critique finally gives, by the prompt file's phrases or scale."""
        return self.file.verdict(critique, finish)

    def _closed(self, text: str, stage: Stage, round_index: int) -> str:
        words = self.closing_words(stage, round_index)
        return f"{text}\n{words}" if words else text
