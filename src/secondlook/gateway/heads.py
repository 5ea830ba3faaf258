"""Heads of requests, where uvicorn's HTTP is not enough: no bounds of length and time, and bodies lost to an offer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 2**10
"""Bytes that the request line and the headers may have together."""
HEAD_SECONDS = 20.0
"""Seconds within which they must be there, once a connection stands or a further request on it has begun."""


class Protocol(HttpToolsProtocol):
    """A connection that is closed when the head of a request is too long or too late.

    Anybody may open connections, with a key or without: none may fill the memory or stay for ever before it has asked.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = _Parser(self)  # type: ignore[assignment]
        self._awaited = True  # whether a head has begun, or the first is yet to, and is not there
        self._begun = False  # in the piece that is being read
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Await no more."""
        self._end()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Await the rest of a head."""
        super().on_message_begin()
        self._awaited, self._begun, self._size = True, True, 0

    def on_headers_complete(self) -> None:
        """The head is there; one with an offer is read again without it."""
        self._awaited = False
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read; more of a head than is allowed is read no further."""
        self._begun = False
        super().data_received(data)
        if not self._awaited:
            self._end()
            return
        if self.transport.is_closing():
            return
        # Only a head that comes in pieces gets here: a further request that comes whole sets no timer.
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        # The piece in which it begins is not counted: it may be the end of a large body, and no piece is large itself.
        if not self._begun:
            self._size += len(data)
        if self._size > HEAD_BYTES:
            self.logger.warning("The head of a request is too long.")
            self.send_400_response(f"The head of the request has more than {HEAD_BYTES} bytes.")

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Parser:
    """Reads requests whose clients offer another protocol as if they did not.

    Java's own client offers HTTP/2 with its first request. httptools then reads no body, and uvicorn would hand on an
    empty one.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._parser = self._new()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Read, an offer that is met included."""
        while data:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as offer:
                # The argument is the number of bytes up to the end of the head with the offer. A new parser reads the
                # head again, and the rest after it.
                data = self._without() + data[offer.args[0] :]
                self._parser = self._new()

    def _new(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self._protocol)
        # As uvicorn sets its own: what follows a request with `connection: close` is read over, where it would else be
        # an error that takes the place of the answer.
        with suppress(AttributeError):  # httptools before 0.6.3
            parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _without(self) -> bytes:
        """The head that was read, without its offer."""
        method = self._parser.get_method()
        # CONNECT is an offer without a header to leave out: it would be met again for ever.
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        lines = [b"%s %s HTTP/%s" % (method, self._protocol.url, self._parser.get_http_version().encode())]
        lines += [b"%s: %s" % pair for pair in self._protocol.headers if pair[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))
