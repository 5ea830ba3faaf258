"""A client's conversation as the correction loop sees it, and the upstream as its model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from secondlook.correction.chat import Completion, Finish, Message, ModelInfo, Usage
from secondlook.gateway.request import Chat, dumped
from secondlook.gateway.upstream import Headers, Tally, Upstream, UpstreamReply
from secondlook.prompts.prompt import Prompt
from secondlook.prompts.worded import Worded

COMPLETIONS = "/chat/completions"
_FINISH: Mapping[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "filter"}
_ANSWERS_ONLY = frozenset(
    ("response_format", "logprobs", "top_logprobs", "stop", "max_tokens", "max_completion_tokens", "prediction",
     "verbosity")
)  # fmt: skip
"""Fields that a check does without: they are about the form of the answer."""


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
        """None of ours: the client's conversation has its own, or none."""
        return None

    def question(self) -> str:
        """The client's own words."""
        return self.text

    def grade(self, answer: str) -> bool | None:  # noqa: ARG002
        """Nobody knows."""
        return None


@dataclass(slots=True)
class Bill:
    """What the upstream was asked for one request, calls that failed too.

    Attributes:
        tally: Requests sent.
        answers: Replies to requests for an answer, as they came.
        usages: What each call cost, as the upstream said it: kind of call, and its ``usage``.
    """

    tally: Tally = field(default_factory=Tally)
    answers: list[UpstreamReply] = field(default_factory=list)
    usages: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UpstreamModel:
    """The upstream as the loop's model, for one request.

    Attributes:
        upstream: The server.
        chat: What the client asked.
        headers: The client's.
        bill: Counts all calls.
        limit: Tokens that a critique may have, for a model that examines; ``None`` for one that answers.
    """

    upstream: Upstream
    chat: Chat
    headers: Headers
    bill: Bill
    limit: int | None = None

    def examining(self, name: str | None, limit: int) -> UpstreamModel:
        """The model that examines, for the same request.

        Args:
            name: Another model's; ``None``: that of the request.
            limit: Tokens that a critique may have.
        """
        return replace(self, chat=replace(self.chat, model=name or self.chat.model), limit=limit)

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return ModelInfo(self.chat.model)

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Continue the conversation; the client's own seed is left as it is.

        Raises:
            UpstreamError: There was no answer.
            ReplyError: There was one, but it is none in words.
        """
        del prefill, seed
        reply = await self.upstream.send("POST", COMPLETIONS, self.headers, self._body(messages), self.bill.tally)
        if self.limit is None:
            self.bill.answers.append(reply)
        return self._read(reply)

    def _body(self, messages: Sequence[Message]) -> bytes:
        """The request; the client's messages stand in it as they came."""
        first, *later = messages
        assert first.role == "user"
        turns = [*self.chat.earlier, self.chat.question, *({"role": m.role, "content": m.content} for m in later)]
        fields = {name: value for name, value in self.chat.fields.items() if name not in ("stream", "stream_options")}
        if self.limit is not None:
            limit = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
            fields = {key: value for key, value in fields.items() if key not in _ANSWERS_ONLY}
            fields |= {"model": self.chat.model, limit: self.limit}
        return dumped({**fields, "messages": turns})

    def _read(self, reply: UpstreamReply) -> Completion:
        if reply.status != 200:
            raise ReplyError(reply, f"the upstream answered with status {reply.status}")
        try:
            answer = json.loads(reply.body)
            (choice,) = answer["choices"]
            message, usage = dict(choice["message"]), dict(answer.get("usage") or {})
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ReplyError(reply, "the upstream's answer is no chat completion") from None
        self.bill.usages.append(("answer" if self.limit is None else "critique", usage))
        text = message.get("content")
        if message.get("tool_calls") or message.get("refusal") or not isinstance(text, str) or not text.strip():
            raise ReplyError(reply, "the upstream's answer has no words", sound=True)
        return Completion(text, _usage(usage), _FINISH.get(str(choice.get("finish_reason")), "other"))


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached), calls=1)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
