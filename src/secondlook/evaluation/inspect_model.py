"""Inspect's models as the loop's :class:`~secondlook.correction.chat.ChatModel`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentText,
    GenerateConfig,
    Model,
    ModelOutput,
)
from tenacity import RetryError

from secondlook.correction.chat import Completion, Json, Message, ModelInfo, ServerError, Usage, WithheldError
from secondlook.correction.reply import judged
from secondlook.evaluation.counting import counted
from secondlook.evaluation.progress import say_once

# How a request travels, not what is asked for: it changes no reply and stays out of the records.
_TRANSPORT = {
    "max_retries",
    "timeout",
    "attempt_timeout",
    "stream_idle_timeout",
    "max_connections",
    "adaptive_connections",
    "batch",
    "cache",
    "cache_prompt",
}
_MESSAGE = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


@runtime_checkable
class Described(Protocol):
    """A provider that can tell the revision of its weights and its chat template."""

    def describe(self) -> ModelInfo:
        """Revision, chat template and prefix stability."""
        ...


@dataclass(frozen=True, slots=True)
class InspectModel:
    """An Inspect model, any provider; it decodes greedily unless its configuration says otherwise.

    Attributes:
        model: The model.
        cache: Whether replies may come from Inspect's cache.
        counter: Who counts the tokens of calls whose cost is not told; nobody by default.
    """

    model: Model
    cache: bool = False
    counter: str | None = None

    def __post_init__(self) -> None:
        self._changes()

    @property
    def info(self) -> ModelInfo:
        """What the provider tells; a server keeps its revision and template to itself."""
        known = self.model.api.describe() if isinstance(self.model.api, Described) else ModelInfo("")
        decoding = json.loads(self.model.config.model_dump_json(exclude_none=True, exclude=_TRANSPORT))
        refused: dict[str, Json] = {"refused": sorted(changes, key=str)} if (changes := self._changes()) else {}
        counted_by: dict[str, Json] = {"tokens counted by": self.counter} if self.counter else {}
        return ModelInfo(
            name=str(self.model),
            revision=known.revision,
            chat_template=known.chat_template,
            prefix_stable=known.prefix_stable,
            decoding={**decoding, "temperature": self._temperature, **refused, **counted_by},
        )

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Generate one assistant turn.

        Raises:
            WithheldError: The model or a filter refused.
            Exception: Whatever the provider raises, after its retries; not what Inspect makes of it, which tells of
                the attempts or the request before the cause.
        """
        shown = inspect_messages(messages)
        if prefill:
            shown.append(ChatMessageAssistant(content=prefill))
        # A seed means nothing to greedy decoding, and some servers refuse what they do not know.
        sampled = self._temperature > 0
        config = GenerateConfig(
            temperature=self._temperature,
            seed=seed % 2**31 if sampled and seed is not None else None,
        )
        try:
            output = await self.model.generate(shown, config=config, cache=self.cache)
        except Exception as error:
            cause: BaseException | None = error
            if isinstance(error, RetryError):
                cause = error.last_attempt.exception()
            elif hasattr(error, "provider_message"):
                # Of a request that was refused Inspect tells all but the reason first; that is what it comes from.
                cause = error.__cause__
            if "Timeout" in type(cause or error).__name__:
                self._say_given_up(cause or error)
            raise cause or error from None
        completion = _completion(output)
        if self.counter is None or not completion.usage.untold:
            return completion
        return replace(completion, usage=counted(self.counter, messages, completion.text))

    def _say_given_up(self, error: BaseException) -> None:
        config = self.model.config
        held = config.max_connections or "as many requests in flight as Inspect found fit"
        limit = f"--timeout {config.attempt_timeout}" if config.attempt_timeout else "no --timeout"
        say_once(
            "given up",
            f"a request to {self.model} was given up ({' '.join(str(error).split()) or type(error).__name__}), with "
            f"{limit}, --stall {config.stream_idle_timeout} and --max-connections {held}. If the server is slow and "
            "not dead, raise the limit, or ask for fewer connections. The run goes on; the same command asks again "
            "what failed.",
        )

    def _changes(self) -> list[Json]:
        """What the model refuses in requests, if its server speaks chat completions, which is read by our rules."""
        if "openai" not in sys.modules:  # then no provider has loaded it, and nor need we
            return []
        from secondlook.evaluation.served import as_served

        served = as_served(self.model.api, self.model.config.stream_idle_timeout)
        return [*served.changes] if served else []

    @property
    def _temperature(self) -> float:
        return self.model.config.temperature or 0.0


def inspect_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """A conversation as Inspect has it."""
    return [_MESSAGE[message.role](content=message.content) for message in messages]


def _completion(output: ModelOutput) -> Completion:
    """What an output is, by the rules for servers; Inspect makes some errors the model's own words."""
    if output.error:
        raise RuntimeError(output.error)
    if not output.choices:
        raise RuntimeError("the provider returned no choice")
    usage = Usage(calls=1, untold=1)
    if (told := output.usage) is not None:
        cached, written = told.input_tokens_cache_read or 0, told.input_tokens_cache_write or 0
        usage = Usage(told.input_tokens + cached + written, told.output_tokens, cached, calls=1)
    elif output.stop_reason == "model_length":
        raise ServerError(output.completion)
    message = output.message
    content = message.content
    refusals = (
        [part.text for part in content if isinstance(part, ContentText) and part.refusal]
        if isinstance(content, list)
        else []
    )
    withheld = output.completion if output.stop_reason == "content_filter" else ""
    read = judged(
        output.completion, output.stop_reason, usage, refusal=" ".join(refusals), called=bool(message.tool_calls)
    )
    if read.kind == "refused":
        raise WithheldError(": ".join(filter(None, (read.said, withheld))), usage)
    if read.kind == "call":
        raise ServerError(read.said)
    return Completion(read.text, usage, read.finish)
