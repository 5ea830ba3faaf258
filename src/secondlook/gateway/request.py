"""Parts of a request that can be looked at twice, and reasons why others cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secondlook.correction.events import dumped
from secondlook.gateway.dialects import Dialect

EXTENSION = "secondlook"
"""A field of a request that asks us for something; it is never passed on."""

_ROLES = frozenset({"system", "developer", "user", "assistant"})
_TEXT = frozenset({"text", "input_text", "output_text"})
_IMAGE = frozenset({"image_url", "input_image", "image"})
_THOUGHT = frozenset({"thinking", "redacted_thinking"})


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for one answer in words, which can be looked at twice.

    Attributes:
        request: All of it but our extension, as it came.
        turns: Its conversation; the last turn is the user's.
        text: Text of that turn.
        model: Name of the model.
        stream: Whether the answer is to be streamed.
        transcript: Whether the client wants to see the conversation.
        asked: Whether the request has our extension, which is not passed on.
    """

    request: Mapping[str, Any]
    turns: tuple[Any, ...]
    text: str
    model: str
    stream: bool
    transcript: bool
    asked: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that is passed on.

    Attributes:
        reason: Why, in a word.
        model: Name of the model, if it has one.
        body: What is sent instead of what came; ``None`` sends that, byte for byte.
    """

    reason: str
    model: str | None = None
    body: bytes | None = None


def read_request(body: bytes, dialect: Dialect, *, images: bool = False) -> Chat | Passed:
    """Read a request for an answer.

    What is not understood is not judged here: it is passed on, and the upstream says what is wrong with it.

    Args:
        body: As it came.
        dialect: The interface it came by.
        images: Whether a question with images counts as one in words.
    """
    # On a body of nested brackets json raises RecursionError, which is no ValueError.
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return Passed("unreadable")
    if not isinstance(request, dict):
        return Passed("unreadable")
    asked, wanted = EXTENSION in request, request.pop(EXTENSION, None)
    model, turns = request.get("model"), request.get(dialect.turns)
    turns = [{"role": "user", "content": turns}] if isinstance(turns, str) and dialect.turns == "input" else turns
    if reason := dialect.unfit(request) or _unfit(request, turns, images=images):
        return Passed(reason, model if isinstance(model, str) else None, dumped(request) if asked else None)
    assert isinstance(turns, list)
    return Chat(
        request=request,
        turns=tuple(turns),
        text=_text(turns[-1]["content"]),
        model=str(model),
        stream=request.get("stream") is True,
        transcript=isinstance(wanted, dict) and wanted.get("transcript") is True,
        asked=asked,
    )


def _unfit(request: Mapping[str, Any], turns: Any, *, images: bool) -> str | None:
    """Reason why a request cannot be looked at twice."""
    if not isinstance(request.get("model"), str) or not isinstance(turns, list) or not turns:
        return "unreadable"
    if request.get("tools") or request.get("functions"):
        return "tools"
    if not isinstance(request.get("stream", False), bool | None):
        return "unreadable"
    for turn in turns:
        if reason := _unfit_turn(turn, images=images):
            return reason
    # The model is to continue the assistant's last turn, so no turn of ours can follow it.
    if turns[-1].get("role") != "user":
        return "prefill"
    return None if _text(turns[-1]["content"]).strip() else "unreadable"


def _unfit_turn(turn: Any, *, images: bool) -> str | None:
    if not isinstance(turn, dict):
        return "unreadable"
    kind = turn.get("type", "message")
    # Clients of responses send the model's earlier reasoning back as an item of its own.
    if kind == "reasoning":
        return None
    if kind != "message":
        return "tools" if "call" in str(kind) else "parts"
    if not isinstance(turn.get("role"), str):
        return "unreadable"
    if turn["role"] not in _ROLES or turn.get("tool_calls") or turn.get("function_call"):
        return "tools"
    content = turn.get("content")
    if not isinstance(content, str | list):
        return "unreadable"
    parts = content if isinstance(content, list) else []
    return next(filter(None, (_unfit_part(part, images=images) for part in parts)), None)


def _unfit_part(part: Any, *, images: bool) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        return "unreadable"
    if kind in _THOUGHT or (kind in _TEXT and isinstance(part.get("text"), str)):
        return None
    if kind in _IMAGE:
        return None if images else "images"
    return "audio" if kind == "input_audio" else "tools" if "tool" in kind else "parts"


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] in _TEXT)
