"""Clients over bare sockets: requests that leave at fixed times, and so many that are always in flight."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Work:
    """What a client wants: one answer, for which it makes some requests, one after the other.

    Attributes:
        port: Of the server.
        bodies: Of the requests.
        headers: Of each of them.
        told: What the head of the last reply has to say.
    """

    port: int
    bodies: Sequence[bytes]
    headers: Sequence[str] = ()
    told: bytes = b""

    def requests(self) -> list[bytes]:
        """The requests as bytes, as they are sent."""
        lines = (
            "POST /v1/chat/completions HTTP/1.1",
            "host: 127.0.0.1",
            "content-type: application/json",
            *self.headers,
        )
        head = "\r\n".join(lines).encode()
        return [b"%s\r\ncontent-length: %d\r\n\r\n%s" % (head, len(body), body) for body in self.bodies]


@dataclass
class Seen:
    """Seconds that answers took, and how many requests had none."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


class Line:
    """A client's connection."""

    def __init__(self, work: Work, seen: Seen) -> None:
        self.work, self.seen = work, seen
        self.requests = work.requests()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        """Make the requests of one answer, and note how long it took."""
        begun = time.perf_counter()
        try:
            for request in self.requests:
                head, body = await self._one(request)
                if not head.startswith(b"HTTP/1.1 200") or b'"choices"' not in body:
                    raise ConnectionError((head + body).decode(errors="replace"))
            if self.work.told not in head:
                raise ConnectionError(head.decode(errors="replace"))
        except (OSError, asyncio.IncompleteReadError) as error:
            if not self.seen.failed:
                print(f"    an answer failed: {' '.join(str(error).split())[:300]}")
            self.seen.failed += 1
            self.close()
            await asyncio.sleep(0.1)
        else:
            self.seen.seconds.append(time.perf_counter() - begun)

    async def _one(self, request: bytes) -> tuple[bytes, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.work.port)
        reader, writer = self.streams
        writer.write(request)
        # Names of headers have any case, the status line has one. What `Work.told` looks for is in lower case, too.
        head = (await reader.readuntil(b"\r\n\r\n")).lower().replace(b"http/1.1", b"HTTP/1.1", 1)
        if b"\r\ncontent-length:" in head:
            body = await reader.readexactly(int(head.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0]))
        else:
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]  # a chunk ends with a line break of two bytes
            await reader.readline()
        if b"\r\nconnection: close" in head:
            self.close()
        return head, body

    def close(self) -> None:
        """Ask no more over it."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def open_loop(work: Work, rate: float, seconds: float) -> Seen:
    """Ask at fixed times, whether earlier ones were answered or not."""
    seen = Seen()
    free = [Line(work, Seen()) for _ in range(20)]
    for line in free:  # connections stand before the first is timed
        await line.ask()
        line.seen = seen
    every, begun = list(free), time.perf_counter() + 0.1

    async def one(number: int) -> None:
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        if free:
            line = free.pop()
        else:
            every.append(line := Line(work, seen))
        await line.ask()
        free.append(line)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    for line in every:
        line.close()
    return seen


async def closed_loop(
    work: Work, in_flight: int, *, seconds: float = 3600, answers: int = sys.maxsize
) -> tuple[float, int]:
    """Ask with so many always in flight, for so long or so often; answers a second, and how many requests had none."""
    seen, left, deadline = Seen(), answers, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal left
        line = Line(work, seen)
        while left > 0 and time.perf_counter() < deadline:
            left -= 1
            await line.ask()
        line.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(in_flight)))
    return len(seen.seconds) / (time.perf_counter() - begun), seen.failed


def percentile(seconds: list[float], share: float) -> float:
    """A quantile by rank, in milliseconds."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else float("nan")
