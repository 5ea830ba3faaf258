"""A user's question as the correction loop sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from secondlook.benchmarks.own.grading import BUILT_IN, MODEL, grade
from secondlook.benchmarks.own.item import ANSWER, Question
from secondlook.benchmarks.own.judge import RUBRIC
from secondlook.correction.chat import Finish, Json
from secondlook.correction.elicit import Form
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded
from secondlook.reading import lettered_options
from secondlook.reading.mentions import LETTERS


@dataclass(frozen=True, slots=True)
class OwnCase(Worded):
    """One question in the words of a prompt file (see :class:`secondlook.correction.Case`).

    A prompt file's query has the field ``{prompt}``, and may have any column of the data beside it.
    """

    item: Question
    file: Prompt

    @property
    def row(self) -> Mapping[str, Json]:
        """Columns that a critic that is a tool may know: all but the answer, and what a judge grades by."""
        hidden = (ANSWER, RUBRIC) if self.item.grader == MODEL else (ANSWER,)
        return {name: value for name, value in self.item.row.items() if name not in hidden}

    @property
    def answer_form(self) -> Form | None:
        """The letter of an option, or open; none for a grader of the user's, who alone knows what can be read."""
        if self.item.grader not in BUILT_IN:
            return None
        options = lettered_options(self.item.text) if self.item.grader == "choice" else ()
        letters = tuple(LETTERS[: len(options)])
        return self.file.answer_form(self._reading, letters, number=self.item.grader == "number")

    def question(self) -> str:
        """The question."""
        # `row` lacks the truth, so that no prompt file can show it; the question wins over a column named `prompt`.
        return self.file.query.format_map({**self.row, "prompt": self.item.text})

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """Grade an answer by the user's grader."""
        return grade(self.item, answer, finish).correct

    def _reading(self, answer: str, finish: Finish) -> str | None:
        graded = grade(self.item, answer, finish)
        return None if graded.correct is None else graded.reading
