"""A model for tests: it says what it is told to, and checks what it is shown."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from secondlook.correction.chat import Completion, Message, ModelInfo, Usage

Reply: TypeAlias = str | Completion | Exception


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """Messages and settings of one call."""

    messages: tuple[Message, ...]
    seed: int | None


@dataclass(slots=True)
class ScriptedModel:
    """Replays a script, one step a call.

    The loop takes any exception for a failure of the model and records it, an ``AssertionError`` too. So a
    test must end with :meth:`finished`, which raises what the loop kept.

    Attributes:
        script: For each call, the exact messages it must show (``None``: any) and the reply. A string is
            returned with a usage that counts words for tokens; an exception is raised.
    """

    script: Sequence[tuple[Sequence[Message] | None, Reply]]
    info: ModelInfo = field(default_factory=lambda: ModelInfo("scripted"))
    calls: list[ScriptedCall] = field(default_factory=list, init=False)
    _failure: AssertionError | None = field(default=None, init=False, repr=False)

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Give the next reply; an ``AssertionError`` if the script is at its end, or says other messages."""
        self.calls.append(ScriptedCall(tuple(messages), seed))
        if len(self.calls) > len(self.script):
            raise self._fail(f"call {len(self.calls)}: the script has {len(self.script)} steps only")
        expected, reply = self.script[len(self.calls) - 1]
        if expected is not None and list(expected) != list(messages):
            raise self._fail(f"call {len(self.calls)}: other messages than expected\n{_diff(expected, messages)}")
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        words = sum(len(message.content.split()) for message in messages)
        return Completion(reply, Usage(words, len(reply.split()), calls=1))

    def finished(self) -> None:
        """Assert that every call was as scripted and every step was used; tell the first mismatch."""
        if self._failure is not None:
            raise self._failure
        if len(self.calls) < len(self.script):
            raise AssertionError(f"{len(self.calls)} of {len(self.script)} steps of the script were used")

    def _fail(self, message: str) -> AssertionError:
        failure = AssertionError(message)
        self._failure = self._failure or failure
        return failure


def _diff(*both: Sequence[Message]) -> str:
    # repr, so that a difference in white space can be seen
    expected, shown = ([f"{message.role}: {message.content!r}" for message in messages] for messages in both)
    return "\n".join(difflib.unified_diff(expected, shown, "expected", "shown", lineterm="", n=1))
