"""Inspect's models as the loop's :class:`~secondlook.correction.chat.ChatModel`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from inspect_ai.event import ModelEvent
from inspect_ai.log import transcript
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
)
from inspect_ai.util import JSONSchema
from tenacity import RetryError

from secondlook.correction.chat import (
    Completion,
    Json,
    Message,
    ModelInfo,
    ServerError,
    TokenLogprob,
    Usage,
    WithheldError,
)
from secondlook.correction.digits import likeliest_number
from secondlook.correction.elicit import Form, Held
from secondlook.correction.held import LIKELIEST, REFUSES, ROOM, TURN, Server, hold
from secondlook.correction.likelihood import Place, shares_of
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


@runtime_checkable
class Local(Protocol):
    """A provider that has the model's logits."""

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> tuple[tuple[float, ...], int] | None:
        """Log-probability of each beginning of the next turn, and the tokens of the prompt."""
        ...


@dataclass(slots=True)
class Known(Server):
    """Known facts of a server, its tokens' probabilities among them.

    Attributes:
        logprobs: Whether it takes a request for them.
    """

    logprobs: bool = True


# By model and address, for the whole process: every arm, critic and judge has an InspectModel of its own, and what the
# server refuses is to be found out once.
_KNOWN: dict[tuple[str, str | None], Known] = {}


@dataclass(frozen=True, slots=True)
class InspectModel:
    """An Inspect model, any provider; it decodes greedily unless its configuration says otherwise.

    Attributes:
        model: The model.
        cache: Whether replies may come from Inspect's cache.
        confidence: Whether the server is asked how likely its tokens were.
        counter: File of the tokenizer that counts the tokens of calls whose cost is not told; nobody counts by default.
    """

    model: Model
    cache: bool = False
    confidence: bool = False
    counter: str | None = None

    def __post_init__(self) -> None:
        self._changes()  # puts our reader in place (`as_served`) before the first request

    @property
    def server(self) -> Known:
        """Known facts of the server, whichever arm found them out."""
        return _KNOWN.setdefault((str(self.model), self.model.api.base_url), Known())

    @property
    def info(self) -> ModelInfo:
        """Model as the provider describes it; a server keeps its revision and template to itself."""
        known = self.model.api.describe() if isinstance(self.model.api, Described) else ModelInfo("")
        decoding = json.loads(self.model.config.model_dump_json(exclude_none=True, exclude=_TRANSPORT))
        changed: dict[str, Json] = {"refused": sorted(changes, key=str)} if (changes := self._changes()) else {}
        counted_by: dict[str, Json] = {"tokens counted by": self.counter} if self.counter else {}
        return ModelInfo(
            name=str(self.model),
            revision=known.revision,
            chat_template=known.chat_template,
            prefix_stable=known.prefix_stable,
            decoding={**decoding, "temperature": self._temperature, **changed, **counted_by},
        )

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Generate one assistant turn.

        Raises:
            WithheldError: The model or a filter refused.
            Exception: Whatever the provider raises, after its retries; not what Inspect makes of it, which tells of
                the attempts or the request before the cause.
        """
        return await self._generate(messages, seed)

    async def choose(self, messages: Sequence[Message], form: Form, *, seed: int | None = None) -> Held:
        """Reply in a form: by the logits of a local model, or as the server can be held to it."""
        if isinstance(self.model.api, Local):
            if form.number and (number := await likeliest_number(partial(self.model.api.score, messages))):
                return Held(Completion(number.text, Usage(number.tokens_in, number.tokens_out, calls=1)), "logits")
            if not form.choices:
                return Held(await self._generate(messages, seed), TURN)
            if scored := await self.model.api.score(messages, form.choices):
                shares = shares_of(scored[0])
                chosen = form.choices[shares.index(max(shares))]
                return Held(Completion(chosen, Usage(input=scored[1], output=1, calls=1)), "logits", shares)

        async def ask(more: Mapping[str, Any]) -> Completion | None:
            try:
                return await self._generate(messages, seed, more)
            except Exception as error:
                if more and refused(error):
                    return None
                raise

        return await hold(ask, form, self.server)

    async def score(self, messages: Sequence[Message], place: Place) -> Sequence[float] | None:
        """Log-probability of each continuation, of a local model."""
        if not isinstance(self.model.api, Local):
            return None
        scored = await self.model.api.score(messages, [place.before + each for each in place.continuations])
        return scored and scored[0]

    async def _generate(
        self,
        messages: Sequence[Message],
        seed: int | None,
        more: Mapping[str, Any] | None = None,
        *,
        likely: bool = True,
    ) -> Completion:
        shown = inspect_messages(messages)
        # A seed means nothing to greedy decoding, and some servers refuse what they do not know.
        sampled = self._temperature > 0
        likely = likely and self.confidence and self.server.logprobs and not isinstance(self.model.api, Local)
        config = GenerateConfig(
            temperature=self._temperature,
            # The loop's seeds have 63 bits. The fast path takes the same remainder (`local/decoding.py`).
            seed=seed % 2**31 if sampled and seed is not None else None,
            logprobs=True if likely else None,
            top_logprobs=LIKELIEST if likely else None,
        )
        if more:
            config = config.merge(_held_to(more, self.model.config.extra_body or {}))
            config.max_tokens = max(ROOM, self.model.config.max_tokens or ROOM)
        try:
            output = await self.model.generate(shown, config=config, cache=self.cache)
        except Exception as raised:
            error = _cause(raised)
            # With `more` in it, a request may be refused for that: `choose` then tries the next way.
            if likely and not more and refused(error):
                answered = await self._generate(messages, seed, likely=False)
                # Only now: a request that is refused for its prompt's length, say, is so without this field too.
                self.server.logprobs = False
                return answered
            if "Timeout" in type(error).__name__:
                self._say_given_up(error)
            raise error from None
        if likely:
            _leave_out_of_log()
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
        """Parameters that the model refuses, if its server speaks chat completions and is read by our rules."""
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


def _held_to(more: Mapping[str, Any], body: Mapping[str, Any]) -> GenerateConfig:
    """Further fields of a request, as Inspect takes them; a schema it has a name for, in whatever provider."""
    if (form := more.get("response_format")) is None:
        # Inspect puts one `extra_body` in place of another and does not merge them.
        return GenerateConfig(extra_body={**body, **more})
    schema = form["json_schema"]
    return GenerateConfig(
        response_schema=ResponseSchema(
            name=schema["name"], json_schema=JSONSchema.model_validate(schema["schema"]), strict=True
        )
    )


def refused(error: BaseException) -> bool:
    """Whether a server refused what stood in a request."""
    return getattr(error, "status_code", None) in REFUSES


def _cause(error: Exception) -> BaseException:
    """Exception of the provider behind the one that Inspect raises."""
    if isinstance(error, RetryError):
        return error.last_attempt.exception() or error
    # Inspect's error for a refused request begins with the request; its cause is the provider's error, with the reason.
    if isinstance(error, RuntimeError) and hasattr(error, "provider_message") and error.__cause__ is not None:
        return error.__cause__
    return error


def _leave_out_of_log() -> None:
    """Take the log-probabilities out of the last call's entry in Inspect's log, which would be many times as large."""
    # The events are those of one sample, which makes its calls one after the other: the last one is this call's.
    call = next((event for event in reversed(transcript().events) if isinstance(event, ModelEvent)), None)
    for choice in call.output.choices if call else ():
        choice.logprobs = None


def _likelihoods(choice: ChatCompletionChoice) -> tuple[TokenLogprob, ...]:
    told = choice.logprobs
    return tuple(
        TokenLogprob(token.token, token.logprob, {other.token: other.logprob for other in token.top_logprobs or ()})
        for token in (told.content if told else ())
    )


def _completion(output: ModelOutput) -> Completion:
    """Completion by the rules for servers; Inspect makes some errors the model's own words."""
    if output.error:
        raise RuntimeError(output.error)
    if not output.choices:
        raise RuntimeError("the provider returned no choice")
    usage = Usage(calls=1, untold=1)
    if (told := output.usage) is not None:
        # Inspect's input tokens leave out those read from a cache or written to one; ours hold them.
        cached, written = told.input_tokens_cache_read or 0, told.input_tokens_cache_write or 0
        usage = Usage(told.input_tokens + cached + written, told.output_tokens, cached, calls=1)
    # Providers make "the prompt is too long" into a reply, which has no usage; a reply cut at its limit has one.
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
    reasoning = _reasoning(content) or read.thoughts
    return Completion(read.text, usage, read.finish, reasoning, _likelihoods(output.choices[0]))


def _reasoning(content: str | Sequence[Content]) -> str:
    parts = [] if isinstance(content, str) else [part for part in content if isinstance(part, ContentReasoning)]
    return "\n".join(part.reasoning for part in parts if part.reasoning and not part.redacted)
