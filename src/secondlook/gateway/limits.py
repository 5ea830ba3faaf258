"""How much is taken on at once; what is too much is refused at once, with a time to come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

RETRY_AFTER = 1
"""Seconds after which a refused client may come back."""


class BusyError(Exception):
    """As many requests as are allowed are being worked on."""


class TooLargeError(Exception):
    """A body has more bytes than are allowed."""


class Limits:
    """Counts requests.

    Args:
        most: How many may be worked on at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place for one request.

        Raises:
            BusyError: There is none.
        """
        if self.in_flight >= self.most:
            raise BusyError(f"{self.most} requests are being answered; come back in {RETRY_AFTER} s")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


async def read_body(request: Request, most: int) -> bytes:
    """A request's body.

    Raises:
        TooLargeError: It has, or says it has, more bytes than allowed; no more of it is read.
        starlette.requests.ClientDisconnect: The client went away.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise TooLargeError(f"the body has {said} bytes, {most} are allowed")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLargeError(f"the body has more than the {most} bytes allowed")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
