"""Chat model as the loop needs it: messages in; text, token usage and finish reason out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "filter", "other"]
Json: TypeAlias = JsonValue


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several calls; adds up with ``+``.

    Attributes:
        input: Prompt tokens, those served from a prefix cache (``cached``) included.
        output: Generated tokens.
        calls: How many requests these tokens belong to.
        untold: How many answered requests beside them have a cost that the server did not tell; what all cost
            together is then unknown, and not the sum.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    calls: int = 0
    untold: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.calls + other.calls,
            self.untold + other.untold,
        )

    @property
    def total(self) -> int:
        """Input and output tokens together."""
        return self.input + self.output


class TokenLogprob(NamedTuple):
    """One token of a reply: its text, its log-probability, and those of the likeliest tokens in its place."""

    text: str
    logprob: float
    top: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Completion:
    """Reply of a model.

    Attributes:
        text: Its words.
        usage: What it cost.
        finish: Why it stopped.
        reasoning: What it thought before, where the server tells that apart.
        tokens: Its tokens, where the server tells how likely they were.
    """

    text: str
    usage: Usage
    finish: Finish = "stop"
    reasoning: str = ""
    tokens: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Facts of a model needed to run it again.

    Attributes:
        name: Provider and model, as the user wrote it.
        revision: Commit or content hash of the weights; ``None`` where the provider does not tell.
        chat_template: Short hash of the chat template; ``None`` where a server keeps it to itself.
        prefix_stable: Whether the template keeps earlier turns token for token (see
            :func:`secondlook.correction.prefix.rewritten_turn`); ``None`` where it cannot be seen.
        decoding: Decoding settings by name, e.g. ``{"temperature": 0.0, "max_tokens": 64}``.
    """

    name: str
    revision: str | None = None
    chat_template: str | None = None
    prefix_stable: bool | None = None
    decoding: Mapping[str, Json] = field(default_factory=dict)


class WithheldError(Exception):
    """The model, or a filter before it, refused: there is no reply in words, and asking again would bring none.

    Attributes:
        usage: What the call cost.
    """

    def __init__(self, said: str, usage: Usage | None = None) -> None:
        super().__init__(said)
        self.usage = usage or Usage(calls=1)


class ServerError(RuntimeError):
    """A server's reply that is no answer, in its own words; asking again at once would bring the same.

    Attributes:
        status_code: Status of the reply, where it was one of an error.
    """

    def __init__(self, said: str, status_code: int | None = None) -> None:
        super().__init__(said)
        self.status_code = status_code


class ChatModel(Protocol):
    """A language model as the loop sees it."""

    @property
    def info(self) -> ModelInfo:
        """Name, revision, template and decoding settings, for the record."""

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Continue a conversation, which ends with the user, by one assistant turn.

        ``seed`` makes a sampled reply repeatable where the provider supports it.

        Raises:
            WithheldError: If the model or a filter refused.
        """
