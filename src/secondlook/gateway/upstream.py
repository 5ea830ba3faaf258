"""The model's own server: one pool of connections, calls that are repeated only where that is safe, and a count of all.

aiohttp carries the traffic: before an instant upstream it took several times the load of httpx (docs/gateway.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Literal, TypeAlias

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential
from yarl import URL

from secondlook.gateway.logs import LOGGER

Headers: TypeAlias = tuple[tuple[str, str], ...]
Kind = Literal["refused", "timeout", "cut", "garbage"]

_FREE = frozenset({429, 503})  # said before anything was computed
_UNCERTAIN = frozenset({500, 502, 504})
_LONGEST_WAIT = 30.0  # seconds; who is asked to wait longer passes that on
_HOP = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
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

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.calls - other.calls, self.unanswered - other.unanswered)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the upstream, whole.

    Attributes:
        status: As it came.
        headers: As they came, those of the connection itself left out.
        body: As it came, decompressed.
    """

    status: int
    headers: Headers
    body: bytes


class UpstreamError(Exception):
    """The upstream gave no answer.

    Attributes:
        kind: ``refused`` (no connection), ``timeout``, ``cut`` (the line broke) or ``garbage`` (no HTTP).
        uncertain: Whether it may have answered, and billed, all the same.
    """

    def __init__(self, kind: Kind, said: str, *, uncertain: bool) -> None:
        super().__init__(said)
        self.kind: Kind = kind
        self.uncertain = uncertain


class _TryAgainError(Exception):
    """An answer that asks to be asked again."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.status))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer of the upstream as it comes.

    Attributes:
        begun: Its status and headers, without a body.
        chunks: The body.
    """

    begun: Reply
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
    ) -> None:
        self.address = address.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=timeout)
        self._retries, self._retry_uncertain, self._key = retries, retry_uncertain, key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Upstream:
        self._session = aiohttp.ClientSession(
            # Servers close idle connections after five seconds or more; ours are given up before.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None, tally: Tally
    ) -> Reply:
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
        passed = self._headers(headers)

        async def once() -> Reply:
            async with self._request(method, path, passed, body) as response:
                return Reply(response.status, _kept(response), await response.read())

        return await self._repeated(once, tally)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None, tally: Tally
    ) -> AsyncIterator[Streamed]:
        """One call, passed on as it comes; repeated as :meth:`send` does, but not once it has begun.

        Raises:
            UpstreamError: There was no answer, or it broke off.
        """
        passed, held = self._headers(headers), AsyncExitStack()

        async def begin() -> Reply:
            await held.aclose()
            response = await held.enter_async_context(self._request(method, path, passed, body))
            responses.append(response)
            return Reply(response.status, _kept(response), b"")

        responses: list[aiohttp.ClientResponse] = []
        async with held:
            reply = await self._repeated(begin, tally)
            tally.unanswered += 1  # until it has been read to the end
            try:
                yield Streamed(reply, responses[-1].content.iter_any())
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                raise _as_failure(error) from error
            tally.unanswered -= 1

    async def _repeated(self, once: Callable[[], Awaitable[Reply]], tally: Tally) -> Reply:
        left = self._retries

        async def counted() -> Reply:
            nonlocal left
            tally.calls += 1
            tally.unanswered += 1  # while it is in the air
            try:
                reply = await once()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                failure = _as_failure(error)
                tally.unanswered -= int(not failure.uncertain)
                left -= 1
                raise failure from error
            uncertain = reply.status in _UNCERTAIN
            again = left > 0 and (reply.status in _FREE or (uncertain and self._retry_uncertain))
            tally.unanswered -= int(not (again and uncertain))
            left -= 1
            if again:
                raise _TryAgainError(reply)
            return reply

        try:
            return await AsyncRetrying(
                retry=retry_if_exception(self._again),
                stop=stop_after_attempt(self._retries + 1),
                wait=_pause,
                reraise=True,
            )(counted)
        except _TryAgainError as last:  # it asks for a longer pause than we make
            return last.reply

    def _request(
        self, method: str, path: str, headers: Headers, body: bytes | None
    ) -> aiohttp.client._RequestContextManager:
        assert self._session is not None
        url = URL(self.address + path, encoded=True)
        return self._session.request(method, url, headers=headers, data=body, allow_redirects=False)

    def _headers(self, headers: Iterable[tuple[str, str]]) -> Headers:
        kept = [
            (name, value)
            for name, value in _end_to_end(headers)
            if not name.lower().startswith("x-secondlook-")
            # What is decompressed here is not compressed there.
            and name.lower() != "accept-encoding"
            and (self._key is None or name.lower() != "authorization")
        ]
        if self._key:
            kept.append(("Authorization", f"Bearer {self._key}"))
        return tuple(kept)

    def _again(self, error: BaseException) -> bool:
        if isinstance(error, _TryAgainError):
            asked = _asked_to_wait(error.reply)
            return asked is None or asked <= _LONGEST_WAIT
        return isinstance(error, UpstreamError) and (not error.uncertain or self._retry_uncertain)


def _pause(state: RetryCallState) -> float:
    """What the upstream asks for, and a random share more; else random, twice as long each time."""
    jitter = wait_random_exponential(multiplier=0.25, max=8.0)(state)
    error = state.outcome.exception() if state.outcome else None
    asked = _asked_to_wait(error.reply) if isinstance(error, _TryAgainError) else None
    return jitter if asked is None else asked + min(jitter, 1.0)


def _asked_to_wait(reply: Reply) -> float | None:
    """Seconds of ``Retry-After``, a number or a date."""
    value = next((value for name, value in reply.headers if name.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return None


def _as_failure(error: Exception) -> UpstreamError:
    """What a client may read; the address, and what lies behind it, stand in the log alone."""
    failure = _classified(error)
    said = " ".join(str(error).split()) or type(error).__name__
    LOGGER.info("upstream", extra={"fields": {"failure": failure.kind, "said": said}})
    return failure


def _classified(error: Exception) -> UpstreamError:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ssl.SSLError):
        return UpstreamError("refused", "no connection to the upstream", uncertain=False)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return UpstreamError("timeout", "the upstream did not answer in time", uncertain=True)
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return UpstreamError("garbage", "the upstream's answer is not HTTP", uncertain=True)
    return UpstreamError("cut", "the upstream broke off", uncertain=True)


def _kept(response: aiohttp.ClientResponse) -> Headers:
    return tuple(
        (name, value)
        for name, value in _end_to_end(response.headers.items())
        if name.lower() not in ("content-encoding", "date", "server")
    )


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Headers without those of one connection, which are the known ones and those that it names itself."""
    headers = tuple(headers)
    named = {
        word.strip() for name, value in headers if name.lower() == "connection" for word in value.lower().split(",")
    }
    return tuple((name, value) for name, value in headers if name.lower() not in _HOP | named)
