"""Real servers on loopback for tests of the gateway: an upstream that is told what to say, and the gateway itself."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from secondlook.gateway.app import build
from secondlook.gateway.settings import Settings


class Running:
    """An ASGI application served in a thread."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, **options)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started:
            assert self.thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)


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
    """An upstream that answers as `say` says: text, a dict (a whole body), or (status, headers, bytes or pieces)."""

    say: Say = lambda asked: "Hello."
    asked: list[Asked] = field(default_factory=list)
    cancelled: list[float] = field(default_factory=list)
    delay: float = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        asked = Asked(scope["method"], scope["raw_path"].decode() + query, headers, body)
        self.asked.append(asked)
        if self.delay:
            waiting = asyncio.ensure_future(receive())
            done, _ = await asyncio.wait([waiting], timeout=self.delay)
            if done:
                self.cancelled.append(time.monotonic())
                return
            waiting.cancel()
        status, head, content = whole(self.say(asked))
        raw = [(name.encode(), value.encode()) for name, value in head]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        if isinstance(content, bytes):
            await send({"type": "http.response.body", "body": content})
            return
        for piece in content:
            if piece is None:  # the line is cut
                return
            if isinstance(piece, float):
                waiting = asyncio.ensure_future(receive())
                done, _ = await asyncio.wait([waiting], timeout=piece)
                if done:
                    self.cancelled.append(time.monotonic())
                    return
                waiting.cancel()
                continue
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def completion(text: str | None, *, prompt: int = 10, generated: int = 2, **more: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text, **more}
    usage = {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}
    return {
        "id": "c1", "object": "chat.completion", "created": 5, "model": "m", "odd": {"kept": True}, "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }  # fmt: skip


def whole(said: Any) -> tuple[int, list[tuple[str, str]], Any]:
    if isinstance(said, tuple):
        return said
    body = json.dumps(completion(said) if isinstance(said, str) else said).encode()
    return 200, [("content-type", "application/json"), ("content-length", str(len(body)))], body


def script(*replies: Any) -> Say:
    """Says one thing after the other."""
    left = list(replies)
    return lambda _: left.pop(0)


class Pair:
    """An upstream and a gateway before it."""

    def __init__(self, say: Say | None = None, *, delay: float = 0.0, **settings: Any) -> None:
        self.upstream = Upstream(say or (lambda _: "Hello."), delay=delay)
        self.settings = settings

    def __enter__(self) -> Pair:
        self._behind = Running(self.upstream)
        self.direct = self._behind.__enter__()
        app, self.gateway = build(Settings(upstream=f"{self.direct}/v1", **self.settings))
        self._front = Running(app)
        self.address = self._front.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # Both at once: each takes a moment to notice.
        self._front.server.should_exit = self._behind.server.should_exit = True
        self._front.__exit__()
        self._behind.__exit__()
