"""An upstream that answers at once: with a verdict where it is asked for one, with the same words where it is not."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

QUESTION, ANSWER, CRITIQUE = "word " * 40, "word " * 40, "It is not so.\nVerdict: wrong"


def conversation(answers: int) -> bytes:
    """A request that follows so many answers: 0 asks for one, 1 for its check, 2 for another."""
    turns = [{"role": "user", "content": QUESTION}]
    for number in range(answers):
        said = CRITIQUE if number % 2 else ANSWER
        turns += [{"role": "assistant", "content": said}, {"role": "user", "content": QUESTION}]
    return json.dumps({"model": "m", "messages": turns}).encode()


def _reply(text: str) -> bytes:
    body: dict[str, Any] = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 40, "total_tokens": 90},
    }  # fmt: skip
    said = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said)


class Instant(asyncio.Protocol):
    """A connection; which turn a request is for shows in the number of answers it holds."""

    replies = (_reply(ANSWER), _reply(CRITIQUE))

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            whole = end + 4 + (int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(self.replies[body.count(b'"assistant"') % 2])


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
