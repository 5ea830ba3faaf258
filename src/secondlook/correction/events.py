"""Server-sent events: reading those of an upstream, and writing our own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CONTENT_TYPE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
"""The last event of a chat completion."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: Its name, where it has one.
        data: Its data, decoded; text where that is no JSON object.
    """

    name: str | None
    data: Any

    def written(self) -> bytes:
        """Bytes of the event as it is sent."""
        return event(self.data, self.name) if isinstance(self.data, dict) else _bytes(f"data: {self.data}\n\n")


def comment(text: str) -> bytes:
    """A line that clients read over; it keeps the connection alive."""
    return f": {text}\n\n".encode()


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """One event of a stream."""
    return (_bytes(f"event: {name}\n") if name else b"") + b"data: " + dumped(data) + b"\n\n"


def read_events(body: bytes) -> Iterator[Event]:
    """The events of a whole stream, comments left out; lines may end in any of the ways that the standard allows."""
    name, lines = None, list[str]()
    text = _text(body).replace("\r\n", "\n").replace("\r", "\n")
    # The empty line at the end completes a last event that came without one, which the standard would discard.
    for line in (*text.split("\n"), ""):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            lines.append(value)
        elif not line and lines:
            yield Event(name, _decoded("\n".join(lines)))
            name, lines = None, []


def dumped(value: Mapping[str, Any]) -> bytes:
    """JSON as it is sent; half a pair of surrogates, which UTF-8 has no bytes for, stays the escape that it came as."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def _text(body: bytes) -> str:
    """Text of a stream. Lone surrogates stay; if anything else is no UTF-8, they too become U+FFFD."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(text: str) -> Any:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return data if isinstance(data, dict) else text
