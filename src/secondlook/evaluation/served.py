"""OpenAI-compatible servers as they are: asked as their models bear it, read by the rules of ``correction.reply``.

Inspect's providers hand the SDK's objects on, whatever stands in them; some of what servers say then ends as an answer
that was never given, or as a ``TypeError``. Here the SDK's call is replaced, so that Inspect is handed sound
completions alone; its retries, limits and logs stay its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from secondlook.correction.chat import Finish, ServerError, Usage, WithheldError
from secondlook.correction.events import read_events
from secondlook.correction.gathered import gathered
from secondlook.correction.parameters import adapted, repeated
from secondlook.correction.reply import ReadReply, choice_of, error_of, read_completion

_Asks = Callable[..., Awaitable[Any]]
_ENDS: Mapping[Finish, str | None] = {"stop": "stop", "length": "length", "filter": "content_filter", "other": None}
# Codes of an error: content_filter, content_policy_violation, and Azure's ResponsibleAIPolicyViolation.
_FILTERED = re.compile("content_?(filter|policy)|responsible", re.I)
_FINAL = frozenset({400, 403, 413, 422})  # statuses that Inspect takes for the model's own words
_MINDED = ("logprobs", "response_format", "json_schema", "structured_outputs", "guided_choice", "grammar")
"""Fields whose sender wants to know that they are refused (see :mod:`secondlook.correction.held`)."""
_SHOWN = 80


class Served:
    """Reader of a provider's server: asks for streams, and reads replies by our rules.

    Attributes:
        changes: What its model refuses: parameters that are left out or renamed, ``system``, and ``stream`` for a
            server that only streams, or never does.

    Args:
        silence: Seconds without a byte after which a request is given up; the client's own by default.
    """

    def __init__(self, silence: float | None = None) -> None:
        self.changes: list[str] = []
        self._silence = silence

    def attach(self, client: AsyncOpenAI) -> None:
        """Replace the call of chat completions."""
        completions = client.chat.completions
        # Taken before `create` is replaced, so it stays the SDK's own; a raw response leaves the body to be read here.
        asks = completions.with_raw_response.create

        async def create(**request: Any) -> ChatCompletion | _Chunks:
            pieces = self._pieces(asks, request)
            if request.get("stream") is True:
                return _Chunks(pieces)
            return [piece async for piece in pieces if piece is not None][-1]

        completions.create = create  # type: ignore[method-assign, assignment]

    async def _pieces(self, asks: _Asks, request: dict[str, Any]) -> AsyncIterator[ChatCompletion | None]:
        """Yield ``None`` as often as a piece comes, and then the completion."""
        response, made = await self._asked(asks, request)
        received = bytearray()
        try:
            async for piece in response.aiter_bytes():
                received += piece
                yield None  # a sign of life: Inspect's watch for silence begins anew
        except Exception as error:
            # The two that Inspect takes for passing, and asks again after.
            cut = APITimeoutError if "Timeout" in type(error).__name__ else APIConnectionError
            raise cut(request=response.request) from error
        finally:
            await response.aclose()
        body = _decoded(bytes(received), response.headers.get("content-type", ""))
        read = read_completion(body)
        if read.kind == "refused":
            raise WithheldError(read.said, read.usage or Usage(calls=1, untold=1))
        if read.kind == "error" and isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
            raise APIError(read.said, response.request, body=body["error"])  # Inspect knows which of them pass
        if read.kind in ("error", "call"):
            raise ServerError(read.said if isinstance(body, Mapping) else f"{read.said}: {str(body)[:_SHOWN]!r}")
        # An empty reply is handed on: the loop knows whether an answer or a check was asked for.
        yield _completion(read, body, made)

    async def _asked(self, asks: _Asks, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The response to a request, made again without what the model refuses in it."""
        made, tried = self._fitted(request), set[str]()
        while True:
            try:
                return (await asks(**made)).http_response, made
            except APIStatusError as error:
                body = _decoded(error.response.content, "")
                # What is refused again after its change is refused for good.
                if (change := _change(made, error.status_code, body)) is None or change in tried:
                    raise _final(error, body) from error
                tried.add(change)
                # Requests in flight together may find out the same.
                self.changes += [change] * (change not in self.changes)
                made = self._fitted(request)

    def _fitted(self, request: dict[str, Any]) -> dict[str, Any]:
        made = repeated(request, self.changes)
        if self._silence is not None:
            # The SDK's own limit, 600 seconds, would else cut a longer one short. httpx counts it from byte to byte.
            made.setdefault("timeout", self._silence)
        if "stream" in self.changes:
            made["stream"] = request.get("stream") is not True
        if made.get("stream") is True:
            # A stream tells its usage only if it is asked to.
            if "stream_options" not in self.changes:
                made.setdefault("stream_options", {"include_usage": True})
        else:
            made.pop("stream_options", None)
        return made


class _Chunks:
    """A completion as the SDK streams one: chunks that say nothing while it comes, and one that says all."""

    def __init__(self, pieces: AsyncIterator[ChatCompletion | None]) -> None:
        self._pieces = pieces

    async def __aenter__(self) -> _Chunks:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pieces.aclose()  # type: ignore[attr-defined]

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        async for piece in self._pieces:
            whole = {} if piece is None else piece.model_dump()
            choices = [{**choice, "delta": choice.pop("message")} for choice in whole.pop("choices", ())]
            whole |= {"object": "chat.completion.chunk", "choices": choices}
            yield ChatCompletionChunk.construct(**{"id": "", "created": 0, "model": "", **whole})


def as_served(api: object, silence: float | None = None) -> Served | None:
    """Have a provider that speaks OpenAI's chat completions ask and read so; any other is left as it is.

    Args:
        api: The provider.
        silence: As :class:`Served` takes it.
    """
    held = vars(api)
    # Inspect hands out one provider again and again: it is changed once.
    if "served" not in held and isinstance(held.get("client"), AsyncOpenAI):
        served, begin = Served(silence), api.initialize  # type: ignore[attr-defined]

        # Inspect begins anew with another client, e.g. after credentials have failed; that one is changed too.
        def initialize() -> None:
            begin()
            served.attach(api.client)  # type: ignore[attr-defined]

        served.attach(held["client"])
        held |= {"served": served, "initialize": initialize}
    return held.get("served")


def _change(request: Mapping[str, Any], status: int, body: object) -> str | None:
    """Parameter that a model refuses; ``None`` if the request is refused for another reason, or its sender minds."""
    said = error_of(body) or ""
    if any(name in said for name in _MINDED):
        return None
    if (changed := adapted(request, status, body)) is not None:
        return changed[1]
    refuses = status in (400, 422) and re.search(r"\bstream(s|ed|ing)?\b", said, re.I)
    return "stream" if refuses else None


def _final(error: APIStatusError, body: object) -> Exception:
    """Error that Inspect must not take for an answer; what it may ask again stays as it is."""
    if error.status_code not in _FINAL:
        return error
    said = error_of(body) or (body if isinstance(body, str) else "")[:_SHOWN] or "it does not say why"
    said = f"the server answered with status {error.status_code}: {said}"
    return WithheldError(said) if _FILTERED.search(str(error.code)) else ServerError(said, error.status_code)


def _decoded(received: bytes, kind: str) -> object:
    """A body as JSON; of a stream, what it amounts to; else its text."""
    if kind.startswith("text/event-stream") or received.lstrip().startswith((b"data:", b"event:")):
        return gathered(event.data for event in read_events(received))
    try:
        return json.loads(received)
    except (ValueError, RecursionError):
        return received.decode("utf-8", "replace")


def _completion(read: ReadReply, body: object, request: Mapping[str, Any]) -> ChatCompletion:
    """Completion in the form that every client knows."""
    assert isinstance(body, Mapping)
    message: dict[str, Any] = {"role": "assistant", "content": _whole(read.text)}
    if read.thoughts:
        message["reasoning_content"] = _whole(read.thoughts)
    choice = {"index": 0, "finish_reason": _ENDS[read.finish], "message": message}
    if request.get("logprobs") is True:
        choice["logprobs"] = (choice_of(body) or {}).get("logprobs")
    usage = read.usage and {
        "prompt_tokens": read.usage.input,
        "completion_tokens": read.usage.output,
        "total_tokens": read.usage.total,
        "prompt_tokens_details": {"cached_tokens": read.usage.cached},
    }
    name = body.get("model")
    return ChatCompletion.construct(
        id=str(body.get("id"))[:_SHOWN],  # of any length, and in the log of every call
        object="chat.completion",
        created=0,
        model=name if isinstance(name, str) else str(request.get("model")),
        choices=[choice],
        usage=usage,
    )


def _whole(text: str) -> str:
    """Text without halves of surrogate pairs, which no log can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
