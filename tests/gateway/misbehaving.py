"""An upstream that misbehaves, as a process of its own: ``misbehaving.py PORT FILE SHARE``.

What happens to a call is drawn from the number its request carries and from how often that number was asked, so a run
can be repeated. Every call is appended to FILE before anything is answered: its number and what happened.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections import Counter

KINDS = ("refuses", "hangs", "drips", "cuts", "garbage", "odd", "429", "500", "503")
_NUMBER = re.compile(rb"number (\d+)")


def drawn(number: int, times: int, share: float) -> str:
    """What happens to a call."""
    digest = hashlib.sha256(f"{number}/{times}".encode()).digest()
    if int.from_bytes(digest[:4], "big") / 2**32 >= share:
        return "fine"
    return KINDS[digest[4] % len(KINDS)]


def answer(body: bytes, number: int) -> bytes:
    """A proper completion that names the number it was asked with."""
    asked = json.loads(body)
    last = asked["messages"][-1]["content"]
    text = "So.\nVerdict: correct" if "Verdict:" in last else f"number {number}"
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": str(number), "object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def events(number: int) -> list[bytes]:
    """The same as a stream."""
    chunk = {"id": str(number), "choices": [{"index": 0, "delta": {"content": f"number {number}"}}]}
    return [f"data: {json.dumps(chunk)}\n\n".encode(), b"data: [DONE]\n\n"]


async def serve(port: int, file: str, share: float) -> None:
    seen: Counter[int] = Counter()
    log = open(file, "a", buffering=1)  # noqa: SIM115, PTH123 - as long as the process

    def head(status: str, kind: str, length: int | None, more: str = "") -> bytes:
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{size}\r\n{more}\r\n".encode()

    def chunk(piece: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(piece), piece)

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bool:
        """Answer one call; whether the line stays."""
        match = _NUMBER.search(body)
        number = int(match[1]) if match else -1
        kind = drawn(number, seen[number], share) if match else "fine"
        seen[number] += 1
        log.write(f"{number} {kind}\n")
        stream = b'"stream": true' in body
        whole = answer(body, number) if match else b"{}"
        if kind == "refuses":
            return False
        if kind == "hangs":
            await reader.read(1)
            return False
        if kind == "garbage":
            writer.write(b"nothing of this is HTTP\r\n\r\n")
            return False
        if kind == "odd":
            writer.write(head("200 OK", "application/json", 9) + b"{not json")
            return True
        if kind in ("429", "503"):
            more = "retry-after: 0\r\n" if kind == "429" else ""
            writer.write(head(f"{kind} Later", "application/json", 2, more) + b"{}")
            return True
        if kind == "500":
            writer.write(head("500 Oh", "application/json", 2) + b"{}")
            return True
        if stream:
            first, last = events(number)
            writer.write(head("200 OK", "text/event-stream", None) + chunk(first))
            await writer.drain()
            if kind == "cuts":
                return False
            if kind == "drips":
                await asyncio.sleep(0.05)
            writer.write(chunk(last) + b"0\r\n\r\n")
            return True
        if kind == "cuts":
            writer.write(head("200 OK", "application/json", len(whole)) + whole[:20])
            return False
        if kind == "drips":
            writer.write(head("200 OK", "application/json", len(whole)))
            for at in range(0, len(whole), 40):
                writer.write(whole[at : at + 40])
                await writer.drain()
                await asyncio.sleep(0.01)
            return True
        writer.write(head("200 OK", "application/json", len(whole)) + whole)
        return True

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                top = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(top.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in top else 0
                body = await reader.readexactly(size)
                if not await call(reader, writer, body):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(line, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
