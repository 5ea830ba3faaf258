"""OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from secondlook.correction.events import Event
from secondlook.correction.gathered import gathered
from secondlook.correction.reply import ReadReply, read_completion
from secondlook.gateway.dialects.dialect import Dialect

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
        """Request with a limit of tokens, by the name that the client uses."""
        return {"max_completion_tokens" if "max_completion_tokens" in request else "max_tokens": limit}

    def counted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """An option of the stream."""
        options = request.get("stream_options")
        return {"stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}}

    def read(self, body: object) -> ReadReply:
        """Read a reply by the rules of an evaluation."""
        return read_completion(body)

    def gathered(self, events: Iterable[Event]) -> dict[str, Any]:
        """All deltas of the first choice put together."""
        return gathered(each.data for each in events)

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
        # The upstream's own event of usage has no choices and counts one call. It is left out; one for all calls ends
        # the stream, if the client asked for it.
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
