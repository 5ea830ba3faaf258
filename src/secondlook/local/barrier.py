"""A barrier for conversations: models are asked once every conversation that still goes on waits for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from secondlook.correction.chat import Completion, Message
from secondlook.local.cache import Kept


class Answering(Protocol):
    """A model that replies to several calls at once."""

    def reply_all(self, calls: Sequence[Call]) -> None:
        """Set the outcome of every call."""
        ...


@dataclass(eq=False, slots=True)
class Seat:
    """One conversation at a table, and what each model has kept of it."""

    table: Table
    kept: dict[Answering, Kept] = field(default_factory=dict)


SEAT: ContextVar[Seat | None] = ContextVar("seat", default=None)
"""The conversation that a task holds; with it in the context, loop and critics need not know that there are others."""


@dataclass(eq=False, slots=True)
class Call:
    """One call of a model, and what comes of it."""

    model: Answering
    seat: Seat
    messages: tuple[Message, ...]
    seed: int | None
    outcome: Completion | ValueError | None = None
    served: anyio.Event = field(default_factory=anyio.Event)


class Table:
    """Conversations that wait for each other.

    Args:
        seats: How many conversations there are.
    """

    def __init__(self, seats: int) -> None:
        self._going = seats
        self._waiting: dict[Seat, list[Call]] = {}
        self._full = anyio.Event()

    async def ask(self, call: Call) -> Completion:
        """Wait for the others, and for the reply.

        Raises:
            ValueError: If there is no reply.
        """
        self._waiting.setdefault(call.seat, []).append(call)
        self._look()
        try:
            await call.served.wait()
        finally:
            # Still there if a critic has lost patience; nobody waits for the reply then.
            if call in (waiting := self._waiting.get(call.seat, [])):
                waiting.remove(call)
                if not waiting:
                    del self._waiting[call.seat]
        if not isinstance(call.outcome, Completion):
            raise call.outcome or ValueError("the call got no reply")
        return call.outcome

    def leave(self) -> None:
        """A conversation has ended."""
        self._going -= 1
        self._look()

    async def serve(self) -> None:
        """Have all calls replied to whenever all conversations wait, until all have left."""
        while True:
            await self._full.wait()
            if not self._going:
                return
            self._full = anyio.Event()
            calls = [call for waiting in self._waiting.values() for call in waiting]
            self._waiting = {}
            for model in dict.fromkeys(call.model for call in calls):
                model.reply_all([call for call in calls if call.model is model])
            for call in calls:
                call.served.set()

    def _look(self) -> None:
        if len(self._waiting) == self._going:
            self._full.set()
