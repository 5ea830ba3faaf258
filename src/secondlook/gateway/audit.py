"""The audit log: a row for each request in SQLite, on disk before the client has its answer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from queue import SimpleQueue
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One request.

    Attributes:
        id: Of the request, as the client was told.
        time: Seconds since 1970 at which it came.
        key: Name of the client's key.
        model: The model asked.
        task: The task tag.
        policy: The policy in force.
        rounds: Second looks made.
        verdict: The critic's verdict on the first answer.
        status: What was done (see :data:`secondlook.gateway.policy.Action`).
        reason: Why.
        outcome: Status of the HTTP answer; 499 where the client went away before it had one.
        tokens_in: Prompt tokens of all calls, where the upstream tells.
        tokens_out: Generated tokens.
        calls: Requests sent to the upstream.
        unanswered: How many of them may have been billed without an answer.
        seconds: From the request to the end of its answer.
        transcript: The conversation as JSON, if that is wanted.
    """

    id: str
    time: float
    key: str | None = None
    model: str | None = None
    task: str | None = None
    policy: str
    rounds: int = 0
    verdict: str | None = None
    status: str = "passed"
    reason: str | None = None
    outcome: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    calls: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    transcript: str | None = None


_NAMES = tuple(field.name for field in fields(AuditRow))
_INSERT = f"INSERT INTO requests ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608 - our names
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS requests ({", ".join("id TEXT PRIMARY KEY" if name == "id" else name for name in _NAMES)});
CREATE INDEX IF NOT EXISTS requests_time ON requests (time);
"""

_Waiting = tuple[AuditRow, asyncio.Future[None]]


class Audit:
    """Writes rows; use it as an asynchronous context manager.

    One thread writes all rows that have come since it last wrote, in one transaction, so that the disk is waited for
    once by all of them (WAL, ``synchronous=FULL``: a row that was acknowledged survives a crash of the machine).

    Args:
        path: The database.

    Raises:
        ValueError: It cannot be opened, or is no database of ours.
    """

    def __init__(self, path: Path) -> None:
        try:
            _open(path).close()
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"audit log {str(path)!r} cannot be used ({why}); give another file") from None
        self._path = path
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)

    async def __aenter__(self) -> Audit:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def write(self, row: AuditRow) -> None:
        """Write a row; it is on disk when this returns.

        Raises:
            OSError: It could not be written.
        """
        done = self._loop.create_future()
        self._queue.put((row, done))
        # A client that goes away takes nothing with it.
        await asyncio.shield(done)

    def _write_all(self) -> None:
        # Opened here, since sqlite3 ties a connection to the thread that opened it.
        database = _open(self._path)
        while (item := self._queue.get()) is not None:
            waiting = [item]
            while not self._queue.empty():
                if (item := self._queue.get()) is None:
                    self._queue.put(None)  # to be met again when these are written
                    break
                waiting.append(item)
            if self._insert(database, waiting) is not None:
                for one in waiting:  # one that cannot be written takes no other with it
                    failure = self._insert(database, [one])
                    self._loop.call_soon_threadsafe(_settle, [one], failure)
            else:
                self._loop.call_soon_threadsafe(_settle, waiting, None)
        database.close()

    def _insert(self, database: sqlite3.Connection, waiting: Sequence[_Waiting]) -> OSError | None:
        try:
            with database:
                database.executemany(_INSERT, [_stored(row) for row, _ in waiting])
        except Exception as error:  # whatever it is: with this thread gone, every later row would wait for ever
            return OSError(f"audit log {str(self._path)!r} cannot be written ({error})")
        return None


def query(
    path: Path,
    *,
    since: float | None = None,
    until: float | None = None,
    where: dict[str, str] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows of a log, the latest first; a gateway may be writing to it.

    Args:
        path: The database.
        since: Seconds since 1970; no earlier rows.
        until: No later ones.
        where: Values by column.
        limit: No more rows than this.

    Raises:
        ValueError: There is no such file or column, or it is no audit log.
    """
    if unknown := sorted(set(where or {}) - set(_NAMES)):
        raise ValueError(f"unknown column {unknown[0]!r}; known: {', '.join(_NAMES)}")
    if not path.is_file():
        raise ValueError(f"there is no audit log {str(path)!r}; a gateway writes one with --audit-file")
    tests = {"time >= ?": since, "time <= ?": until, **{f"{name} = ?": value for name, value in (where or {}).items()}}
    given = {test: value for test, value in tests.items() if value is not None}
    condition = f" WHERE {' AND '.join(given)}" if given else ""
    text = f"SELECT {', '.join(_NAMES)} FROM requests{condition} ORDER BY time DESC LIMIT ?"  # noqa: S608 - our names
    try:
        # as_uri quotes what a URI would take for its own, such as ? and # in a file's name.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(text, [*given.values(), -1 if limit is None else limit]).fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{str(path)!r} is no audit log ({error})") from None
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def _open(path: Path) -> sqlite3.Connection:
    # It may hold what was said: nobody but its owner reads it. SQLite gives its other files the same mode.
    path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=60)  # other workers write too
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.executescript(_SCHEMA)
    return database


def _stored(row: AuditRow) -> tuple[Any, ...]:
    # Half a pair of surrogates, in a model's name for one, is kept as its escape: SQLite's text is UTF-8.
    return tuple(v.encode("utf-8", "backslashreplace").decode() if isinstance(v, str) else v for v in astuple(row))


def _settle(waiting: Sequence[_Waiting], failure: Exception | None) -> None:
    for _, done in waiting:
        if done.cancelled():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
