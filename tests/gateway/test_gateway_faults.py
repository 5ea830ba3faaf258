"""An upstream that misbehaves under many clients: every request is answered by the rule, none is lost or made up."""

import asyncio
import json
import signal
import sqlite3
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import pytest
from deployed import Deployed, deployed, process
from misbehaving import drawn
from servers import free_port

from secondlook.gateway.audit import query

SHARE = 0.2
RETRIES = 2
FREE = ("429", "503")
"""What the gateway asks again, of what this upstream does: a line that broke after it stood may have been billed."""
BROKEN = {"refuses": 502, "hangs": 504, "cuts": 502, "garbage": 502}
GOOD = ("fine", "drips")


@dataclass
class Scene:
    gateway: Deployed
    audit: Path
    calls: Path

    def asked(self):
        """What the upstream was asked, by number: what happened to each call."""
        found = defaultdict(list)
        for line in self.calls.read_text().splitlines():
            number, kind = line.split()
            found[int(number)].append(kind)
        return found


@contextmanager
def scene(folder, *, share=SHARE, **settings):
    """A misbehaving upstream and a gateway before it, each a process of its own."""
    behind, calls, audit = free_port(), folder / "calls.txt", folder / "audit.db"
    calls.touch()
    settings = {"timeout": 3.0, "retries": RETRIES, "audit_file": str(audit), "max_in_flight": 400} | settings
    upstream = (Path(__file__).with_name("misbehaving.py"), behind, calls, share)
    with (
        process(folder / "upstream.log", behind, *upstream),
        deployed(folder, "--quiet", upstream=f"http://127.0.0.1:{behind}/v1", **settings) as gateway,
    ):
        yield Scene(gateway, audit, calls)


@dataclass
class Got:
    """What a client got: a status, the row's id, whether the answer was whole, and what it said."""

    status: int = 0
    id: str | None = None
    whole: bool = False
    text: str = ""
    said: str | None = None


@asynccontextmanager
async def flood(address, numbers, clients=200, *, stream=lambda number: False):
    """Many clients, each number asked once: what they got so far, by number, and the task that asks."""
    left, found = list(reversed(numbers)), {}

    async def client(session):
        while left:
            number, got = left.pop(), Got()
            chat = {"model": "m", "messages": [{"role": "user", "content": f"number {number}"}]}
            body = json.dumps(chat | ({"stream": True} if stream(number) else {})).encode()
            try:
                async with session.post(f"{address}/chat/completions", data=body) as response:
                    got.status, got.id = response.status, response.headers.get("x-secondlook-id")
                    got.said = response.headers.get("x-secondlook-status")
                    async for part in response.content.iter_any():
                        got.text += part.decode()
                    got.whole = True
            except aiohttp.ClientError:
                pass
            found[number] = got

    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        asking = asyncio.gather(*(client(session) for _ in range(clients)))
        yield found, asking
        asking.cancel()


def answers(*arguments, **options):
    """What all clients got in the end."""

    async def ask():
        async with flood(*arguments, **options) as (found, asking):
            await asking
        return found

    return asyncio.run(ask())


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


def check_rows(where, found, count):
    """One row for each request, with what its client was told."""
    rows = {row["id"]: row for row in query(where.audit)}
    assert len(rows) == len(found) == count
    for number, got in found.items():
        assert rows[got.id]["outcome"] == (got.status if got.whole else 502), number
    return rows


def passed_on(where, count):
    def streams(number):
        return number % 4 == 0

    found = answers(where.gateway.address, range(count), stream=streams)
    asked, rows = where.asked(), check_rows(where, found, count)
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
    assert len({kind for kinds in asked.values() for kind in kinds}) == 10  # every fault there is, and none


def looked_at(where, count):
    found = answers(where.gateway.address, range(count))
    asked, rows, told = where.asked(), check_rows(where, found, count), Counter()
    for number, got in found.items():
        assert len(asked[number]) == rows[got.id]["calls"], (number, asked[number], rows[got.id])
        assert got.whole
        told[got.said] += 1
        ends = [kind for index, kind in enumerate(asked[number]) if kind not in FREE or index == len(asked[number]) - 1]
        if got.said in ("kept", "corrected"):
            assert json.loads(got.text)["choices"][0]["message"]["content"] == f"number {number}"
            assert len(ends) == 3  # an answer, a check, an answer
            assert set(ends) <= set(GOOD)
        elif got.status == 200 and got.said == "failed":
            # The first answer was there, and is the answer; what failed came after it.
            assert json.loads(got.text)["choices"][0]["message"]["content"] == f"number {number}"
            assert ends[0] in GOOD
            assert ends[-1] not in GOOD
        else:
            assert got.status in (200, 429, 500, 502, 503, 504), got
            assert asked[number][-1] not in GOOD
    assert told["kept"] > 0.4 * count
    assert told["failed"] > 0.05 * count


@pytest.mark.parametrize(("policy", "check", "count"), [("never", passed_on, 800), ("always", looked_at, 400)])
def test_under_faults(tmp_path, policy, check, count):
    with scene(tmp_path, policy=policy) as where:
        check(where, count)


@pytest.mark.soak
@pytest.mark.parametrize(("policy", "check", "count"), [("never", passed_on, 14_000), ("always", looked_at, 6_000)])
def test_twenty_thousand_requests(tmp_path, policy, check, count):
    with scene(tmp_path, policy=policy) as where:
        check(where, count)


def test_what_a_client_has_received_is_in_the_log_after_a_kill(tmp_path):
    """kill -9 under load: every answer that came whole has its row, and the database is sound."""
    with scene(tmp_path, share=0.0, policy="never") as where:

        async def load():
            async with flood(where.gateway.address, range(100_000), clients=50) as (found, _):
                while len(found) < 200:
                    await asyncio.sleep(0.01)
                # From here the log cannot be written: what is answered all the same would be missing in it.
                with closing(sqlite3.connect(where.audit, isolation_level=None)) as held:
                    held.execute("BEGIN IMMEDIATE")
                    before = len(where.asked())
                    while len(where.asked()) < before + 20:
                        await asyncio.sleep(0.01)
                    where.gateway.process.kill()
                    where.gateway.process.wait()
                    await asyncio.sleep(0.1)  # what was on its way is there
                    return {got.id for got in found.values() if got.whole and got.status == 200}

        got = asyncio.run(load())
        assert len(got) >= 200
        with closing(sqlite3.connect(where.audit)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert got <= {name for (name,) in database.execute("SELECT id FROM requests")}


def test_the_last_requests_are_answered_and_no_new_ones_taken(tmp_path):
    """SIGTERM while requests are in flight."""
    numbers = [number for number in range(3000) if drawn(number, 0, 1.0) == "drips"][:20]
    with scene(tmp_path, share=1.0, policy="never") as where:

        async def end():
            async with flood(where.gateway.address, numbers, clients=20) as (found, asking):
                while len(where.asked()) < 20:
                    await asyncio.sleep(0.01)
                where.gateway.process.send_signal(signal.SIGTERM)
                await asking
                return found

        assert all(got.status == 200 and got.whole for got in asyncio.run(end()).values())
        where.gateway.process.wait(60)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{where.gateway.root}/healthz")
        assert len(query(where.audit)) == 20
