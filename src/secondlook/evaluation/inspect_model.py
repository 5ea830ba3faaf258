"""Inspect's models as the loop's :class:`~secondlook.correction.chat.ChatModel`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
)
from tenacity import RetryError

from secondlook.correction.chat import Completion, Finish, Message, ModelInfo, Usage

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
}
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
    """

    model: Model
    cache: bool = False

    @property
    def info(self) -> ModelInfo:
        """What the provider tells; a server keeps its revision and template to itself."""
        known = self.model.api.describe() if isinstance(self.model.api, Described) else ModelInfo("")
        decoding = json.loads(self.model.config.model_dump_json(exclude_none=True, exclude=_TRANSPORT))
        return ModelInfo(
            name=str(self.model),
            revision=known.revision,
            chat_template=known.chat_template,
            prefix_stable=known.prefix_stable,
            decoding={**decoding, "temperature": self._temperature},
        )

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Generate one assistant turn.

        Raises:
            Exception: Whatever the provider raises, after its retries; not what Inspect makes of it, which tells of
                the attempts or the request before the cause.
        """
        shown: list[ChatMessage] = [_MESSAGE[message.role](content=message.content) for message in messages]
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
        except RetryError as error:
            raise error.last_attempt.exception() or error from None
        except RuntimeError as error:
            # Of a request that was refused Inspect tells all but the reason first; that is what it comes from.
            if hasattr(error, "provider_message") and error.__cause__ is not None:
                raise error.__cause__ from None
            raise
        return _completion(output)

    @property
    def _temperature(self) -> float:
        return self.model.config.temperature or 0.0


def _completion(output: ModelOutput) -> Completion:
    if output.error:
        raise RuntimeError(output.error)
    if not output.choices:
        raise RuntimeError("the provider returned no choice")
    usage = output.usage
    cached = (usage.input_tokens_cache_read or 0) if usage else 0
    written = (usage.input_tokens_cache_write or 0) if usage else 0
    return Completion(
        text=output.completion,
        usage=Usage(
            input=usage.input_tokens + cached + written if usage else 0,
            output=usage.output_tokens if usage else 0,
            cached=cached,
            calls=1,
        ),
        finish=_FINISH.get(output.stop_reason, "other"),
    )
