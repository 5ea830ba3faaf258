"""Real servers on loopback for tests of the gateway: an upstream that is told what to say, and the gateway itself."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from secondlook.gateway.app import build
from secondlook.gateway.settings import GatewaySettings


def until(true: Callable[[], Any]) -> Any:
    """Wait for an event, and give what it gives; a test that waits for it in vain fails."""
    deadline = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


HTTP = httpx.Client(timeout=60, verify=False)
"""One client for all tests: making one takes longer than most of what it asks."""


class Running:
    """An ASGI application served in a thread."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, **options)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive())
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)


class Stage:
    """A server that stays for all tests, and serves what each puts on it."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.address = Running(self, lifespan="off").__enter__()
        HTTP.get(self.address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        if self.app is not None:
            await self.app(scope, receive, send)


@cache
def stages() -> tuple[Stage, Stage]:
    """One for upstreams, one for gateways."""
    return Stage(), Stage()


@dataclass
class Asked:
    """A request as the upstream got it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


Say = Callable[[Asked], Any]


@dataclass
class Upstream:
    """An upstream that answers as `say` says: text, a dict (a whole body), or (status, headers, bytes or pieces).

    A piece may be a number of seconds, or an event, that is waited for; after `None` the line is cut. While `held`, no
    answer begins.
    """

    say: Say = lambda asked: "Hello."
    asked: list[Asked] = field(default_factory=list)
    gone: int = 0
    held: threading.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body")
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        asked = Asked(scope["method"], scope["raw_path"].decode() + query, headers, body)
        self.asked.append(asked)
        left = asyncio.ensure_future(receive())

        async def stays(wait: threading.Event | float | None) -> bool:
            """Whether the client is still there after a wait."""
            end = time.monotonic() + (wait if isinstance(wait, float) else 0.0 if wait is None else 1e9)
            while time.monotonic() < end and not (isinstance(wait, threading.Event) and wait.is_set()):
                if (await asyncio.wait([left], timeout=0.01))[0]:
                    self.gone += 1
                    return False
            return True

        try:
            if not await stays(self.held):
                return
            status, head, content = whole(self.say(asked))
            raw = [(name.encode(), value.encode()) for name, value in head]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            for piece in [content] if isinstance(content, bytes) else content:
                if piece is None:
                    return
                if isinstance(piece, bytes):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                elif not await stays(piece):
                    return
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()


def completion(text: str | None, *, prompt: int = 10, generated: int = 2, **more: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text, **more}
    usage = {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}
    return {
        "id": "c1", "object": "chat.completion", "created": 5, "model": "m", "odd": {"kept": True}, "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }  # fmt: skip


def streamed(said: Any, **head: str) -> tuple[int, list[tuple[str, str]], list[bytes]]:
    """A chat completion as the stream that OpenAI's server makes of it."""
    body = completion(said) if isinstance(said, str) else said
    shared = {"id": body["id"], "object": "chat.completion.chunk", "created": 5, "model": "m"}
    text = body["choices"][0]["message"]["content"]
    deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in re.findall(r"\S+\s*", text)), {}]
    chunks = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    chunks.append({**shared, "choices": [], "usage": body["usage"]})
    pieces = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return 200, [("content-type", "text/event-stream"), *head.items()], [*pieces, b"data: [DONE]\n\n"]


def whole(said: Any) -> tuple[int, list[tuple[str, str]], Any]:
    if isinstance(said, tuple):
        return said
    body = json.dumps(completion(said) if isinstance(said, str) else said).encode()
    return 200, [("content-type", "application/json"), ("content-length", str(len(body)))], body


def script(*replies: Any) -> Say:
    """Says one thing after the other."""
    left = list(replies)
    return lambda _: left.pop(0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pair:
    """An upstream and a gateway before it."""

    def __init__(self, say: Say | None = None, *, held: bool = False, **settings: Any) -> None:
        self.upstream = Upstream(say or (lambda _: "Hello."), held=threading.Event() if held else None)
        self._behind, self._front = stages()
        self.direct, self.address = self._behind.address, self._front.address
        self._settings = {"upstream": f"{self.direct}/v1"} | settings
        self._end = asyncio.Event()

    def __enter__(self) -> Pair:
        self._before = self._behind.app, self._front.app
        app, self.gateway = build(GatewaySettings(**self._settings))
        started = threading.Event()

        async def run() -> None:
            async with self.gateway.running():
                started.set()
                await self._end.wait()

        self._running = asyncio.run_coroutine_threadsafe(run(), self._front.loop)
        assert started.wait(60)
        self._behind.app, self._front.app = self.upstream, app
        return self

    def __exit__(self, *_: object) -> None:
        self._behind.app, self._front.app = self._before
        self._front.loop.call_soon_threadsafe(self._end.set)
        self._running.result(60)
