"""The HTTP client the gateway asks its upstream with, beside another: requests a second, many in flight, in turns."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
from traffic.servers import free_port, running, upstream
from traffic.upstream import conversation

IN_FLIGHT, SECONDS, ROUNDS = 50, 4.0, 3


async def _loop(ask: Callable[[], Awaitable[object]]) -> float:
    deadline, done = time.perf_counter() + SECONDS, 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            await ask()
            done += 1

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return done / SECONDS


async def with_aiohttp(url: str, body: bytes) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> bytes:
            async with session.post(url, data=body) as response:
                return await response.read()

        return await _loop(ask)


async def with_httpx(url: str, body: bytes) -> float:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as session:
        return await _loop(lambda: session.post(url, content=body))


def main() -> int:
    program, body = upstream(free_port()), conversation(0)
    url = f"http://127.0.0.1:{program.port}/v1/chat/completions"
    found = {"aiohttp": list[float](), "httpx": list[float]()}
    with running(program, {0}):
        for _ in range(ROUNDS):
            found["aiohttp"].append(asyncio.run(with_aiohttp(url, body)))
            found["httpx"].append(asyncio.run(with_httpx(url, body)))
    rates = {name: statistics.median(values) for name, values in found.items()}
    times = rates["aiohttp"] / rates["httpx"]
    told = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items())
    print(f"{IN_FLIGHT} in flight: {told}; aiohttp {times:.1f} times as many")
    return int(times < 1)


if __name__ == "__main__":
    sys.exit(main())
