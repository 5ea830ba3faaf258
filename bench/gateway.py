"""The gateway under ``never`` before an instant upstream, beside going direct, and beside another open proxy.

Gateway and proxy have a core of their own while they are measured; upstream and clients share the other. Open loop:
requests leave at fixed times, whether earlier ones were answered or not. Closed loop: so many are always in flight.
Memory: the gateway's, after a warm-up and at the end. The other proxy is LiteLLM's, if ``--litellm`` names its program.
First what a gate adds to the loop of a request; at last the HTTP client the gateway uses, beside another, as clients of
the same upstream.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import aiohttp
import httpx

from secondlook.correction import Completion, Message, ModelCritic, ModelInfo, Plan, Usage, run
from secondlook.correction.reply import likely_tokens
from secondlook.gate import Gate
from secondlook.gateway.conversation import OpenCase
from secondlook.prompts.prompt import load_prompt

RATE, SECONDS = 100, 15
IN_FLIGHT, LOOP_SECONDS, TURNS = 50, 8, 3
MANY = 100_000
MEDIAN_MS, P99_MS, PER_SECOND, GROWTH = 5.0, 25.0, 600.0, 0.05
GATED, GATE_MS, CRITIQUE = 500, 0.2, 200
_KEY = "sk-only-for-this-bench-0123456789abcdef"
BODY = b'{"model":"m","messages":[{"role":"user","content":"%s"}]}' % (b"word " * 40)
ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":50,"completion_tokens":40,"total_tokens":90}}'
    % (b"word " * 40)
)


class Instant(asyncio.Protocol):
    """An upstream that answers at once, whatever it is asked."""

    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            self.buffer = self.buffer[end + 4 + size :]
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(self.head + ANSWER)


class Line:
    """A client's connection; one request at a time."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        head = (
            "POST /v1/chat/completions HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
            f"authorization: Bearer {key}",
            f"content-length: {len(BODY)}",
        )
        self.request = "\r\n".join(head).encode() + b"\r\n\r\n" + BODY
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> float:
        """Seconds until a whole answer was there."""
        begun = time.perf_counter()
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        size = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(size)
        assert b"word word" in body
        return time.perf_counter() - begun


async def open_loop(port: int) -> list[float]:
    """Latencies of requests that leave at fixed times."""
    free: list[Line] = [Line(port, _KEY) for _ in range(20)]
    for line in free:
        await line.ask()
    begun, found = time.perf_counter() + 0.1, list[float]()

    async def one(number: int) -> None:
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        line = free.pop() if free else Line(port, _KEY)
        found.append(await line.ask())
        free.append(line)

    await asyncio.gather(*(one(number) for number in range(RATE * SECONDS)))
    return found


async def closed_loop(port: int, *, requests: int | None = None) -> float:
    """Requests a second with so many always in flight."""
    left = requests if requests is not None else sys.maxsize
    deadline = time.perf_counter() + (LOOP_SECONDS if requests is None else 3600)
    done = 0

    async def client() -> None:
        nonlocal left, done
        line = Line(port, _KEY)
        while left > 0 and time.perf_counter() < deadline:
            left -= 1
            await line.ask()
            done += 1

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    return done / (time.perf_counter() - begun)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, core: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server as a process of its own on one core."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        try:
            _wait(process, port, log)
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(log.read().decode()) from None
            time.sleep(0.1)
        else:
            return


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident megabytes."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def percentile(values: list[float], share: float) -> float:
    """A quantile by rank, in milliseconds."""
    return 1000 * sorted(values)[min(len(values) - 1, int(share * len(values)))]


def verdict(what: str, good: bool) -> bool:
    """Say a bound and whether it holds."""
    print(f"{what}: {'holds' if good else 'DOES NOT HOLD'}")
    return good


def latency(upstream: int, port: int) -> list[bool]:
    """What the gateway adds to a request, in turns with going direct."""
    direct, through = list[float](), list[float]()
    for _ in range(TURNS):
        direct += asyncio.run(open_loop(upstream))
        through += asyncio.run(open_loop(port))
    added = {share: percentile(through, share) - percentile(direct, share) for share in (0.5, 0.99)}
    print(f"open loop, {RATE}/s, {len(through)} requests each, in turns: direct / gateway / added, ms")
    for share, name in ((0.5, "median"), (0.99, "p99")):
        print(f"  {name:7} {percentile(direct, share):7.2f} {percentile(through, share):7.2f} {added[share]:7.2f}")
    return [
        verdict(f"added median at most {MEDIAN_MS:g} ms", added[0.5] <= MEDIAN_MS),
        verdict(f"added p99 at most {P99_MS:g} ms", added[0.99] <= P99_MS),
    ]


def flat(port: int, process: subprocess.Popen[bytes], many: int) -> bool:
    """Whether memory stays what it is."""
    asyncio.run(closed_loop(port, requests=many // 10))
    before = memory(process)
    asyncio.run(closed_loop(port, requests=many))
    growth = memory(process) / before - 1
    print(f"memory over {many:,} requests: {before:.1f} MB, then {100 * growth:+.1f}%")
    return verdict(f"memory flat within {100 * GROWTH:g}%", abs(growth) <= GROWTH)


def gate_cost() -> bool:
    """What a gate adds to the loop of one request: that of `p_wrong`, which reads the most, beside none."""
    words = ["word "] * CRITIQUE + ["Verdict", ":", " wrong"]
    told = [
        {"token": w, "logprob": -0.1, "top_logprobs": [{"token": w + "~" * k, "logprob": -k} for k in range(5)]}
        for w in words
    ]
    told[-1]["top_logprobs"] = [{"token": " wrong", "logprob": -0.4}, {"token": " correct", "logprob": -1.1}]
    text = "".join(words)
    body = {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": told}}]
    }
    file = load_prompt("own/binary-cot")

    class Model:
        info = ModelInfo("m")

        def __init__(self, likely: bool) -> None:
            self.likely = likely

        async def complete(self, messages: Sequence[Message], **_: object) -> Completion:
            likely = self.likely and messages[-1].content == file.check  # answers are not asked for it
            return Completion(text, Usage(1, 1, calls=1), tokens=likely_tokens(body) if likely else ())

    async def timed(plan: Plan, model: Model) -> float:
        begun = time.process_time()
        for number in range(GATED):
            transcript = await run(model, ModelCritic(model), OpenCase(str(number), "Why?", file), plan)
            assert len(transcript.rounds) == 2, transcript.error
        return 1000 * (time.process_time() - begun) / GATED

    plain, gated = Plan(elicit="auto"), Plan(elicit="auto", stop="gate", gate=Gate("p_wrong", 0.5), confidence=True)
    pairs = [(asyncio.run(timed(plain, Model(False))), asyncio.run(timed(gated, Model(True)))) for _ in range(TURNS)]
    without, with_gate = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"loop of a request, a critique of {CRITIQUE} tokens: {without:.3f} ms, under a gate {with_gate:.3f} ms")
    return verdict(f"a gate adds at most {GATE_MS:g} ms", with_gate - without <= GATE_MS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--litellm", help="LiteLLM's program, in an environment of its own")
    parser.add_argument("--gate", action="store_true", help="what a gate adds, and no more")
    parser.add_argument("--quick", action="store_true", help="rates alone: no latencies, no memory")
    options = parser.parse_args()
    if options.gate:
        return int(not gate_cost())
    cores = sorted(os.sched_getaffinity(0))
    own, other = cores[0], cores[-1]
    os.sched_setaffinity(0, {other})
    upstream, port = free_port(), free_port()
    behind = [sys.executable, __file__, "upstream", str(upstream)]
    gateway = [
        str(Path(sys.executable).with_name("secondlook")), "serve", "--upstream", f"http://127.0.0.1:{upstream}/v1",
        "--policy", "never", "--port", str(port), "--quiet",
    ]  # fmt: skip
    held = [gate_cost()]
    with running(behind, upstream, other):
        with running(gateway, port, own) as process:
            asyncio.run(closed_loop(port, requests=2000))
            held += [] if options.quick else latency(upstream, port)
            rates = [(asyncio.run(closed_loop(upstream)), asyncio.run(closed_loop(port))) for _ in range(TURNS)]
            direct, ours = (statistics.median(column) for column in zip(*rates, strict=True))
            print(f"closed loop, {IN_FLIGHT} in flight, one core: direct {direct:,.0f}/s, gateway {ours:,.0f}/s")
            held.append(verdict(f"at least {PER_SECOND:g} requests/s", ours >= PER_SECOND))
            held += [] if options.quick else [flat(port, process, MANY)]
        if options.litellm:
            beside(options.litellm, upstream, own, ours)
        clients(upstream)
    return int(not all(held))


def beside(program: str, upstream: int, core: int, ours: float) -> None:
    """LiteLLM's proxy on the same work."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(
            "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n      api_key: k\n"
            f"      api_base: http://127.0.0.1:{upstream}/v1\n"
            f"general_settings:\n  master_key: {_KEY}\n"
        )
        with running([program, "--config", str(config), "--port", str(port)], port, core):
            time.sleep(10)  # it goes on loading after it listens
            asyncio.run(closed_loop(port, requests=300))
            rate = statistics.median(asyncio.run(closed_loop(port)) for _ in range(TURNS))
    print(f"LiteLLM's proxy on the same work: {rate:,.0f}/s; the gateway carries {ours / rate:.1f} times as many")


def clients(upstream: int) -> None:
    """Requests a second of HTTP clients, each in turn in this process."""
    url = f"http://127.0.0.1:{upstream}/v1/chat/completions"

    async def loop(ask: Callable[[], Awaitable[object]]) -> float:
        deadline, done = time.perf_counter() + LOOP_SECONDS / 2, 0

        async def one() -> None:
            nonlocal done
            while time.perf_counter() < deadline:
                await ask()
                done += 1

        await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
        return done / (LOOP_SECONDS / 2)

    async def with_aiohttp() -> float:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask() -> bytes:
                async with session.post(url, data=BODY) as response:
                    return await response.read()

            return await loop(ask)

    async def with_httpx() -> float:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(limits=limits) as session:
            return await loop(lambda: session.post(url, content=BODY))

    found = {"aiohttp": list[float](), "httpx": list[float]()}
    for _ in range(TURNS):
        found["aiohttp"].append(asyncio.run(with_aiohttp()))
        found["httpx"].append(asyncio.run(with_httpx()))
    rates = {name: statistics.median(values) for name, values in found.items()}
    print(
        f"as clients, {IN_FLIGHT} in flight: aiohttp {rates['aiohttp']:,.0f}/s, httpx {rates['httpx']:,.0f}/s, "
        f"{rates['aiohttp'] / rates['httpx']:.1f} times as many"
    )


async def serve_instantly(port: int) -> None:
    """The upstream's own process."""
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["upstream"]:
        asyncio.run(serve_instantly(int(sys.argv[2])))
    sys.exit(main())
