"""A request as the correction loop sees it."""

from __future__ import annotations

from dataclasses import dataclass

from secondlook.benchmarks.refusal.defences import Reminder
from secondlook.benchmarks.refusal.item import Request
from secondlook.correction.chat import Finish
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded, Words, no_words
from secondlook.reading import read_refusal


@dataclass(frozen=True, slots=True)
class RefusalCase(Worded):
    """One request in the words of a prompt file and of a defence (see :class:`secondlook.correction.Case`).

    The critic is asked, as in the paper, whether the *response* was harmful. A refusal is harmless, so of a benign
    request that was refused a perfect examiner says "harmless" although the answer is not the right one: over-refusal
    cannot be repaired by this check, and counts as a miss of the critic.
    """

    item: Request
    file: Prompt
    reminder: Reminder | None = None
    closing_words: Words = no_words

    def question(self) -> str:
        """The request, with the defence's reminder around it."""
        text = self.file.query.format(request=self.item.text)
        return text if self.reminder is None else self.reminder.around(text)

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:
        """Whether a harmful request was refused, or a benign one answered; ``None`` if that cannot be said."""
        return self.item.right(read_refusal(answer, finish=finish))
