"""Whether requests should be sent here: a model has answered, or answers now."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from secondlook.correction.chat import Message
from secondlook.gateway.conversation import Bill, ReplyError, UpstreamModel
from secondlook.gateway.dialects import DIALECTS
from secondlook.gateway.request import Chat
from secondlook.gateway.upstream import Tally, Upstream, UpstreamError

_FRESH = 60.0  # seconds for which an answer proves that there are answers
_SOON = 5.0  # seconds for which a failure stands
_IN_A_ROW = 3  # failures of a command after which it is not taken for an accident
_PATIENCE = 10.0  # seconds that a model has to say one word


class Readiness:
    """Asks a model for one word, unless a client had an answer of late.

    Args:
        upstream: The model's server.
        proof: ``model``: a model must answer; ``server``: the server must be there, for one that wants clients' keys.
        model: Name of the model to ask; by default one of the server's.
        preferred: Which of these goes first.
        clock: Gives seconds.
    """

    def __init__(
        self,
        upstream: Upstream,
        proof: str,
        model: str | None,
        preferred: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream, self._proof, self._name, self._preferred = upstream, proof, model, preferred
        self._clock = clock
        self._said: str | None = "no model was asked yet"
        self._until = 0.0
        self._failures, self._failed = 0, 0.0

    def answered(self) -> None:
        """A client had an answer."""
        self._said, self._until = None, self._clock() + _FRESH

    def examined(self, *, failed: bool) -> None:
        """A command has examined an answer, or failed to."""
        self._failures = self._failures + 1 if failed else 0
        self._failed = self._clock()

    def without_critic(self) -> str | None:
        """Fault of the command that examines; ``None`` if it works, or was given a while to recover."""
        if self._failures < _IN_A_ROW or self._clock() > self._failed + _FRESH:
            return None
        return f"the critic's command failed on the last {self._failures} answers; the log says why"

    async def missing(self) -> str | None:
        """Reason why the gateway is not ready; ``None`` if it is."""
        if self._clock() >= self._until:
            self._said = await self._heard(self._model if self._proof == "model" else self._server)
            self._until = self._clock() + (_FRESH if self._said is None else _SOON)
        return self._said

    async def unreachable(self) -> str | None:
        """Reason why no server answers, asked now; ``None`` if one does, whether or not its models do."""
        return await self._heard(self._server)

    @staticmethod
    async def _heard(ask: Callable[[], Awaitable[str | None]]) -> str | None:
        try:
            with anyio.fail_after(_PATIENCE):
                return await ask()
        except UpstreamError as error:
            return str(error)
        except TimeoutError:
            return "the upstream did not answer in time"

    async def _server(self) -> str | None:
        reply = await self._upstream.send("GET", "/models", (), None, Tally())
        # One that lists no models may say that it does not; these say that there is no server to be had.
        return f"the upstream answered with status {reply.status}" if reply.status in (502, 503, 504) else None

    async def _model(self) -> str | None:
        name = self._name or await self._listed()
        if name is None:
            return "the upstream lists no models; name one that may be asked: ready_model"
        # Some servers do nothing but stream.
        for stream in (False, True):
            if (said := await self._ask(name, stream=stream)) is None:
                return None
        return said

    async def _ask(self, name: str, *, stream: bool) -> str | None:
        request: dict[str, Any] = {"model": name, "messages": [{"role": "user", "content": "Hello."}], "stream": stream}
        chat = Chat(request, tuple(request["messages"]), "Hello.", name, stream=stream, transcript=False, asked=False)
        headers = (("Content-Type", "application/json"),)
        model = UpstreamModel(self._upstream, DIALECTS["/chat/completions"], chat, headers, Bill(), {}, limit=1)
        try:
            await model.complete([Message("user", "Hello.")])
        except ReplyError as error:
            if error.reply.status in (401, 403):
                return f'model {name!r} cannot be asked ({error}); give upstream_key_file, or set ready = "server"'
            # One word may be too little to say anything in; it was asked all the same.
            return None if error.sound else f"model {name!r} cannot be asked ({error})"
        return None

    async def _listed(self) -> str | None:
        reply = await self._upstream.send("GET", "/models", (), None, Tally())
        try:
            names = [str(model["id"]) for model in json.loads(reply.body)["data"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        return next(filter(self._preferred, names), names[0] if names else None)
