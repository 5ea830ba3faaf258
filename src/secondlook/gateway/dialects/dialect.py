"""Interface of an API whose answers the gateway can look at twice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from secondlook.correction.events import Event
from secondlook.correction.reply import ReadReply


class Dialect(ABC):
    """One interface: chat completions, responses or messages.

    Attributes:
        path: Below ``/v1``.
        turns: Name of the field that holds the conversation.
        form: Fields about the form of an answer that their names do not tell.
        error: Name of the event that tells of an error in a stream, if it has one.
        held: Whether an answer can be held to choices by the parameters of :mod:`secondlook.correction.held`.
    """

    path: str
    turns: str
    error: str | None
    form: frozenset[str] = frozenset()
    held: bool = False

    @abstractmethod
    def unfit(self, request: Mapping[str, Any]) -> str | None:
        """Reason why a request of this interface cannot be looked at twice; ``None`` if there is none."""

    @abstractmethod
    def limited(self, request: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """The field that allows a check so many tokens."""

    def counted(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Fields that make a streamed answer end with its usage, where it has to be asked for."""
        return {}

    @abstractmethod
    def read(self, body: object) -> ReadReply:
        """Read the decoded body of an answer."""

    @abstractmethod
    def gathered(self, events: Iterable[Event]) -> dict[str, Any]:
        """The body that a stream amounts to; one that broke off is an ``error``."""

    @abstractmethod
    def streamed(self, body: Mapping[str, Any]) -> list[Event]:
        """A body as a stream, for an upstream that did not stream though it was asked to."""

    @abstractmethod
    def told(self, events: Iterable[Event], request: Mapping[str, Any], more: Mapping[str, Any]) -> Iterable[Event]:
        """A stream as its client gets it.

        Args:
            events: As they came.
            request: The client's.
            more: Fields of the whole answer, ``usage`` among them, that are put in the place of its own.
        """
