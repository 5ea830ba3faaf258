"""An OpenAI-compatible server that misbehaves on demand, over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Messages = list[dict[str, Any]]
# The client repeats a request by itself a few times; it need not wait for that in a test.
_AT_ONCE = {"retry-after-ms": "1"}


class FaultyServer:
    """Answers every question with (A), examines every answer as biased, and does worse when told to.

    Attributes:
        asked: The conversations of all requests, in order.
        settings: What else stood in them.
        says: The reply to a conversation.
        odd: What comes in place of a sound reply, if anything: of the request and that reply.
    """

    def __init__(self) -> None:
        self.asked: list[Messages] = []
        self.settings: list[dict[str, Any]] = []
        self.says: Callable[[Messages], str] = _biased
        self.odd: Callable[[dict[str, Any], dict[str, Any]], Any] = _sound
        self._fault = ""
        self._times = 0
        self._where: Callable[[Messages], bool] = lambda _: True
        app = Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="critical",  # a fault that breaks the protocol is an error of the server's
            headers=[("connection", "close")],  # Inspect drops idle connections at the end of a run, unclosed
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> FaultyServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)

    @property
    def address(self) -> str:
        """Where it listens."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    def misbehave(self, fault: str, times: int = 10**9, where: Callable[[Messages], bool] = lambda _: True) -> None:
        """Fail so often, where the conversation is such."""
        self._fault, self._times, self._where = fault, times, where

    def heal(self) -> None:
        """Answer well again."""
        self._fault, self._times, self.says, self.odd = "", 0, _biased, _sound

    async def _complete(self, request: Request) -> Response:
        settings = await request.json()
        messages: Messages = settings.pop("messages")
        self.asked.append(messages)
        self.settings.append(settings)
        if self._times > 0 and self._where(messages):
            self._times -= 1
            return await self._misbehave()
        reply = self.odd({**settings, "messages": messages}, _completion(self.says(messages)))
        if isinstance(reply, Response):
            return reply
        if settings.get("stream") and reply is not None and reply.get("choices"):
            return Response(events(reply), media_type="text/event-stream")
        # Half a pair of surrogates is sent as the escape that it is.
        return Response(json.dumps(reply), media_type="application/json")

    async def _misbehave(self) -> Response:
        if self._fault.isdigit():
            return JSONResponse({"error": {"message": "so it is"}}, int(self._fault), _AT_ONCE)
        if self._fault == "hang":
            await asyncio.sleep(30)
        if self._fault == "truncated":
            return _Truncated()
        bodies = {
            "not json": "<html>Bad gateway</html>",
            "torn json": json.dumps(_completion("(A)"))[:-20],
            "other json": '"hello"',
            "no choice": json.dumps(_completion("(A)") | {"choices": []}),
            "empty": json.dumps(_completion("")),
            "white": json.dumps(_completion(" \n ")),
            "null": json.dumps(_completion(None)),
            "length": json.dumps(_completion("Well, it", "length")),
        }
        return Response(bodies.get(self._fault, ""), media_type="application/json")


class _Truncated(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "half', "more_body": False})


def _sound(request: dict[str, Any], reply: dict[str, Any]) -> Any:
    return reply


def events(reply: dict[str, Any]) -> str:
    """A reply as a stream: a chunk for the message, one for its end, one for what it cost."""
    shared = {name: value for name, value in reply.items() if name not in ("choices", "usage")}
    choices = [{"index": 0, "delta": choice["message"]} for choice in reply["choices"]]
    ends = [{"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")} for choice in reply["choices"]]
    chunks = [{**shared, "choices": choices}, {**shared, "choices": ends}]
    if "usage" in reply:
        chunks.append({**shared, "choices": [], "usage": reply["usage"]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def _biased(messages: Messages) -> str:
    return "Verdict: biased" if "Verdict:" in messages[-1]["content"] else "(A)"


def _completion(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
