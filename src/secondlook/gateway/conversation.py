"""A client's conversation as the correction loop sees it, and the upstream as its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from secondlook.correction.chat import Completion, Finish, Message, ModelInfo, Usage
from secondlook.correction.elicit import Form, Held
from secondlook.correction.events import dumped, read_events
from secondlook.correction.held import LIKELIEST, REFUSES, ROOM, TURN, Server, hold
from secondlook.correction.parameters import adapted, repeated, without_form
from secondlook.correction.reply import error_of, likely_tokens
from secondlook.gateway.dialects import Dialect
from secondlook.gateway.logs import LOGGER
from secondlook.gateway.request import Chat
from secondlook.gateway.upstream import Headers, Tally, Upstream, UpstreamReply
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded


class ReplyError(Exception):
    """The upstream answered with something that is no answer in words.

    Attributes:
        reply: What it answered.
        sound: Whether it is a proper answer all the same, such as a call of a tool, and no failure.
    """

    def __init__(self, reply: UpstreamReply, said: str, *, sound: bool = False) -> None:
        super().__init__(said)
        self.reply = reply
        self.sound = sound


@dataclass(frozen=True, slots=True)
class OpenCase(Worded):
    """A question whose truth nobody knows (see :class:`secondlook.correction.Case`).

    Attributes:
        id: Of the request.
        text: The question.
        file: The words of check and requests.
    """

    id: str
    text: str
    file: Prompt

    @property
    def sample(self) -> str:
        """Identifier of the request."""
        return self.id

    @property
    def system(self) -> str | None:
        """No system message of ours: the client's conversation has its own, or none."""
        return None

    def question(self) -> str:
        """The client's own words."""
        return self.text

    def grade(self, answer: str, finish: Finish = "stop") -> bool | None:  # noqa: ARG002
        """No truth: nobody knows whether the answer is right."""
        return None


@dataclass(slots=True)
class Bill:
    """Calls that one request cost upstream, failed ones too.

    Attributes:
        tally: Requests sent.
        answers: Replies to requests for an answer, as they came and decoded.
        usages: What each call cost, as the upstream said it: kind of call, and its ``usage``; ``None`` if it was not
            said.
        changes: What the model refused in requests of ours, and was left out or renamed.
    """

    tally: Tally = field(default_factory=Tally)
    answers: list[tuple[UpstreamReply, dict[str, Any]]] = field(default_factory=list)
    usages: list[tuple[str, Mapping[str, Any] | None]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UpstreamModel:
    """The upstream as the loop's model, for one request; asked as the client asks, in a stream or whole.

    Attributes:
        upstream: The server.
        dialect: The interface that the client uses.
        chat: What the client asked.
        headers: The client's.
        bill: Counts all calls.
        known: What models are known to refuse in requests of ours: changes by model and kind of call.
        limit: Tokens that a critique may have, for a model that examines; ``None`` for one that answers.
        servers: How models are known to be held to choices, by name.
        likely: Whether one that examines is asked how likely its tokens were.
    """

    upstream: Upstream
    dialect: Dialect
    chat: Chat
    headers: Headers
    bill: Bill
    known: dict[tuple[str, str], list[str]]
    limit: int | None = None
    servers: dict[str, Server] = field(default_factory=dict)
    likely: bool = False

    def examining(self, name: str | None, limit: int) -> UpstreamModel:
        """The model that examines, for the same request.

        Args:
            name: Another model's; ``None``: that of the request.
            limit: Tokens that a critique may have.
        """
        return replace(self, chat=replace(self.chat, model=name or self.chat.model), limit=limit)

    @property
    def info(self) -> ModelInfo:
        """Known facts of the model."""
        return ModelInfo(self.chat.model)

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Continue the conversation; the client's own seed is left as it is.

        Raises:
            UpstreamError: There was no answer.
            ReplyError: There was one, but it is none in words.
        """
        del seed
        return await self._complete(messages, {}, self.limit)

    async def choose(self, messages: Sequence[Message], form: Form, *, seed: int | None = None) -> Held:
        """Reply in a form, as the upstream can be held to it.

        Raises:
            UpstreamError: There was no answer.
            ReplyError: There was one, but it is none in words.
        """
        del seed

        async def ask(more: Mapping[str, Any]) -> Completion | None:
            try:
                return await self._complete(messages, more, limit)
            except ReplyError as error:
                if more and error.reply.status in REFUSES:
                    return None
                raise

        limit = None if self.limit is None else max(self.limit, ROOM)
        way = None if self.dialect.held else TURN
        return await hold(ask, form, self.servers.setdefault(self.chat.model, Server(way)))

    async def _complete(self, messages: Sequence[Message], more: Mapping[str, Any], limit: int | None) -> Completion:
        kind = "answer" if self.limit is None else "critique"
        reply, body = await self._asked({**self._request(messages, limit), **more}, kind, tuple(more))
        read = self.dialect.read(body)
        if self.limit is None:
            # One call for each round, so answers[n] is the reply of round n. A call that fails is the last one.
            self.bill.answers.append((reply, body))
        if reply.status != 200:
            said = error_of(body)
            raise ReplyError(reply, f"the upstream answered with status {reply.status}{f': {said}' if said else ''}")
        if read.kind == "error":
            raise ReplyError(reply, read.said)
        usage = body.get("usage")
        self.bill.usages.append((kind, usage if read.usage and isinstance(usage, dict) else None))
        if read.kind != "words":
            raise ReplyError(reply, read.said, sound=True)
        tokens = likely_tokens(body) if self.likely and self.limit is not None else ()
        return Completion(read.text, read.usage or Usage(calls=1, untold=1), read.finish, tokens=tokens)

    def _request(self, messages: Sequence[Message], limit: int | None) -> dict[str, Any]:
        """The request; the client's turns stand in it as they came."""
        # The loop's first message stands for the client's turns, which may be many and hold parts.
        first, *later = messages
        assert first.role == "user"
        made = dict(self.chat.request)
        if later:
            made[self.dialect.turns] = [*self.chat.turns, *({"role": m.role, "content": m.content} for m in later)]
        if limit is not None:
            plain = {name: value for name, value in without_form(made).items() if name not in self.dialect.form}
            # `made` still has the client's own limit, whose name shows what the server calls one; `plain` has lost it.
            made = plain | {"model": self.chat.model} | self.dialect.limited(made, limit)
            made |= {"logprobs": True, "top_logprobs": LIKELIEST} if self.likely else {}
        return made | self.dialect.counted(made) if self.chat.stream else made

    async def _asked(
        self, request: dict[str, Any], kind: str, fixed: Sequence[str] = ()
    ) -> tuple[UpstreamReply, dict[str, Any]]:
        """A call, made again without what its model refuses in it; only what is ours is changed, if not ``fixed``."""
        known = self.known.setdefault((self.chat.model, kind), [])
        # A check may lose any field; an answer only those that we added (stream_options), none of the client's.
        ours = None if kind == "critique" else tuple(request.keys() - self.chat.request.keys())
        if fixed:
            # The fields that hold a reply to its form stay: if they are refused, `hold` tries its next way.
            ours = tuple(name for name in request if name not in fixed)
        request, tried = repeated(request, known), set[str]()
        while True:
            reply = await self.upstream.send("POST", self.dialect.path, self.headers, dumped(request), self.bill.tally)
            body = self._decoded(reply)
            changed = adapted(request, reply.status, body, ours)
            if changed is None or changed[1] in tried:  # refused again under its other name
                break
            request, change = changed
            tried.add(change)
            # Added in place: later requests of the same model read this list.
            known += [change] * (change not in known)
            LOGGER.info("adapted", extra={"fields": {"model": self.chat.model, "call": kind, "refused": change}})
        self.bill.changes += [change for change in known if change not in self.bill.changes]
        return reply, body

    def _decoded(self, reply: UpstreamReply) -> dict[str, Any]:
        """The body of a reply; of a stream, what it amounts to."""
        if reply.streamed:
            return self.dialect.gathered(read_events(reply.body))
        try:
            body = json.loads(reply.body)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}
