"""What a critic is given and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from secondlook.correction.case import Case
from secondlook.correction.chat import Message
from secondlook.correction.transcript import Critique


class CriticError(Exception):
    """A critic could not examine an answer; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One answer, put before a critic.

    Attributes:
        messages: The conversation so far; its last message is the answer.
        seed: Makes a sampled critique repeatable; depends on the run's seed, the sample and the round alone.
    """

    case: Case
    round_index: int
    answer: str
    messages: tuple[Message, ...]
    seed: int


class Critic(Protocol):
    """Examines answers. One critic serves many questions at once, so it keeps no state between them."""

    @property
    def name(self) -> str:
        """Name for the record, e.g. ``self`` or ``noisy(0.25, oracle)``."""

    async def examine(self, exam: Examination) -> Critique | None:
        """Examine one answer; ``None`` if nothing is to be said, which leaves the conversation as it is."""
