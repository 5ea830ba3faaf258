"""The audit log: rows that are on disk when they are said to be, and the command that reads them."""

import asyncio
import json
import sqlite3
import time
from dataclasses import asdict
from pathlib import Path

import anyio
import pytest

from command import secondlook
from secondlook.gateway.audit import Audit, AuditRow, query


def row(number, **changes):
    return AuditRow(**{"id": f"r{number}", "time": 1000.0 + number, "model": "m", "policy": "never"} | changes)


def test_rows_are_on_disk_when_write_returns(tmp_path):
    path = tmp_path / "what? 100%#.db"

    async def write():
        async with Audit(path) as audit:
            for number in range(3):
                await audit.write(row(number))
                # It may hold what was said: nobody but its owner reads it.
                assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
                # Another process sees it at once.
                assert len(query(path)) == number + 1
            await asyncio.gather(*(audit.write(row(number)) for number in range(3, 500)))
            with pytest.raises(OSError, match=r"cannot be written .UNIQUE"):
                await audit.write(row(0))

    anyio.run(write)
    rows = query(path)
    assert [each["id"] for each in rows] == [f"r{number}" for number in reversed(range(500))]
    assert rows[-1] == asdict(row(0))
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_failed_row_does_not_take_others_with_it(tmp_path):
    async def write():
        async with Audit(tmp_path / "a.db") as audit:
            await audit.write(row(1))
            found = await asyncio.gather(audit.write(row(1)), audit.write(row(2)), return_exceptions=True)
            assert isinstance(found[0], OSError)
            assert found[1] is None
            assert len(query(tmp_path / "a.db")) == 2
            # What SQLite cannot hold raises an error of Python's; the thread that writes outlives it.
            for wrong in (row(3, tokens_in=2**70), row(4, id=object())):
                with pytest.raises(OSError, match="cannot be written"):
                    await audit.write(wrong)
            await audit.write(row(5))
            assert len(query(tmp_path / "a.db")) == 3

    anyio.run(write)


def test_the_command_queries(tmp_path):
    path = tmp_path / "a.db"

    async def write():
        async with Audit(path) as audit:
            await audit.write(row(1, time=time.time() - 7200, status="failed", transcript="{}"))
            await audit.write(row(2, time=time.time(), model="other"))

    anyio.run(write)
    done = secondlook("audit", path)
    assert "2 requests" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    lines = secondlook("audit", path, "--json", "--where", "status=failed").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["r1"]
    assert "1 requests" in secondlook("audit", path, "--since", "1h").out
    assert "1 requests" in secondlook("audit", path, "--until", "1h").out
    assert "0 requests" in secondlook("audit", path, "--since", "2999-01-01").out
    assert "1 requests, the latest" in secondlook("audit", path, "--limit", 1).out
    for arguments, said in (
        ((tmp_path / "no.db",), "there is no audit log"),
        ((path, "--where", "x=1"), "unknown column 'x'; known: id, time"),
        ((path, "--where", "x"), "is not COLUMN=VALUE"),
        ((path, "--since", "soon"), "'soon' is no time"),
    ):
        assert said in secondlook("audit", *arguments).error
    (tmp_path / "odd.db").write_text("no database, but long enough to be looked at as one, which it is not")
    assert "is no audit log" in secondlook("audit", tmp_path / "odd.db").error


def test_a_log_that_cannot_be_used_is_said_before_anything_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.db").write_text("no database, " * 100)
    for file, why in (("none/a.db", "No such file or directory"), ("odd.db", "file is not a database")):
        done = secondlook("serve", "--upstream", "http://127.0.0.1:1/v1", "--audit-file", file, "--quiet")
        assert done.error == f"audit log '{file}' cannot be used ({why}); give another file"
