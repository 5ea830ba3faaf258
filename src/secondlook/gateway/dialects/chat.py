"""OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from secondlook.correction.reply import ReadReply, read_completion
from secondlook.gateway.dialects.dialect import Dialect, broken_off
from secondlook.gateway.events import Event

_SHARED = ("id", "created", "model", "system_fingerprint", "service_tier")


class ChatCompletions(Dialect):
    """``/v1/chat/completions``."""

    path, turns, error = "/chat/completions", "messages", None
    held = True

    def unfit(self, request: Mapping[str, Any]) -> str | None:
        """Several answers at once, or one that is heard."""
        if request.get("n") not in (None, 1):
            return "n"
        heard = request.get("modalities") not in (None, ["text"]) or request.get("audio")
        return "audio" if heard else None

    def limited(self, request: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """By the name that the client uses."""
        return {"max_completion_tokens" if "max_completion_tokens" in request else "max_tokens": limit}

    def counted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """An option of the stream."""
        options = request.get("stream_options")
        return {"stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}}

    def read(self, body: object) -> ReadReply:
        """As an evaluation does."""
        return read_completion(body)

    def gathered(self, events: Iterable[Event]) -> dict[str, Any]:
        """All deltas of the first choice put together."""
        body: dict[str, Any] = {}
        message: dict[str, Any] = {}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
        ended = False
        for each in events:
            if not isinstance(each.data, dict):
                ended = ended or each.data.strip() == "[DONE]"
                continue
            if each.data.get("error"):
                return each.data
            body |= {name: value for name, value in each.data.items() if name != "choices" and value is not None}
            for found in each.data.get("choices") or ():
                if not isinstance(found, dict) or found.get("index", 0) != 0:
                    continue
                _merge(message, found.get("delta") or {})
                ended = ended or found.get("finish_reason") is not None
                more = {name: found[name] for name in ("logprobs", "finish_reason") if found.get(name) is not None}
                _merge(choice, more)
        if not ended:
            return broken_off()
        return {**body, "object": "chat.completion", "choices": [choice]}

    def streamed(self, body: Mapping[str, Any]) -> list[Event]:
        """One event for the message, and one for its end."""
        shared = {name: body[name] for name in _SHARED if name in body} | {"object": "chat.completion.chunk"}
        choices = body.get("choices")
        (choice, *_) = choices if isinstance(choices, list) and choices else ({},)
        end = {"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}
        message = {name: value for name, value in choice.get("message", {}).items() if value is not None}
        first = {"index": 0, "delta": message, "finish_reason": None}
        if choice.get("logprobs"):
            first["logprobs"] = choice["logprobs"]
        return [*(Event(None, {**shared, "choices": [each]}) for each in (first, end)), Event(None, "[DONE]")]

    def told(self, events: Iterable[Event], request: Mapping[str, Any], more: Mapping[str, Any]) -> Iterator[Event]:
        """The usage comes in an event of its own, if it is asked for."""
        chunks = [each for each in events if isinstance(each.data, dict)]
        spoken = [each for each in chunks if each.data.get("choices")]
        rest = {name: value for name, value in more.items() if name != "usage"}
        for each in spoken:
            data = {**each.data, **(rest if each is spoken[-1] else {})}
            if data.get("usage") and "usage" in more:
                data["usage"] = more["usage"]
            yield Event(each.name, data)
        options = request.get("stream_options")
        if isinstance(options, Mapping) and options.get("include_usage") and "usage" in more and chunks:
            yield Event(None, {**chunks[-1].data, "choices": [], "usage": more["usage"]})
        yield Event(None, "[DONE]")


def _parts(content: str | list[Any]) -> list[Any]:
    """Content in parts, which may begin as a string or go on as one."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _merge(into: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Put a delta to what came before: texts and lists grow, a call of a tool by its index."""
    for name, value in delta.items():
        before = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and isinstance(before, str) and name not in ("role", "finish_reason", "id", "type"):
            into[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            for each in value:
                at = each.get("index") if isinstance(each, dict) else None
                same = [b for b in before if at is not None and isinstance(b, dict) and b.get("index") == at]
                if same:
                    _merge(same[0], each)
                else:
                    before.append(each)
        elif isinstance(value, str | list) and isinstance(before, str | list):
            into[name] = [*_parts(before), *_parts(value)]
        elif isinstance(value, Mapping):
            into[name] = dict(before) if isinstance(before, Mapping) else {}
            _merge(into[name], value)
        else:
            into[name] = list(value) if isinstance(value, list) else value
