"""The model's own server: one pool of connections, calls that are repeated only where that is safe, and a count of all.

aiohttp carries the traffic: before an instant upstream it took several times the load of httpx (docs/gateway.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from secondlook.gateway.logs import LOGGER
from secondlook.gateway.repeat import FREE, LONGEST_WAIT, UNCERTAIN, asked_to_wait, pause

Headers: TypeAlias = tuple[tuple[str, str], ...]
FailureKind = Literal["refused", "timeout", "cut", "garbage"]

_HOP = frozenset(
    ("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
     "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers of one connection, which are not passed on; the length is counted anew."""


@dataclass(slots=True)
class Tally:
    """Requests sent to the upstream, counted as they go; right at any moment, so that a call given up is in it too.

    Attributes:
        calls: Requests sent, repeats included.
        unanswered: How many of them may have been answered and billed, though no answer came: those in the air now, and
            those that failed in such a way.
    """

    calls: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """One answer of the upstream.

    Attributes:
        status: As it came.
        headers: As they came, those of the connection itself left out.
        body: As it came, decompressed; empty where it is yet to come.
    """

    status: int
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str:
        """A header by its name in small letters; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""
        return self.header("content-type").startswith("text/event-stream")


class UpstreamError(Exception):
    """The upstream gave no answer.

    Attributes:
        kind: ``refused`` (no connection), ``timeout``, ``cut`` (the line broke) or ``garbage`` (no HTTP).
        uncertain: Whether it may have answered, and billed, all the same.
    """

    def __init__(self, kind: FailureKind, said: str, *, uncertain: bool) -> None:
        super().__init__(said)
        self.kind: FailureKind = kind
        self.uncertain = uncertain


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer of the upstream as it comes: its status and headers, and the pieces of its body."""

    begun: UpstreamReply
    chunks: AsyncIterable[bytes]


class Upstream:
    """The upstream; use it as an asynchronous context manager.

    Args:
        address: With its ``/v1``.
        timeout: Seconds until an answer must have begun, and between two pieces of it.
        connect_timeout: Seconds until a connection must stand.
        retries: Repeats of a call that surely was not answered.
        retry_uncertain: Whether calls are repeated that may have been.
        key: Replaces the client's key.
        proxies: Whether the environment's proxies are used.

    Raises:
        ValueError: The environment names a proxy that is none of HTTP.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 300.0,
        connect_timeout: float = 5.0,
        retries: int = 2,
        retry_uncertain: bool = False,
        key: str | None = None,
        proxies: bool = True,
    ) -> None:
        self.address = address.rstrip("/")
        self.proxy = _proxy(URL(self.address)) if proxies else None
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=timeout)
        self._retries, self._retry_uncertain, self._key = retries, retry_uncertain, key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Upstream:
        self._session = aiohttp.ClientSession(
            # Servers close idle connections after five seconds or more; ours are given up before. Limits bounds the
            # requests at once, so the pool needs no bound.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
            timeout=self._timeout,
            # All clients share the session: a jar would send one client's cookies with another's requests.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, method: str, path: str, headers: Headers, body: bytes | None, tally: Tally) -> UpstreamReply:
        """One call, answered whole; repeated where it is safe, or where settings say so.

        Args:
            method: Of HTTP.
            path: After the address, with its query.
            headers: The client's.
            body: As it is sent.
            tally: Counts it.

        Raises:
            UpstreamError: There was no answer.
        """

        async def once() -> UpstreamReply:
            async with self._request(method, path, headers, body) as response:
                _use_once(response)
                return UpstreamReply(response.status, _kept(response), await response.read())

        return await self._repeated(once, tally)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Headers, body: bytes | None, tally: Tally
    ) -> AsyncIterator[Streamed]:
        """One call, passed on as it comes; repeated as :meth:`send` does, but not once it has begun.

        Raises:
            UpstreamError: There was no answer, or it broke off.
        """
        responses: list[aiohttp.ClientResponse] = []

        async def begin() -> UpstreamReply:
            # The reply to the attempt before is given up; a closed stack can be used again.
            await held.aclose()
            responses.append(await held.enter_async_context(self._request(method, path, headers, body)))
            _use_once(responses[-1])
            return UpstreamReply(responses[-1].status, _kept(responses[-1]))

        async with AsyncExitStack() as held:
            reply = await self._repeated(begin, tally)
            tally.unanswered += 1  # until it has been read to the end
            try:
                yield Streamed(reply, responses[-1].content.iter_any())
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                raise _as_failure(error) from error
            # Not in a `finally`: a stream that broke off or was given up may be billed, so it stays counted.
            tally.unanswered -= 1

    async def _repeated(self, once: Callable[[], Awaitable[UpstreamReply]], tally: Tally) -> UpstreamReply:
        for attempt in range(1, self._retries + 2):
            last, asked = attempt > self._retries, None
            tally.calls += 1
            tally.unanswered += 1  # while it is in the air
            try:
                reply = await once()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                failure = _as_failure(error)
                tally.unanswered -= not failure.uncertain
                if last or (failure.uncertain and not self._retry_uncertain):
                    raise failure from error
            else:
                uncertain, asked = reply.status in UNCERTAIN, asked_to_wait(reply.headers)
                again = reply.status in FREE or (uncertain and self._retry_uncertain)
                if last or not again or (asked or 0.0) > LONGEST_WAIT:
                    tally.unanswered -= 1
                    return reply
                # A 500, 502 or 504 that is asked again stays counted, since the model may have answered and billed.
                tally.unanswered -= not uncertain
            await asyncio.sleep(pause(attempt, asked))
        raise AssertionError("the last call returns or raises")

    def _request(
        self, method: str, path: str, headers: Headers, body: bytes | None
    ) -> aiohttp.client._RequestContextManager:
        assert self._session is not None
        # As the client quoted it; yarl would quote it anew.
        url = URL(self.address + path, encoded=True)
        return self._session.request(
            method, url, headers=self._headers(path, headers), data=body, allow_redirects=False, proxy=self.proxy
        )

    def _headers(self, path: str, headers: Headers) -> Headers:
        # aiohttp decompresses answers and nothing compresses them again, so the client's Accept-Encoding stays here.
        ours = {"accept-encoding"} | ({"authorization", "x-api-key"} if self._key else set())
        kept = tuple(
            (name, value)
            for name, value in _end_to_end(headers)
            if name.lower() not in ours and not name.lower().startswith("x-secondlook-")
        )
        if not self._key:
            return kept
        # Servers of Anthropic's interface read one or the other.
        more = (("X-Api-Key", self._key),) if path.startswith("/messages") else ()
        return (*kept, ("Authorization", f"Bearer {self._key}"), *more)


def _use_once(response: aiohttp.ClientResponse) -> None:
    """See that a stream's connection is not used again: some servers promise to keep it, and close it at the end."""
    held = response.connection
    if response.content_type == "text/event-stream" and held is not None and held.protocol is not None:
        held.protocol.force_close()


def _proxy(address: URL) -> URL | None:
    """The environment's proxy for an address."""
    given, host = getproxies(), address.host or ""
    if proxy_bypass(f"{host}:{address.port}") or (found := given.get(address.scheme) or given.get("all")) is None:
        return None
    proxy = URL(found if "://" in found else f"http://{found}")
    if proxy.scheme not in ("http", "https"):
        raise ValueError(f"proxy {proxy.scheme}://{proxy.host} of the environment is none of HTTP; set proxies = false")
    return proxy


def _as_failure(error: Exception) -> UpstreamError:
    """Error that a client may read; the address, and what lies behind it, stand in the log alone."""
    # First, since a ConnectionTimeoutError is a TimeoutError too. No connection stood, so nothing was sent.
    if isinstance(
        error,
        aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError | aiohttp.ConnectionTimeoutError | ssl.SSLError,
    ):
        failure = UpstreamError("refused", "no connection to the upstream", uncertain=False)
    elif isinstance(error, aiohttp.ClientOSError) and "write request body" in str(error):
        # An idle connection was closed under the request, which was never there in full. aiohttp's message is the only
        # sign of it.
        failure = UpstreamError("cut", "the upstream broke off", uncertain=False)
    elif isinstance(error, TimeoutError):
        failure = UpstreamError("timeout", "the upstream did not answer in time", uncertain=True)
    elif isinstance(error, aiohttp.ClientResponseError | ValueError):
        failure = UpstreamError("garbage", "the upstream's answer is not HTTP", uncertain=True)
    else:
        failure = UpstreamError("cut", "the upstream broke off", uncertain=True)
    said = " ".join(str(error).split()) or type(error).__name__
    LOGGER.info("upstream", extra={"fields": {"failure": failure.kind, "said": said}})
    return failure


def _kept(response: aiohttp.ClientResponse) -> Headers:
    ours = ("content-encoding", "date", "server")
    return tuple(pair for pair in _end_to_end(response.headers.items()) if pair[0].lower() not in ours)


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Headers without those of one connection, which are the known ones and those that it names itself."""
    headers = tuple(headers)
    named = {
        word.strip() for name, value in headers if name.lower() == "connection" for word in value.lower().split(",")
    }
    return tuple((name, value) for name, value in headers if name.lower() not in _HOP | named)
