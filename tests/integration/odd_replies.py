"""Replies of servers as they are: ways to spoil a sound one, and what an evaluation has to make of it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

from faulty_server import events
from starlette.responses import HTMLResponse, JSONResponse, Response

Reply = dict[str, Any]


def _choice(**changes: Any) -> Callable[[Reply], Reply]:
    def spoil(reply: Reply) -> Reply:
        (choice,) = reply["choices"]
        return {**reply, "choices": [{**choice, **changes}]}

    return spoil


def _message(finish: object = "stop", **changes: Any) -> Callable[[Reply], Reply]:
    def spoil(reply: Reply) -> Reply:
        (choice,) = reply["choices"]
        told = {
            name: value(choice["message"]["content"]) if callable(value) else value for name, value in changes.items()
        }
        return {**reply, "choices": [{**choice, "message": {**choice["message"], **told}, "finish_reason": finish}]}

    return spoil


def _without(*names: str) -> Callable[[Reply], Reply]:
    return lambda reply: {name: value for name, value in reply.items() if name not in names}


def _error(status: int, said: str, **more: Any) -> Callable[[Reply], Response]:
    return lambda _: JSONResponse({"error": {"message": said, **more}}, status, {"retry-after-ms": "1"})


def _streamed(change: Callable[[str], str | bytes], **headers: str) -> Callable[[Reply], Response]:
    return lambda reply: Response(change(events(reply)), media_type="text/event-stream", headers=headers)


def _zipped(text: str) -> bytes:
    return gzip.compress(text.encode())


_GZIP = {"content-encoding": "gzip"}
_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SPOILT: dict[str, tuple[Callable[[Reply], Any], str]] = {
    "sound": (lambda reply: reply, "ok"),
    "parts": (_message(content=lambda text: [{"type": "text", "text": text}]), "ok"),
    "thinking-parts": (
        _message(content=lambda text: [{"type": "thinking", "thinking": "41?"}, {"type": "text", "text": text}]),
        "ok",
    ),
    "think": (_message(content=lambda text: f"<think>\n41?\n</think>\n\n{text}"), "ok"),
    "reasoning": (_message(reasoning_content="41?"), "ok"),
    "empty-calls": (_message(tool_calls=[], function_call=None, refusal=None, audio=None), "ok"),
    "surrogate": (_message(content=lambda text: f"{text} \ud83d"), "ok"),
    "no-role": (_message(role=None), "ok"),
    "finish-null": (_choice(finish_reason=None), "ok"),
    "finish-eos": (_choice(finish_reason="eos_token"), "ok"),
    "finish-empty": (_choice(finish_reason=""), "ok"),
    "finish-missing": (lambda reply: {**reply, "choices": [{"message": reply["choices"][0]["message"]}]}, "ok"),
    "long-id": (lambda reply: {**reply, "id": "x" * 200_000}, "ok"),
    "no-id": (_without("id", "object", "created", "model"), "ok"),
    "no-usage": (_without("usage"), "ok"),
    "null-usage": (lambda reply: {**reply, "usage": None}, "ok"),
    "odd-usage": (lambda reply: {**reply, "usage": {"prompt_tokens": "7"}}, "ok"),
    "two-choices": (
        lambda reply: {**reply, "choices": [{"index": 1, "message": {"content": "41"}}, *reply["choices"]]},
        "ok",
    ),
    "whole": (JSONResponse, "ok"),  # though a stream was asked for
    "gzip": (lambda reply: Response(_zipped(json.dumps(reply)), media_type="application/json", headers=_GZIP), "ok"),
    "stream-gzip": (_streamed(_zipped, **_GZIP), "ok"),
    "stream-crlf": (_streamed(lambda text: f": odd\n\n{text}".replace("\n", "\r\n")), "ok"),
    "stream-no-space": (_streamed(lambda text: text.replace("data: ", "data:")), "ok"),
    "null": (_message("length", content=None, reasoning_content="41? 41?"), "error"),
    "empty": (_message(content=""), "error"),
    "think-open": (_message("length", content="<think>\nMaybe 41."), "error"),
    "tool": (_message("tool_calls", content=None, tool_calls=[_CALL]), "error"),
    "no-choices": (lambda reply: {**reply, "choices": []}, "error"),
    "choices-null": (lambda reply: {**reply, "choices": None}, "error"),
    "finish-error": (_choice(finish_reason="error"), "error"),
    "error-200": (_error(200, "the input is too long"), "error"),
    "html": (lambda _: HTMLResponse("<html>login</html>"), "error"),
    "not-json": (lambda _: Response("{not json", media_type="application/json"), "error"),
    "context": (_error(400, "the input length of 3700 is above 3584", code="context_length_exceeded"), "error"),
    "401": (_error(401, "no such key"), "error"),
    "500": (_error(500, "out of memory"), "error"),
    "429": (_error(429, "slow down"), "error"),
    "filter": (_message("content_filter", content="41"), "refused"),
    "filter-400": (_error(400, "withheld by policy", code="content_filter"), "refused"),
    "refusal": (_message(content=None, refusal="I would rather not."), "refused"),
}  # fmt: skip
"""Ways by name, and the status of an answer that is spoilt so."""

SAID = {
    "null": "came to its token limit", "think-open": "came to its token limit", "context": "input length of 3700",
    "error-200": "input is too long", "html": "<html>login", "401": "no such key", "500": "out of memory",
    "429": "slow down", "finish-error": "stopped with 'error'", "tool": "calls a tool", "filter": "content_filter",
    "filter-400": "withheld by policy", "refusal": "I would rather not.",
}  # fmt: skip
"""Words of a server that have to stand in the record."""

_MARK = re.compile(r"\[([\w-]+)@(\d)\]")


def marked(name: str, turn: int, text: str) -> str:
    """A question whose reply at a turn (0 the answer, 1 the check, 2 the answer after it) is to be spoilt so."""
    return f"{text} [{name}@{turn}]"


def spoil(request: dict[str, Any], reply: Reply) -> Any:
    """For ``FaultyServer.odd``: what the question asks for."""
    mark = _MARK.search(json.dumps(request["messages"][0]))
    if mark is None or len(request["messages"]) != 2 * int(mark[2]) + 1:
        return reply
    return SPOILT[mark[1]][0](reply)
