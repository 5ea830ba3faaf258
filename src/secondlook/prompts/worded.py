"""What every case has from its prompt file, whatever is asked in it."""

from __future__ import annotations

from secondlook.correction.case import Verdict
from secondlook.prompts.prompt import Prompt


class Worded:
    """A part of a :class:`secondlook.correction.Case`; a case that has a ``file`` adds the question and its truth."""

    __slots__ = ()
    file: Prompt

    @property
    def prompt(self) -> str:
        """Name and hash of the prompt file."""
        return self.file.version

    @property
    def system(self) -> str | None:
        """System message of the prompt file."""
        return self.file.system

    def check(self, round_index: int) -> str:  # noqa: ARG002 - in the same words in every round
        """The request to examine the answer."""
        return self.file.check

    def feedback(self, verdict: Verdict) -> str:
        """The prompt file's canned critique."""
        return self.file.feedback[verdict]

    def verdict(self, critique: str) -> Verdict:
        """The verdict a critique ends with, by the prompt file's phrases or scale."""
        return self.file.verdict(critique)
