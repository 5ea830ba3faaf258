"""The application: who may come in, what is passed on, what is looked at twice, and a row for each request."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from secondlook.gateway.audit import Audit, Row
from secondlook.gateway.conversation import COMPLETIONS, ReplyError
from secondlook.gateway.correct import Looked, answer_of, failure_of, look, tokens_of
from secondlook.gateway.escalate import hand_over
from secondlook.gateway.keys import Keys
from secondlook.gateway.limits import RETRY_AFTER, BusyError, Limits, TooLargeError, read_body
from secondlook.gateway.logs import LOGGER, log
from secondlook.gateway.metrics import Metrics
from secondlook.gateway.openapi import document
from secondlook.gateway.policy import TASK, Decision, OverrideError, Policy
from secondlook.gateway.request import Chat, Passed, read_request
from secondlook.gateway.settings import Settings
from secondlook.gateway.stream import DONE, comment, event, events
from secondlook.gateway.upstream import Headers, Reply, Upstream, UpstreamError

_GONE = 499  # the client went away before it had an answer
_FRESH = 5.0  # seconds for which an upstream that answered counts as ready


class _RefusalError(Exception):
    """A request that is refused by us."""

    def __init__(self, status: int, code: str, said: str, retry_after: int | None = None) -> None:
        super().__init__(said)
        self.status, self.code, self.retry_after = status, code, retry_after


@dataclass(slots=True)
class _Exchange:
    """One request and its answer."""

    send: Send
    row: Row
    begun: float = field(default_factory=time.perf_counter)
    started: bool = False
    written: bool = False

    def note(self, **changes: Any) -> None:
        """What the row will say."""
        self.row = replace(self.row, **changes)

    def headers(self) -> list[tuple[str, str]]:
        """What every answer says of itself."""
        row = self.row
        told = {
            "x-secondlook-id": row.id,
            "x-secondlook-status": row.status,
            "x-secondlook-reason": row.reason,
            "x-secondlook-policy": row.policy,
            "x-secondlook-rounds": str(row.rounds),
            "x-secondlook-verdict": row.verdict,
        }
        return [(name, value) for name, value in told.items() if value is not None]


class Gateway:
    """The gateway; an ASGI application for everything below ``/v1``.

    Args:
        settings: All of them.

    Raises:
        ValueError: A file they name cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy = Policy(settings)
        self.keys = Keys.load(settings.keys_file) if settings.keys_file else None
        self.limits = Limits(settings.max_in_flight)
        self.metrics = Metrics()
        self.metrics.in_flight.set_function(lambda: self.limits.in_flight)
        self.audit: Audit | None = None
        self.draining: Callable[[], bool] = lambda: False
        self.upstream = Upstream(
            settings.upstream,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            retries=settings.retries,
            retry_uncertain=settings.retry_uncertain,
            key=_key(settings),
        )
        self._ready_until = 0.0

    @asynccontextmanager
    async def running(self, _app: object = None) -> Any:
        """Connections and the audit log, for as long as the server runs."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.upstream)
            if self.settings.audit_file is not None:
                self.audit = await stack.enter_async_context(Audit(self.settings.audit_file))
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below ``/v1``."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        exchange = _Exchange(send, self._row(request))
        try:
            with self.limits.admit():
                await self._attend(request, exchange)
        except BusyError as busy:
            await self._refuse(exchange, _RefusalError(429, "busy", str(busy), RETRY_AFTER))
        except ClientDisconnect:
            await self._close(exchange, _GONE)
        except Exception:
            LOGGER.exception("our own failure", extra={"fields": {"id": exchange.row.id}})
            if not exchange.started:
                await self._refuse(exchange, _RefusalError(500, "internal", "the gateway failed; it is logged"))

    async def _attend(self, request: Request, exchange: _Exchange) -> None:
        """Read a request, then answer it until it is answered or its client goes away."""
        try:
            self._authorise(request, exchange)
            body = await read_body(request, self.settings.max_body)
        except _RefusalError as refusal:
            await self._refuse(exchange, refusal)
            return
        except TooLargeError as error:
            await self._refuse(exchange, _RefusalError(413, "too_large", str(error)))
            return
        done = False
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                await self._answer(request, body, exchange)
            except _RefusalError as refusal:
                await self._refuse(exchange, refusal)
            done = True
            group.cancel_scope.cancel()
        if not done:
            await self._close(exchange, _GONE)

    def _authorise(self, request: Request, exchange: _Exchange) -> None:
        if self.keys is None:
            return
        name = self.keys.check(request.headers.get("authorization"))
        if name is None:
            raise _RefusalError(401, "invalid_api_key", "the key is missing or unknown; send Authorization: Bearer KEY")
        exchange.note(key=name)

    async def _answer(self, request: Request, body: bytes, exchange: _Exchange) -> None:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if request.method == "POST" and path == COMPLETIONS and self._may_look(request):
            found = read_request(body, images=self.settings.images)
            exchange.note(model=found.model, task=request.headers.get(TASK))
            if isinstance(found, Passed):
                exchange.note(reason=found.reason)
                body = body if found.body is None else found.body
            else:
                decision = self._decide(found, request)
                exchange.note(reason=decision.reason)
                if decision.rounds:
                    await self._look(request, found, decision, exchange)
                    return
                if self.settings.on_failure == "escalate" and decision.reason == "undecided":
                    await self._look(request, found, decision, exchange)
                    return
                if found.asked:
                    body = found.bare()
        await self._pass(request, body, exchange)

    def _may_look(self, request: Request) -> bool:
        """Whether a request's body has to be read: under ``never``, and nothing else asked, it need not."""
        asks = any(name.startswith("x-secondlook-") for name in request.headers)
        return self.settings.policy != "never" or asks or self.settings.audit_file is not None

    def _decide(self, chat: Chat, request: Request) -> Decision:
        try:
            return self.policy.decide(chat.model, request.headers)
        except OverrideError as error:
            raise _RefusalError(400, "override", str(error)) from None

    # --- passed on -------------------------------------------------------------------------------------------------

    async def _pass(self, request: Request, body: bytes, exchange: _Exchange) -> None:
        """Pass a request on, byte for byte, and its answer back."""
        scope = request.scope
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        path = path.removeprefix(scope.get("root_path", "")) or "/"
        query = scope["query_string"].decode("latin-1")
        path += f"?{query}" if query else ""
        exchange.note(status="passed")
        try:
            async with self.upstream.stream(request.method, path, self._headers(request), body or None) as streamed:
                begun = streamed.begun
                exchange.note(calls=begun.attempts, unanswered=begun.unanswered)
                if _header(begun, "content-type").startswith("text/event-stream"):
                    await self._begin(exchange, begun.status, begun.headers)
                    async for chunk in streamed.chunks:
                        await exchange.send({"type": "http.response.body", "body": chunk, "more_body": True})
                    await self._finish(exchange, b"")
                    return
                whole = b"".join([chunk async for chunk in streamed.chunks])
            if self.audit is not None:
                exchange.note(**_usage_of(whole))
            await self._whole(exchange, begun.status, begun.headers, whole)
        except UpstreamError as error:
            exchange.note(calls=error.attempts, unanswered=error.unanswered)
            if exchange.started:
                # What broke off there breaks off here: an end that is not marked as one tells the client.
                await self._close(exchange, 502)
                return
            status, code, said = failure_of(error)
            raise _RefusalError(status, code, said) from None

    # --- looked at twice -------------------------------------------------------------------------------------------

    async def _look(self, request: Request, chat: Chat, decision: Decision, exchange: _Exchange) -> None:
        """Answer, check, answer again; where the answer is streamed, say now and then that we are still there."""
        done = anyio.Event()
        looked: list[Looked] = []

        async def work() -> None:
            headers = self._headers(request)
            looked.append(await look(exchange.row.id, chat, headers, decision, self.settings, self.upstream))
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while chat.stream and not done.is_set():
                with anyio.move_on_after(self.settings.keep_alive):
                    await done.wait()
                    break
                if not exchange.started:
                    exchange.note(status="passed", reason="looking")
                    await self._begin(exchange, 200, (("content-type", "text/event-stream; charset=utf-8"),))
                await exchange.send({"type": "http.response.body", "body": comment("still here"), "more_body": True})
        await self._conclude(chat, decision, looked[0], exchange)

    async def _conclude(self, chat: Chat, decision: Decision, looked: Looked, exchange: _Exchange) -> None:
        tokens_in, tokens_out = tokens_of(looked.spent)
        exchange.note(
            status=looked.status,
            reason=looked.reason,
            rounds=looked.rounds,
            verdict=looked.verdict,
            calls=looked.spent.calls,
            unanswered=looked.spent.unanswered,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )
        if self.settings.audit_text or self.settings.log_text:
            exchange.note(transcript=looked.transcript.to_json())
        if looked.reply is None:
            status, code, said = failure_of(looked.error)
            raise _RefusalError(status, code, said)
        doubtful = looked.status == "failed" or (looked.status != "passed" and decision.reason == "undecided")
        if doubtful and self.settings.on_failure == "closed":
            raise _RefusalError(503, "second_look_failed", _why(looked), RETRY_AFTER)
        if doubtful and self.settings.on_failure == "escalate":
            await self._escalate(looked, exchange)
        if looked.reply.status != 200 or (isinstance(looked.error, ReplyError) and not _words(looked)):
            await self._reply(chat, looked.reply, exchange)
            return
        answer = answer_of(looked, chat)
        if not chat.stream:
            await self._whole(exchange, 200, looked.reply.headers, json.dumps(answer, ensure_ascii=False).encode())
            return
        if not exchange.started:
            kept = [(name, value) for name, value in looked.reply.headers if name.lower() != "content-type"]
            await self._begin(exchange, 200, (*kept, ("content-type", "text/event-stream; charset=utf-8")))
        for piece in events(answer, chat):
            if piece != DONE:
                await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._finish(exchange, DONE)

    async def _reply(self, chat: Chat, reply: Reply, exchange: _Exchange) -> None:
        """The upstream's first answer as it came: an error, or one that is not in words."""
        exchange.note(status="passed")
        if not chat.stream or (reply.status != 200 and not exchange.started):
            await self._whole(exchange, reply.status, reply.headers, reply.body)
            return
        try:
            answer = json.loads(reply.body)
        except ValueError:
            answer = {}
        if not exchange.started:
            await self._begin(exchange, 200, (("content-type", "text/event-stream; charset=utf-8"),))
        if not isinstance(answer, dict) or reply.status != 200 or "choices" not in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            shown = error or _error("upstream_failed", f"the upstream answered with status {reply.status}")["error"]
            await self._finish(exchange, event({"error": shown}))
            return
        for piece in events(answer, chat):
            await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._finish(exchange, b"")

    async def _escalate(self, looked: Looked, exchange: _Exchange) -> None:
        """Hand the conversation to a person; if that fails nobody would know, so the request fails."""
        to = self.settings.escalate_to
        assert to is not None
        case = {
            "id": exchange.row.id,
            "time": exchange.row.time,
            "model": exchange.row.model,
            "task": exchange.row.task,
            "why": _why(looked),
            "transcript": json.loads(looked.transcript.to_json()),
        }
        try:
            await hand_over(to, case)
        except OSError as error:
            raise _RefusalError(503, "escalation_failed", str(error), RETRY_AFTER) from None
        exchange.note(status="escalated")

    # --- answers ---------------------------------------------------------------------------------------------------

    async def _whole(self, exchange: _Exchange, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer; its row is on disk before it is sent."""
        await self._close(exchange, status)
        await self._begin(exchange, status, (*headers, ("content-length", str(len(body)))))
        await exchange.send({"type": "http.response.body", "body": body})

    async def _begin(self, exchange: _Exchange, status: int, headers: Headers) -> None:
        exchange.started = True
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        raw += [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in exchange.headers()]
        await exchange.send({"type": "http.response.start", "status": status, "headers": raw})

    async def _finish(self, exchange: _Exchange, last: bytes) -> None:
        """The last piece of a stream; its row is on disk before it is sent."""
        await self._close(exchange, 200)
        await exchange.send({"type": "http.response.body", "body": last})

    async def _refuse(self, exchange: _Exchange, refusal: _RefusalError) -> None:
        if exchange.row.status != "failed":
            exchange.note(status="refused", reason=refusal.code)
        body = json.dumps(_error(refusal.code, str(refusal))).encode()
        if exchange.started:  # only a stream that was being looked at has begun before it is refused
            await self._finish(exchange, b"data: " + body + b"\n\n")
            return
        retry = () if refusal.retry_after is None else (("retry-after", str(refusal.retry_after)),)
        await self._whole(exchange, refusal.status, (("content-type", "application/json"), *retry), body)

    async def _close(self, exchange: _Exchange, outcome: int) -> None:
        """Write the row of a request, count it and log it; whatever happens to its client, once."""
        if exchange.written:
            return
        exchange.written = True
        exchange.note(outcome=outcome, seconds=round(time.perf_counter() - exchange.begun, 6))
        row = exchange.row
        if self.audit is not None:
            with anyio.CancelScope(shield=True):
                await self.audit.write(row if self.settings.audit_text else replace(row, transcript=None))
        self.metrics.observe(row)
        log(row, text=self.settings.log_text)

    def _row(self, request: Request) -> Row:
        return Row(
            id=uuid.uuid4().hex,
            time=time.time(),
            key=None,
            model=None,
            task=None,
            policy=self.policy.name,
            rounds=0,
            verdict=None,
            status="passed",
            reason=self.settings.policy if request.method == "POST" else None,
            outcome=0,
            tokens_in=None,
            tokens_out=None,
            calls=0,
            unanswered=0,
            seconds=0.0,
        )

    def _headers(self, request: Request) -> Headers:
        """The client's headers for the upstream; its key for us is no business of the upstream's."""
        return tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if self.keys is None or name != b"authorization"
        )

    # --- operation -------------------------------------------------------------------------------------------------

    async def ready(self, _request: Request) -> Response:
        """Whether requests should be sent here: not while stopping, and only with an upstream that answers."""
        if self.draining():
            return JSONResponse({"status": "draining"}, status_code=503)
        if time.monotonic() > self._ready_until:
            try:
                with anyio.fail_after(2.0):
                    async with self.upstream.stream("GET", "/models", (), None) as streamed:
                        status = streamed.begun.status
            except (UpstreamError, TimeoutError) as error:
                said = str(error) or "the upstream did not answer in time"
                return JSONResponse({"status": "upstream", "detail": said}, status_code=503)
            if status >= 500 and status != 501:  # a server that lists no models may say that it does not
                return JSONResponse({"status": "upstream", "detail": f"status {status}"}, status_code=503)
            self._ready_until = time.monotonic() + _FRESH
        return JSONResponse({"status": "ready"})

    async def render(self, _request: Request) -> Response:
        """The counters."""
        kind, text = self.metrics.render()
        return Response(text, media_type=kind)


def build(settings: Settings) -> tuple[Starlette, Gateway]:
    """The application, and the gateway inside it.

    Raises:
        ValueError: A file that the settings name cannot be used.
    """
    gateway = Gateway(settings)

    async def healthy(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def described(_request: Request) -> Response:
        return JSONResponse(document(keys=gateway.keys is not None))

    endpoint: ASGIApp = gateway
    routes = [
        Route("/healthz", healthy),
        Route("/readyz", gateway.ready),
        Route("/metrics", gateway.render),
        Route("/openapi.json", described),
        Mount("/v1", endpoint),
    ]
    return Starlette(routes=routes, lifespan=gateway.running), gateway


def _key(settings: Settings) -> str | None:
    if settings.upstream_key_file is None:
        return None
    try:
        return settings.upstream_key_file.read_text("utf-8").strip()
    except OSError as error:
        name = str(settings.upstream_key_file)
        raise ValueError(
            f"upstream key {name!r} cannot be read ({error.strerror}); give a file that holds it"
        ) from None


def _error(code: str, said: str) -> dict[str, Any]:
    """An error in the form that OpenAI's clients read."""
    return {"error": {"message": said, "type": "secondlook_error", "param": None, "code": code}}


def _header(reply: Reply, name: str) -> str:
    return next((value for key, value in reply.headers if key.lower() == name), "")


def _words(looked: Looked) -> bool:
    return bool(looked.transcript.rounds)


def _why(looked: Looked) -> str:
    return looked.transcript.error or f"second look: {looked.reason}"


def _usage_of(body: bytes) -> Mapping[str, int | None]:
    """Tokens of an answer that was passed on, for the audit log."""
    try:
        usage = json.loads(body)["usage"]
        found = {"tokens_in": usage.get("prompt_tokens"), "tokens_out": usage.get("completion_tokens")}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: value if isinstance(value, int) else None for name, value in found.items()}
