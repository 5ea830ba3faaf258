"""A barrier for conversations: models are asked once every conversation that still goes on waits for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from secondlook.correction.chat import Completion, Message
from secondlook.local.cache import CachedPrefix
from secondlook.local.scoring import Scored


class Answering(Protocol):
    """A model that replies to several calls at once."""

    def reply_all(self, calls: Sequence[ModelCall]) -> None:
        """Set the outcome of every call."""
        ...


# Compared and hashed by identity: the batcher keeps its calls by conversation.
@dataclass(eq=False, slots=True)
class LiveConversation:
    """One conversation at a batcher, and what each model has kept of it."""

    batcher: CallBatcher
    kept: dict[Answering, CachedPrefix] = field(default_factory=dict)


CONVERSATION: ContextVar[LiveConversation | None] = ContextVar("conversation", default=None)
"""The conversation that a task holds; with it in the context, loop and critics need not know that there are others."""


# By identity too: among equal calls of a conversation, `CallBatcher.ask` has to find its own.
@dataclass(eq=False, slots=True)
class ModelCall:
    """One call of a model, and what comes of it.

    Attributes:
        continuations: Beginnings of the next turn that are to be scored; without any the call is for a reply.
    """

    model: Answering
    conversation: LiveConversation
    messages: tuple[Message, ...]
    seed: int | None
    continuations: tuple[str, ...] = ()
    outcome: Completion | Scored | ValueError | None = None
    served: anyio.Event = field(default_factory=anyio.Event)


class CallBatcher:
    """Conversations that wait for each other.

    Args:
        conversations: How many conversations there are.
    """

    def __init__(self, conversations: int) -> None:
        self._going = conversations
        self._waiting: dict[LiveConversation, list[ModelCall]] = {}
        self._full = anyio.Event()

    async def ask(self, call: ModelCall) -> Completion | Scored:
        """Wait for the others, and for the reply, or for what was scored.

        Raises:
            ValueError: If there is no reply.
        """
        # A critic may make several calls at once: its conversation still counts once.
        self._waiting.setdefault(call.conversation, []).append(call)
        self._look()
        try:
            await call.served.wait()
        finally:
            # Still there if a critic has lost patience; nobody waits for the reply then.
            if call in (waiting := self._waiting.get(call.conversation, [])):
                waiting.remove(call)
                if not waiting:
                    del self._waiting[call.conversation]
        if call.outcome is None or isinstance(call.outcome, ValueError):
            raise call.outcome or ValueError("the call got no reply")
        return call.outcome

    def leave(self) -> None:
        """A conversation has ended."""
        self._going -= 1
        self._look()

    async def serve(self) -> None:
        """Have all calls replied to whenever all conversations wait, until all have left."""
        while self._going:
            await self._full.wait()
            # Events of anyio cannot be cleared.
            self._full = anyio.Event()
            # Who has something to be scored goes first: the others' replies then wait for it, and all are decoded
            # together. A conversation's own calls stay together, or none might be left to notice that all wait.
            scored = [each for each, calls in self._waiting.items() if any(call.continuations for call in calls)]
            calls = [call for each in scored or [*self._waiting] for call in self._waiting.pop(each)]
            for model in dict.fromkeys(call.model for call in calls):
                # This blocks the event loop, which is free: all conversations wait for a reply.
                model.reply_all([call for call in calls if call.model is model])
            for call in calls:
                call.served.set()

    def _look(self) -> None:
        if len(self._waiting) == self._going:
            self._full.set()
