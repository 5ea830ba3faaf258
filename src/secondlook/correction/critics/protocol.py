"""Protocol of a critic: what it is given and what it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from secondlook.correction.case import Case
from secondlook.correction.chat import Finish, Message, Usage
from secondlook.correction.elicit import NEVER, Asking
from secondlook.correction.transcript import Critique, Preference


class CriticError(Exception):
    """A critic could not examine an answer; the message is one line that says why."""


class AbstainedError(Exception):
    """A critic that cannot judge this question abstains: the answer in hand stands, and nothing has failed."""


@dataclass(frozen=True, slots=True)
class Examination:
    """One answer, put before a critic.

    Attributes:
        messages: The conversation so far; its last message is the answer.
        finish: Why the answer ended.
        seed: Makes a sampled critique repeatable; depends on the run's seed, the sample and the round alone.
        stated: The text that the answer is read from, and why it ended, if that is not the answer itself.
        asking: What is done about a critique that states no verdict.
        p_answer: The model's own probability of the answer; not a number where it is not known.
        spent: Usage of the calls answered so far, which a critic adds to before it makes another: if that one fails,
            nobody else knows what these cost.
    """

    case: Case
    round_index: int
    answer: str
    messages: tuple[Message, ...]
    seed: int
    finish: Finish = "stop"
    stated: tuple[str, Finish] | None = None
    asking: Asking = NEVER
    p_answer: float = math.nan
    spent: list[Usage] = field(default_factory=list, compare=False)


class Critic(Protocol):
    """Examines answers. One critic serves many questions at once, so it keeps no state between them."""

    @property
    def name(self) -> str:
        """Name for the record, e.g. ``self`` or ``noisy(0.25, oracle)``."""

    async def examine(self, exam: Examination) -> Critique | None:
        """Examine one answer; ``None`` if nothing is to be said, which leaves the conversation as it is.

        Raises:
            AbstainedError: It cannot judge this question, which ends the loop with the answer in hand.
        """


@runtime_checkable
class Prefers(Protocol):
    """A critic that also says which of two answers is the better one."""

    async def prefer(self, exam: Examination) -> Preference:
        """Compare the answer put before it with the one before that in the same conversation."""
        ...
