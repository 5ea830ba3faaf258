"""Limit on requests at once; one more is refused at once, with a time to come back."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence

from starlette.requests import Request

from secondlook.gateway.refusal import RETRY_AFTER, RefusalError


class Limits:
    """Counts requests, those of all workers.

    Args:
        most: How many may be worked on at once.
        counts: How many each worker works on, in memory that workers share; each changes its own alone, so nobody
            waits, and one that is killed leaves nothing locked.
        worker: Which of them this is.
    """

    def __init__(self, most: int, counts: MutableSequence[int] | None = None, worker: int = 0) -> None:
        self.most, self._worker = most, worker
        self._counts: MutableSequence[int] = [0] if counts is None else counts
        self._counts[worker] = 0

    @property
    def in_flight(self) -> int:
        """Requests that are worked on."""
        return sum(self._counts)

    def admit(self) -> Callable[[], None]:
        """Hold a place for one request; what is returned gives it back, once, however often it is called.

        Raises:
            RefusalError: There is none.
        """
        self._counts[self._worker] += 1  # before all are counted: two that come at once do not both get the last place
        if self.in_flight > self.most:
            self._counts[self._worker] -= 1
            said = f"{self.most} requests are being answered; come back in {RETRY_AFTER} s"
            raise RefusalError(429, "busy", said, RETRY_AFTER)
        held = True

        def leave() -> None:
            nonlocal held
            self._counts[self._worker] -= held
            held = False

        return leave


async def read_body(request: Request, most: int) -> bytes:
    """A request's body.

    Raises:
        RefusalError: It has, or says it has, more bytes than allowed; no more of it is read.
        starlette.requests.ClientDisconnect: The client went away.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise RefusalError(413, "too_large", f"the body has {said} bytes, {most} are allowed")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise RefusalError(413, "too_large", f"the body has more than the {most} bytes allowed")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
