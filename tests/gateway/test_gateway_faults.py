"""An upstream that misbehaves under many clients: every request is answered by the rule, none is lost or made up."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import pytest
from misbehaving import drawn

from secondlook.gateway.audit import query

SHARE = 0.2
RETRIES = 2
FREE = ("429", "503")
"""What the gateway asks again, of what this upstream does: a line that broke after it stood may have been billed."""
BROKEN = {"refuses": 502, "hangs": 504, "cuts": 502, "garbage": 502}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(*command):
    with subprocess.Popen([sys.executable, *map(str, command)], stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def await_port(port, running):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert running.poll() is None, running.stderr.read()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not come up")


@dataclass
class Scene:
    address: str
    gateway: subprocess.Popen
    audit: Path
    calls: Path

    def asked(self):
        """What the upstream was asked, by number: what happened to each call."""
        found = defaultdict(list)
        for line in self.calls.read_text().splitlines():
            number, kind, *_ = line.split()
            if kind != "gone":
                found[int(number)].append(kind)
        return found


@contextmanager
def scene(folder, *, share=SHARE, **settings):
    """A misbehaving upstream and a gateway before it, each a process of its own."""
    behind, front = free_port(), free_port()
    calls, audit, config = folder / "calls.txt", folder / "audit.db", folder / "gateway.toml"
    calls.touch()
    settings = {"timeout": 1.0, "retries": RETRIES, "audit_file": str(audit), "max_in_flight": 400} | settings
    lines = [
        f"upstream = 'http://127.0.0.1:{behind}/v1'",
        *(f"{name} = {json.dumps(v)}" for name, v in settings.items()),
    ]
    config.write_text("\n".join(lines))
    upstream = (Path(__file__).with_name("misbehaving.py"), behind, calls, share)
    serve = ("-m", "secondlook.cli", "serve", "--config", config, "--port", front, "--quiet")
    with process(*upstream) as one, process(*serve) as other:
        await_port(behind, one)
        await_port(front, other)
        yield Scene(f"http://127.0.0.1:{front}", other, audit, calls)


def body(number, *, stream=False):
    chat = {"model": "m", "messages": [{"role": "user", "content": f"number {number}"}]}
    return json.dumps({**chat, "stream": True} if stream else chat).encode()


@dataclass
class Got:
    """What a client got: a status, the row's id, whether the answer was whole, and what it said."""

    status: int
    id: str | None
    whole: bool
    text: str
    said: str | None = None


async def flood(address, numbers, clients=200, *, stream=lambda number: False):
    """Many clients; each number is asked once."""
    left, found = list(reversed(numbers)), {}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as session:

        async def client():
            while left:
                number = left.pop()
                data = body(number, stream=stream(number))
                status, name, said, parts, whole = 0, None, None, b"", False
                try:
                    async with session.post(f"{address}/v1/chat/completions", data=data) as response:
                        status, name = response.status, response.headers.get("x-secondlook-id")
                        said = response.headers.get("x-secondlook-status")
                        async for part in response.content.iter_any():
                            parts += part
                        whole = True
                except aiohttp.ClientError:
                    pass
                found[number] = Got(status, name, whole, parts.decode(), said)

        await asyncio.gather(*(client() for _ in range(clients)))
    return found


def expected_pass(number, *, stream):
    """By the documented rule, for a request that is passed on: calls made, status, whether the answer is whole."""
    for attempt in range(RETRIES + 1):
        kind = drawn(number, attempt, SHARE)
        if kind not in FREE or attempt == RETRIES:
            break
    calls = attempt + 1
    if kind in FREE or kind == "500":
        return calls, int(kind), True
    if stream and kind == "cuts":
        return calls, 200, False
    return calls, BROKEN.get(kind, 200), True


def check_rows(where, found):
    """One row for each request, with what its client was told."""
    rows = {row["id"]: row for row in query(where.audit)}
    assert len(rows) == len(found)
    for number, got in found.items():
        row = rows[got.id]
        assert row["outcome"] == (got.status if got.whole else 502), number
    return rows


def passed_on(where, count):
    def streams(number):
        return number % 4 == 0

    found = asyncio.run(flood(where.address, range(count), stream=streams))
    assert len(found) == count
    asked = where.asked()
    rows = check_rows(where, found)
    for number, got in found.items():
        calls, status, whole = expected_pass(number, stream=streams(number))
        assert (got.status, got.whole) == (status, whole), (number, asked[number], got)
        assert len(asked[number]) == calls == rows[got.id]["calls"]
        if status == 200 and whole and asked[number][-1] != "odd":
            assert f"number {number}" in got.text
            assert (streams(number) and got.text.endswith("data: [DONE]\n\n")) or json.loads(got.text)
        elif status != 200 and asked[number][-1] in BROKEN:
            assert json.loads(got.text)["error"]["code"].startswith("upstream_")
            assert rows[got.id]["unanswered"] == 1
    return asked


def test_passed_on_under_faults(tmp_path):
    with scene(tmp_path, policy="never") as where:
        asked = passed_on(where, 800)
    assert len({kind for kinds in asked.values() for kind in kinds}) == 10  # every fault there is, and none


def looked_at(where, count):
    found = asyncio.run(flood(where.address, range(count)))
    assert len(found) == count
    asked = where.asked()
    rows = check_rows(where, found)
    told = Counter()
    for number, got in found.items():
        row = rows[got.id]
        assert len(asked[number]) == row["calls"], (number, asked[number], row)
        assert got.whole
        told[got.said] += 1
        ends = [kind for index, kind in enumerate(asked[number]) if kind not in FREE or index == len(asked[number]) - 1]
        if got.said in ("kept", "corrected"):
            assert json.loads(got.text)["choices"][0]["message"]["content"] == f"number {number}"
            assert len(ends) == 3  # an answer, a check, an answer
            assert set(ends) <= {"fine", "drips"}
        elif got.status == 200 and got.said == "failed":
            # The first answer was there, and is the answer; what failed came after it.
            assert json.loads(got.text)["choices"][0]["message"]["content"] == f"number {number}"
            assert ends[0] in ("fine", "drips")
            assert ends[-1] not in ("fine", "drips")
        else:
            assert got.status in (200, 429, 500, 502, 503, 504), got
            assert asked[number][-1] not in ("fine", "drips")
    assert told["kept"] > 0.4 * count
    assert told["failed"] > 0.05 * count


def test_looked_at_under_faults(tmp_path):
    with scene(tmp_path, policy="always") as where:
        looked_at(where, 500)


@pytest.mark.soak
def test_twenty_thousand_requests(tmp_path):
    for policy, check, count in (("never", passed_on, 14_000), ("always", looked_at, 6_000)):
        folder = tmp_path / policy
        folder.mkdir()
        with scene(folder, policy=policy) as where:
            check(where, count)


def test_what_a_client_has_received_is_in_the_log_after_a_kill(tmp_path):
    """kill -9 under load: every answer that came whole has its row, and the database is sound."""
    with scene(tmp_path, share=0.0, policy="never") as where:

        async def load():
            asking = asyncio.create_task(flood(where.address, range(100_000), clients=50))
            await asyncio.sleep(2.0)
            # The log cannot be written for a moment before the end: what is answered meanwhile would be missing in it.
            held = sqlite3.connect(where.audit, isolation_level=None)
            held.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(0.5)
            os.kill(where.gateway.pid, signal.SIGKILL)
            held.execute("ROLLBACK")
            held.close()
            # The clients that are left fail at once, one after the other; a hundred thousand of them take too long.
            await asyncio.sleep(0.5)
            asking.cancel()
            return asking

        got = {}
        original = Got.__init__

        def noted(self, *args, **named):
            original(self, *args, **named)
            if self.whole and self.status == 200:
                got[self.id] = self

        Got.__init__ = noted
        try:
            asyncio.run(load())
        finally:
            Got.__init__ = original
        assert len(got) > 200
        with sqlite3.connect(where.audit) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = {name for (name,) in database.execute("SELECT id FROM requests")}
        database.close()
        assert set(got) <= rows


def test_the_last_requests_are_answered_and_no_new_ones_taken(tmp_path):
    """SIGTERM while requests are in flight."""
    numbers = [number for number in range(3000) if drawn(number, 0, 1.0) == "drips"][:20]
    with scene(tmp_path, share=1.0, policy="never") as where:

        async def end():
            asking = asyncio.create_task(flood(where.address, numbers, clients=20))
            while len(where.asked()) < 20:
                await asyncio.sleep(0.01)
            where.gateway.send_signal(signal.SIGTERM)
            return await asking

        found = asyncio.run(end())
        assert all(got.status == 200 and got.whole for got in found.values())
        assert where.gateway.wait(timeout=20) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{where.address}/healthz")
        assert len(query(where.audit)) == 20


@pytest.mark.parametrize("policy", ["never", "always"])
def test_a_client_that_goes_away_takes_its_call_with_it(tmp_path, policy):
    number = next(number for number in range(1000) if drawn(number, 0, 1.0) == "hangs")
    with scene(tmp_path, share=1.0, policy=policy, timeout=30.0) as where:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{where.address}/v1/chat/completions", content=body(number), timeout=0.5)
        deadline = time.monotonic() + 5
        while "gone" not in where.calls.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        (gone,) = [line for line in where.calls.read_text().splitlines() if "gone" in line]
        assert float(gone.split()[2]) < 1.5
        time.sleep(0.2)
        (row,) = query(where.audit)
        # The call was made and may be billed, though nobody waited for its answer.
        assert (row["outcome"], row["calls"], row["unanswered"]) == (499, 1, 1)
