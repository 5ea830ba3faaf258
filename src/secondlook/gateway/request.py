"""What of a request can be looked at twice, and why not the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXTENSION = "secondlook"
"""A field of a request that asks us for something; it is never passed on."""

_ROLES = frozenset({"system", "developer", "user", "assistant"})


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for one answer in words, which can be looked at twice.

    Attributes:
        fields: All fields but the messages and our extension, as they came.
        earlier: The messages before the last, as they came.
        question: The last message, the user's, as it came.
        text: Its text.
        model: Name of the model.
        stream: Whether the answer is to be streamed.
        transcript: Whether the client wants to see the conversation.
        asked: Whether the request has our extension, which is not passed on.
    """

    fields: Mapping[str, Any]
    earlier: tuple[Mapping[str, Any], ...]
    question: Mapping[str, Any]
    text: str
    model: str
    stream: bool
    transcript: bool
    asked: bool

    def bare(self) -> bytes:
        """The request without our extension."""
        return dumped({**self.fields, "messages": [*self.earlier, self.question]})


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


def read_request(body: bytes, *, images: bool = False) -> Chat | Passed:
    """Read a chat request.

    What is not understood is not judged here: it is passed on, and the upstream says what is wrong with it.

    Args:
        body: As it came.
        images: Whether a question with images counts as one in words.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return Passed("unreadable")
    if not isinstance(request, dict):
        return Passed("unreadable")
    asked, wanted = EXTENSION in request, request.pop(EXTENSION, None)
    model = request.get("model")
    if reason := _unfit(request, images=images):
        return Passed(reason, model if isinstance(model, str) else None, dumped(request) if asked else None)
    *earlier, question = request.pop("messages")
    return Chat(
        fields=request,
        earlier=tuple(earlier),
        question=question,
        text=_text(question["content"]),
        model=str(model),
        stream=request.get("stream") is True,
        transcript=isinstance(wanted, dict) and wanted.get("transcript") is True,
        asked=asked,
    )


def dumped(value: Mapping[str, Any]) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _unfit(request: Mapping[str, Any], *, images: bool) -> str | None:
    """Why a request cannot be looked at twice."""
    messages = request.get("messages")
    if not isinstance(request.get("model"), str) or not isinstance(messages, list) or not messages:
        return "unreadable"
    if request.get("tools") or request.get("functions"):
        return "tools"
    if request.get("n") not in (None, 1):
        return "n"
    if request.get("modalities") not in (None, ["text"]) or request.get("audio"):
        return "audio"
    if not isinstance(request.get("stream", False), bool | None):
        return "unreadable"
    for message in messages:
        if reason := _unfit_message(message, images=images):
            return reason
    if messages[-1]["role"] != "user":
        return "prefill"
    return None if _text(messages[-1]["content"]).strip() else "unreadable"


def _unfit_message(message: Any, *, images: bool) -> str | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return "unreadable"
    if message["role"] not in _ROLES or message.get("tool_calls") or message.get("function_call"):
        return "tools"
    content = message.get("content")
    if not isinstance(content, str | list):
        return "unreadable"
    for part in content if isinstance(content, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        known = (kind == "text" and isinstance(part.get("text"), str)) or (kind == "image_url" and images)
        if not known:
            kind = kind if isinstance(kind, str) else None
            return {"image_url": "images", "input_audio": "audio", None: "unreadable"}.get(kind, "parts")
    return None


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")
