"""The ``secondlook/…`` model provider for Inspect: a local checkpoint, requests gathered into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from secondlook.correction.chat import Message, ModelInfo
from secondlook.local.cache import CachedPrefix, check_keeps_positions
from secondlook.local.model import DecodingSettings, Generated, LocalModel
from secondlook.local.scoring import ScoreRequest, score_all

_REPLY_TOKENS = 64
_STOP = {"stop": "stop", "length": "max_tokens"}


@dataclass(slots=True)
class _Request:
    prompt: list[int]
    settings: DecodingSettings
    reply: asyncio.Future[Generated]


class LocalProvider(ModelAPI):
    """Serves a shipped checkpoint (``secondlook/planted``) or a folder (``secondlook//path/to/checkpoint``).

    Model args: ``device``; ``max_batch``, requests in one batch (default 128); ``window``, seconds to wait for
    company before the first batch (default 0.02; later batches take what has gathered meanwhile).

    Raises:
        ValueError: If there is no such checkpoint, or an argument is out of range.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        device: str | None = None,
        max_batch: int = 128,
        window: float = 0.02,
    ) -> None:
        if max_batch < 1 or window < 0:
            raise ValueError(f"max_batch is {max_batch} and window {window}; give at least 1 and at least 0 seconds")
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._model = LocalModel(model_name, device)
        self._max_batch, self._window = max_batch, window
        self._waiting: list[_Request] = []
        self._worker: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def local(self) -> LocalModel:
        """The model behind the provider."""
        return self._model

    def describe(self) -> ModelInfo:
        """Revision, chat template and prefix stability of the checkpoint."""
        return self._model.info

    async def score(
        self, messages: Sequence[Message], continuations: Sequence[str]
    ) -> tuple[tuple[float, ...], int] | None:
        """Log-probability of each beginning of the next turn, and the tokens before; ``None`` where layers do not tell.

        Raises:
            ValueError: If the prompt is too long.
        """
        try:
            check_keeps_positions(self._model)
        except ValueError:
            return None
        ids = self._model.encode_all([(*messages, Message("assistant", text)) for text in continuations])
        (scored,) = await asyncio.to_thread(score_all, self._model, [ScoreRequest(ids, CachedPrefix())])
        if isinstance(scored, ValueError):
            raise scored
        return scored.logprobs, scored.tokens_in

    def max_connections(self) -> int:
        """Enough requests in flight to fill a batch."""
        return self._max_batch

    def should_retry(self, ex: BaseException) -> bool:
        """A local model fails the same way twice."""
        del ex
        return False

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002 - Inspect's name
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Wait for a batch, and return this request's reply.

        Raises:
            ValueError: If tools are offered, which these checkpoints cannot use, or the prompt is too long.
        """
        del tool_choice
        if tools:
            raise ValueError(f"model secondlook/{self.model_name} cannot call tools; run it without them")
        messages = [Message(message.role, message.text) for message in input]  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # Inspect keeps a model for later runs; what an earlier run left unfinished ended with its loop.
            self._loop, self._waiting, self._worker = loop, [], None
        request = _Request(self._model.encode(messages), settings_of(config), loop.create_future())
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return self._output(await request.reply)

    async def _work(self) -> None:
        await asyncio.sleep(self._window)
        while batch := self._next_batch():
            for request, reply in zip(batch, await asyncio.to_thread(self._replies, batch), strict=True):
                if request.reply.done():  # its caller was cancelled meanwhile
                    continue
                if isinstance(reply, Exception):
                    request.reply.set_exception(reply)
                else:
                    request.reply.set_result(reply)
        self._worker = None

    def _replies(self, batch: list[_Request]) -> list[Generated | Exception]:
        """The replies of a batch; one that fails is asked for again one by one, so that only the cause fails."""
        try:
            return [*self._model.generate([request.prompt for request in batch], batch[0].settings)]
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [reply for request in batch for reply in self._replies([request])]

    def _next_batch(self) -> list[_Request]:
        """The oldest request and those like it (equal settings, nearest length); none if nobody waits."""
        self._waiting = [request for request in self._waiting if not request.reply.done()]
        if not self._waiting:
            return []
        first = self._waiting[0]
        # A seed sets the one generator from which every row of a batch would draw.
        alone = first.settings.temperature > 0 and first.settings.seed is not None
        alike = [request for request in self._waiting if request.settings == first.settings]
        alike.sort(key=lambda request: abs(len(request.prompt) - len(first.prompt)))
        batch = [first] if alone else alike[: self._max_batch]
        taken = {id(request) for request in batch}
        self._waiting = [request for request in self._waiting if id(request) not in taken]
        return batch

    def _output(self, reply: Generated) -> ModelOutput:
        output = ModelOutput.from_content(
            model=f"secondlook/{self.model_name}",
            content=reply.text,
            stop_reason=_STOP[reply.finish],  # type: ignore[arg-type]
        )
        output.usage = ModelUsage(
            input_tokens=reply.tokens_in,
            output_tokens=reply.tokens_out,
            total_tokens=reply.tokens_in + reply.tokens_out,
        )
        return output


def settings_of(config: GenerateConfig) -> DecodingSettings:
    """Decoding settings of a request."""
    return DecodingSettings(
        max_tokens=config.max_tokens or _REPLY_TOKENS,
        temperature=config.temperature or 0.0,
        top_p=config.top_p or 1.0,
        seed=config.seed,
    )
