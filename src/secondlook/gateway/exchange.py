"""One request and its answer: what is sent, and the row that is kept before the answer ends."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from starlette.types import Send

from secondlook.correction.events import CONTENT_TYPE, event
from secondlook.gateway.audit import AuditRow
from secondlook.gateway.refusal import RefusalError, error
from secondlook.gateway.upstream import Headers, Tally

GONE = 499
"""Status in the log of a client that went away before it had an answer."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    A whole answer, and the last piece of a streamed one, is sent once the row is kept: what a client has received to
    the end stands in the audit log.

    Attributes:
        send: Of ASGI.
        row: What the log will say.
        keep: Keeps a row.
        tally: Requests sent to the upstream for it.
        begun: When it came, by the performance counter.
        started: Whether the answer has begun.
        kept: Whether the row has been.
        leave: Gives its place among the requests in flight back; done before the answer ends, so that a client that
            has its answer may ask again.
        error_event: Name of the event that ends a stream with an error, if it has one.
    """

    send: Send
    row: AuditRow
    keep: Callable[[AuditRow], Awaitable[None]]
    tally: Tally = field(default_factory=Tally)
    begun: float = field(default_factory=time.perf_counter)
    started: bool = False
    kept: bool = False
    leave: Callable[[], None] = lambda: None
    error_event: str | None = None

    def note(self, **changes: Any) -> None:
        """Change what the log will say."""
        self.row = replace(self.row, **changes)

    async def end_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Keep the row, then send a whole answer."""
        await self.keep_row(status)
        await self.begin(status, (*headers, ("content-length", str(len(body)))))
        await self.send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, headers: Headers) -> None:
        """The beginning of an answer, with what every answer says of itself."""
        self.started = True
        row = self.row
        told = {
            "x-secondlook-id": row.id,
            "x-secondlook-status": row.status,
            "x-secondlook-reason": row.reason,
            "x-secondlook-policy": row.policy,
            "x-secondlook-rounds": str(row.rounds),
            "x-secondlook-verdict": row.verdict,
        }
        pairs = (*headers, *((name, value) for name, value in told.items() if value is not None))
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def begin_events(self, headers: Headers = ()) -> None:
        """The beginning of a stream of our own making, unless it has begun."""
        if not self.started:
            others = (pair for pair in headers if pair[0].lower() != "content-type")
            await self.begin(200, (*others, ("content-type", CONTENT_TYPE)))

    async def events(self, headers: Headers, pieces: Iterable[bytes], *, outcome: int = 200) -> None:
        """A stream of our own making to its end, or the rest of one that has begun."""
        await self.begin_events(headers)
        *pieces, last = pieces
        for piece in pieces:
            await self.piece(piece)
        await self.end_stream(outcome, last)

    async def piece(self, body: bytes) -> None:
        """A piece of a streamed answer."""
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def end_stream(self, status: int, last: bytes = b"") -> None:
        """Keep the row, then send the last piece of a streamed answer."""
        await self.keep_row(status)
        await self.send({"type": "http.response.body", "body": last})

    async def refuse(self, refusal: RefusalError) -> None:
        """Refuse; a stream that has begun ends with the error as an event."""
        # A row that says why the second look failed keeps that reason; its outcome shows the refusal.
        if self.row.status != "failed":
            self.note(status="refused", reason=refusal.code)
        try:
            await self.keep_row(refusal.status)
        except RefusalError as unkept:
            # Of a refusal too there has to be a row. The second time none is tried, so this ends here.
            await self.refuse(unkept)
            return
        said = error(refusal.code, str(refusal))
        if self.started:
            await self.end_stream(refusal.status, event(said, self.error_event))
            return
        retry = () if refusal.retry_after is None else (("retry-after", str(refusal.retry_after)),)
        headers = (("content-type", "application/json"), *retry)
        await self.end_whole(refusal.status, headers, json.dumps(said).encode())

    async def keep_row_unseen(self, outcome: int) -> None:
        """Keep the row where nobody is left to be told that it cannot be kept; it is logged."""
        with suppress(RefusalError):
            await self.keep_row(outcome)

    async def keep_row(self, outcome: int) -> None:
        """Keep the row, once, whatever becomes of the client meanwhile.

        Raises:
            RefusalError: It cannot be kept; the next time nothing is done.
        """
        if self.kept:
            return
        # Set first: if the row cannot be kept, the refusal that follows is sent and does not try again.
        self.kept = True
        seconds = round(time.perf_counter() - self.begun, 6)
        self.note(outcome=outcome, seconds=seconds, calls=self.tally.calls, unanswered=self.tally.unanswered)
        # A client that goes away cancels its request, but the calls were made and have to be accounted for.
        with anyio.CancelScope(shield=True):
            try:
                await self.keep(self.row)
            finally:
                self.leave()
