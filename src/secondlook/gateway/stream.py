"""A whole answer as a stream of events, the way the upstream would have streamed it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from secondlook.gateway.request import EXTENSION, Chat, dumped

DONE = b"data: [DONE]\n\n"
"""The last event."""
CONTENT_TYPE = "text/event-stream; charset=utf-8"
_PIECES = re.compile(r"\S{1,80}\s*|\s+")


def comment(text: str) -> bytes:
    """A line that clients read over; it keeps the connection alive."""
    return f": {text}\n\n".encode()


def event(data: Mapping[str, Any]) -> bytes:
    """One event."""
    return b"data: " + dumped(data) + b"\n\n"


def events(answer: Mapping[str, Any], chat: Chat) -> Iterator[bytes]:
    """The events of a whole answer, but the last: role, text in pieces, finish reason, usage if it was asked for."""
    shared = {
        name: answer[name]
        for name in ("id", "created", "model", "system_fingerprint", "service_tier")
        if name in answer
    }
    shared["object"] = "chat.completion.chunk"
    choices = answer.get("choices")
    (choice, *_) = choices if isinstance(choices, list) and choices else ({},)
    message = {name: value for name, value in choice.get("message", {}).items() if value is not None}
    text = message.pop("content", "")
    role = message.pop("role", "assistant")

    def chunk(delta: Mapping[str, Any], **more: Any) -> bytes:
        return event({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]})

    yield chunk({"role": role, "content": "", **message})
    if logprobs := choice.get("logprobs"):
        yield chunk({"content": text}, logprobs=logprobs)  # which token belongs to which piece is not known
    else:
        for piece in _PIECES.findall(text):
            yield chunk({"content": piece})
    last = {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}]}
    if EXTENSION in answer:
        last[EXTENSION] = answer[EXTENSION]
    yield event(last)
    options = chat.fields.get("stream_options")
    if isinstance(options, Mapping) and options.get("include_usage") and "usage" in answer:
        yield event({**shared, "choices": [], "usage": answer["usage"]})
