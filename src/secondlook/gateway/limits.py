"""How much is taken on at once; what is too much is refused at once, with a time to come back."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from secondlook.gateway.refusal import RETRY_AFTER, RefusalError


class Limits:
    """Counts requests.

    Args:
        most: How many may be worked on at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.in_flight = 0

    def admit(self) -> Callable[[], None]:
        """Hold a place for one request; what is returned gives it back, once, however often it is called.

        Raises:
            RefusalError: There is none.
        """
        if self.in_flight >= self.most:
            said = f"{self.most} requests are being answered; come back in {RETRY_AFTER} s"
            raise RefusalError(429, "busy", said, RETRY_AFTER)
        self.in_flight += 1
        held = True

        def leave() -> None:
            nonlocal held
            self.in_flight -= held
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
