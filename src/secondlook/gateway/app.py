"""The application: who may come in, what is passed on, what is looked at twice, and a row for each request."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from secondlook.correction.events import dumped
from secondlook.correction.reply import usage_of
from secondlook.gateway.audit import Audit, AuditRow
from secondlook.gateway.dialects import DIALECTS
from secondlook.gateway.examining import Examined
from secondlook.gateway.exchange import GONE, Exchange
from secondlook.gateway.keys import Keys
from secondlook.gateway.limits import Limits, read_body
from secondlook.gateway.logs import LOGGER, log
from secondlook.gateway.metrics import Metrics
from secondlook.gateway.openapi import document
from secondlook.gateway.paths import below_v1, climbs
from secondlook.gateway.policy import TASK, Policy
from secondlook.gateway.ready import Readiness
from secondlook.gateway.refusal import RETRY_AFTER, RefusalError
from secondlook.gateway.request import EXTENSION, Passed, read_request
from secondlook.gateway.second_look import SecondLook, failure_of
from secondlook.gateway.settings import GatewaySettings
from secondlook.gateway.upstream import Headers, Upstream, UpstreamError

_EXTENSION = f'"{EXTENSION}"'.encode()


class Gateway:
    """The gateway; an ASGI application for everything below ``/v1``, wherever a client looks for it.

    Args:
        settings: All of them.
        limits: Of this process; by default it is the only one.

    Raises:
        ValueError: A file they name cannot be used.
    """

    def __init__(self, settings: GatewaySettings, limits: Limits | None = None) -> None:
        self.settings = settings
        self.policy = Policy(settings)
        self.keys = Keys.load(settings.keys_file) if settings.keys_file else None
        self.limits = limits or Limits(settings.max_in_flight)
        self.metrics = Metrics(lambda: self.limits.in_flight)
        self.audit = Audit(settings.audit_file) if settings.audit_file else None
        self.draining: Callable[[], bool] = lambda: False
        self.upstream = Upstream(
            settings.upstream,
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
            retries=settings.retries,
            retry_uncertain=settings.retry_uncertain,
            key=settings.upstream_key(),
            proxies=settings.proxies,
        )
        self.second_look = SecondLook(settings, self.upstream, self._examined)
        self.readiness = Readiness(self.upstream, settings.ready, settings.ready_model, self.policy.diagnosed)

    @asynccontextmanager
    async def running(self, _app: object = None) -> Any:
        """Connections and the audit log, for as long as the server runs."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.upstream)
            if self.audit is not None:
                await stack.enter_async_context(self.audit)
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below ``/v1``."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        row = AuditRow(id=uuid.uuid4().hex, time=time.time(), policy=self.policy.name, reason="endpoint")
        exchange = Exchange(send, row, self._keep)
        try:
            exchange.leave = self.limits.admit()
            await self._attend(request, exchange)
        except RefusalError as refusal:
            await exchange.refuse(refusal)
        # Only reading the body raises it bare; one from inside the task group comes as an ExceptionGroup.
        except TimeoutError:
            said = f"the body took longer than {self.settings.timeout:g} s"
            await exchange.refuse(RefusalError(408, "slow", said))
        except ClientDisconnect:
            await exchange.keep_row_unseen(GONE)
        except Exception:
            LOGGER.exception("our own failure", extra={"fields": {"id": exchange.row.id}})
            if exchange.started:
                await exchange.keep_row_unseen(500)
            else:
                await exchange.refuse(RefusalError(500, "internal", "the gateway failed; it is logged"))
        finally:
            exchange.leave()

    async def _attend(self, request: Request, exchange: Exchange) -> None:
        """Read a request, then answer it until it is answered or its client goes away."""
        if self.keys is not None:
            name = self.keys.check(request.headers.get("authorization"), request.headers.get("x-api-key"))
            if name is None:
                said = "the key is missing or unknown; send Authorization: Bearer KEY, or x-api-key: KEY"
                raise RefusalError(401, "invalid_api_key", said)
            exchange.note(key=name)
        with anyio.fail_after(self.settings.timeout):
            body = await read_body(request, self.settings.max_body)
        done = False
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                # The body has been read, so only the disconnect can still come.
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                await self._answer(request, body, exchange)
            # Caught in here: the task group would wrap it in an ExceptionGroup, which is no refusal to the caller.
            except RefusalError as refusal:
                await exchange.refuse(refusal)
            done = True
            # This ends the watcher; the group would otherwise wait until the client closes its connection.
            group.cancel_scope.cancel()
        if not done:
            await exchange.keep_row_unseen(GONE)

    async def _answer(self, request: Request, body: bytes, exchange: Exchange) -> None:
        # Still quoted, so that a %2F inside a name stays one. ASGI servers may leave raw_path out.
        raw = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1")
        path = below_v1(raw)
        if path is None or climbs(path):
            said = f"there is no {raw}; the interface lies below /v1, POST /v1/chat/completions for one"
            raise RefusalError(404, "not_found", said)
        dialect = DIALECTS.get(path) if request.method == "POST" else None
        if dialect is not None:
            exchange.note(reason=self.policy.name)
        if dialect is not None and self._may_look(request, body):
            found = read_request(body, dialect, images=self.settings.images)
            exchange.note(model=found.model, task=request.headers.get(TASK))
            if isinstance(found, Passed):
                exchange.note(reason=found.reason)
                body = body if found.body is None else found.body
            else:
                decision = self.policy.decide(found.model, request.headers)
                exchange.note(reason=decision.reason)
                escalated = self.settings.on_failure == "escalate" and decision.undecided
                if decision.rounds or escalated:
                    await self.second_look.answer(dialect, found, self._headers(request), decision, exchange)
                    return
                body = dumped(found.request) if found.asked else body
        query = request.scope["query_string"].decode("latin-1")
        await self._pass(request, path + (f"?{query}" if query else ""), body, exchange)

    def _may_look(self, request: Request, body: bytes) -> bool:
        """Whether a request's body has to be read: under ``never``, and nothing else asked, it need not."""
        # The audit log names the model of every request, so with one the body is read too.
        asks = any(name.startswith("x-secondlook-") for name in request.headers) or _EXTENSION in body
        return self.settings.policy != "never" or asks or self.settings.audit_file is not None

    async def _pass(self, request: Request, path: str, body: bytes, exchange: Exchange) -> None:
        """Pass a request on, byte for byte, and its answer back."""
        headers = self._headers(request)
        try:
            async with self.upstream.stream(request.method, path, headers, body or None, exchange.tally) as streamed:
                begun = streamed.begun
                if begun.streamed:
                    await exchange.begin(begun.status, begun.headers)
                    async for chunk in streamed.chunks:
                        await exchange.piece(chunk)
                else:
                    whole = b"".join([chunk async for chunk in streamed.chunks])
            # The row is kept only here, where the call counts as answered.
            if begun.streamed:
                await exchange.end_stream(begun.status)
                return
            # The row has the usage and is kept before the answer ends, so the body is gathered first.
            if self.audit is not None:
                exchange.note(**_usage_of(whole))
            await exchange.end_whole(begun.status, begun.headers, whole)
        except UpstreamError as error:
            if exchange.started:
                # What broke off there breaks off here: an end that is not marked as one tells the client.
                await exchange.keep_row(502)
                return
            raise RefusalError(*failure_of(error)) from None

    async def _keep(self, row: AuditRow) -> None:
        """Write the row of a request, count it and log it."""
        if self.audit is not None:
            try:
                # log_text alone puts the transcript into the row too.
                await self.audit.write(row if self.settings.audit_text else replace(row, transcript=None))
            except OSError as error:
                # An answer that cannot be accounted for is not given.
                LOGGER.exception("audit failed", extra={"fields": {"id": row.id}})
                raise RefusalError(503, "audit_failed", str(error), RETRY_AFTER) from None
        self.metrics.observe(row)
        # An answer of another endpoint (a list of models) or an error that came with 200 proves no model.
        if row.outcome == 200 and row.reason not in ("endpoint", "upstream"):
            self.readiness.answered()
        log(row, text=self.settings.log_text)

    def _examined(self, critic: str, request: str, outcome: Examined, fault: str | None) -> None:
        """Count what a critic did, and log what went wrong."""
        self.metrics.examined(critic, outcome)
        if critic == "tool":
            self.readiness.examined(failed=outcome == "failed")
        if outcome == "failed":
            LOGGER.warning("critic failed", extra={"fields": {"id": request, "critic": critic, "fault": fault}})

    def _headers(self, request: Request) -> Headers:
        """The client's headers for the upstream; its key for us is no business of the upstream's."""
        return tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if self.keys is None or name not in (b"authorization", b"x-api-key")
        )

    async def ready(self, _request: Request) -> Response:
        """Whether requests should be sent here: not while stopping, and only where a model answers."""
        if self.draining():
            return JSONResponse({"status": "draining"}, status_code=503)
        if (said := self.readiness.without_critic()) is not None:
            return JSONResponse({"status": "critic", "detail": said}, status_code=503)
        if (said := await self.readiness.missing()) is not None:
            return JSONResponse({"status": "upstream", "detail": said}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def render(self, _request: Request) -> Response:
        """The counters."""
        kind, text = self.metrics.render()
        return Response(text, media_type=kind)


def build(settings: GatewaySettings, limits: Limits | None = None) -> tuple[Starlette, Gateway]:
    """The application, and the gateway inside it.

    Args:
        settings: The gateway's.
        limits: Of this process; by default it is the only one.

    Raises:
        ValueError: A file that the settings name cannot be used.
    """
    gateway = Gateway(settings, limits)

    async def healthy(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def described(_request: Request) -> Response:
        return JSONResponse(document(keys=gateway.keys is not None))

    routes = [
        Route("/healthz", healthy),
        Route("/readyz", gateway.ready),
        Route("/metrics", gateway.render),
        Route("/openapi.json", described),
        Mount("/", gateway),
    ]
    return Starlette(routes=routes, lifespan=gateway.running), gateway


def _usage_of(body: bytes) -> Mapping[str, int | None]:
    """Tokens of an answer that was passed on, for the audit log."""
    try:
        usage = usage_of(json.loads(body).get("usage"))
    except (ValueError, AttributeError, RecursionError):
        usage = None
    return {"tokens_in": usage.input, "tokens_out": usage.output} if usage else {}
