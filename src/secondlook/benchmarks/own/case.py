"""A user's question as the correction loop sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from secondlook.benchmarks.own.grading import grade
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.correction.chat import Json
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded


@dataclass(frozen=True, slots=True)
class OwnCase(Worded):
    """One question in the words of a prompt file (see :class:`secondlook.correction.Case`).

    A prompt file's query has the field ``{prompt}``, and may have any column of the data beside it.

    Attributes:
        item: The question.
        file: The prompt file it is asked in.
    """

    item: Question
    file: Prompt

    @property
    def sample(self) -> str:
        """Identifier of the question."""
        return self.item.id

    @property
    def row(self) -> Mapping[str, Json]:
        """What a critic that is a tool may know of the question: all columns but the answer."""
        return {name: value for name, value in self.item.row.items() if name != ANSWER}

    def query(self, round_index: int) -> str:  # noqa: ARG002 - asked in the same words in every round
        """The question."""
        return self.file.query.format_map({**self.row, "prompt": self.item.text})

    def reask(self, round_index: int, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for another answer."""
        query = self.query(round_index) if repeat_query else ""
        return self.file.reask(query, repeat_query=repeat_query, critiqued=critiqued)

    def grade(self, answer: str) -> bool | None:
        """What the grader says."""
        return grade(self.item, answer).correct
