"""Many conversations in lock-step through local models: the fast path of controlled studies.

Every conversation is held by ``secondlook.correction.run``, the same loop as everywhere. What differs is the
model: it waits until all conversations that are still going on have asked it, and then replies to all at once,
computing of each prompt only what its conversation has not been through before::

    model = LockstepModel(LocalModel("planted"), DecodingSettings(max_tokens=16))
    transcripts = run_lockstep(model, ModelCritic(model), cases, Plan(rounds=3))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio

from secondlook.correction.case import Case
from secondlook.correction.chat import Completion, Json, Message, ModelInfo, Usage
from secondlook.correction.critics.protocol import Critic
from secondlook.correction.digits import likeliest_number
from secondlook.correction.elicit import Form, Held
from secondlook.correction.held import TURN
from secondlook.correction.likelihood import Place, shares_of
from secondlook.correction.loop import run
from secondlook.correction.plan import Plan
from secondlook.correction.transcript import Transcript
from secondlook.local.batcher import CONVERSATION, CallBatcher, LiveConversation, ModelCall
from secondlook.local.cache import CachedPrefix
from secondlook.local.engine import BatchEngine, Counts, PromptRequest
from secondlook.local.memory import conversations_at_once
from secondlook.local.model import DecodingSettings, LocalModel
from secondlook.local.scoring import Scored, ScoreRequest, score_all

T = TypeVar("T")


class LockstepModel:
    """A local model whose replies are computed for all conversations of ``run_lockstep`` together.

    Replies are those the model gives to each prompt alone, up to the rounding of sums, which depends on the shape of
    a batch. A sampled reply is drawn from its request's seed, whatever the company.

    Args:
        model: The model.
        settings: How to decode.
        name: What the records call the model; by default ``secondlook/`` and the checkpoint's name.
        max_batch: Conversations computed at once.

    Attributes:
        local: The model.
        reply_tokens: Tokens a reply may have.

    Raises:
        ValueError: If the checkpoint needs something the fast path does not do; the message says what.
    """

    def __init__(
        self,
        model: LocalModel,
        settings: DecodingSettings | None = None,
        *,
        name: str | None = None,
        max_batch: int = 256,
    ) -> None:
        settings = settings or DecodingSettings()
        self.local, self.reply_tokens = model, settings.max_tokens
        self._engine, self._max_batch = BatchEngine(model, settings, max_batch), max_batch
        decoding: dict[str, Json] = {"max_tokens": settings.max_tokens, "temperature": settings.temperature}
        if settings.top_p < 1:
            decoding["top_p"] = settings.top_p
        self.info: ModelInfo = replace(model.info, name=name or f"secondlook/{model.info.name}", decoding=decoding)

    @property
    def counts(self) -> Counts:
        """Tokens computed so far, padding included."""
        return self._engine.counts

    async def complete(self, messages: Sequence[Message], *, seed: int | None = None) -> Completion:
        """Wait for the other conversations, and continue this one by one assistant turn.

        ``usage.cached`` counts the tokens of the prompt that were not computed for this call.

        Raises:
            RuntimeError: If called outside ``run_lockstep``.
            ValueError: If the prompt leaves no room for a reply, or a sampled reply has no seed.
        """
        if (conversation := CONVERSATION.get()) is None:
            raise RuntimeError("a lock-step model replies within run_lockstep only")
        reply = await conversation.batcher.ask(ModelCall(self, conversation, tuple(messages), seed))
        assert isinstance(reply, Completion)
        return reply

    async def choose(self, messages: Sequence[Message], form: Form, *, seed: int | None = None) -> Held:
        """The choice, or the number, that is the likeliest next turn; a form without either gets a plain turn."""
        if form.number and (number := await likeliest_number(partial(self._likelihoods, messages))):
            return Held(Completion(number.text, Usage(number.tokens_in, number.tokens_out, calls=1)), "logits")
        if not (choices := form.choices):
            return Held(await self.complete(messages, seed=seed), TURN)
        scored = await self._scored(messages, choices)
        shares = shares_of(scored.logprobs)
        chosen = shares.index(max(shares))
        usage = Usage(scored.tokens_in, scored.tokens_out[chosen], scored.cached, calls=1)
        return Held(Completion(choices[chosen], usage), "logits", shares)

    async def score(self, messages: Sequence[Message], place: Place) -> Sequence[float]:
        """Log-probability of each continuation of a turn; its tokens are no cost of the conversation."""
        return (await self._scored(messages, [place.before + each for each in place.continuations])).logprobs

    async def _likelihoods(self, messages: Sequence[Message], continuations: Sequence[str]) -> tuple[list[float], int]:
        scored = await self._scored(messages, continuations)
        return [*scored.logprobs], scored.tokens_in

    async def _scored(self, messages: Sequence[Message], continuations: Sequence[str]) -> Scored:
        if (conversation := CONVERSATION.get()) is None:
            raise RuntimeError("a lock-step model scores within run_lockstep only")
        call = ModelCall(self, conversation, tuple(messages), None, tuple(continuations))
        scored = await conversation.batcher.ask(call)
        assert isinstance(scored, Scored)
        return scored

    def reply_all(self, calls: Sequence[ModelCall]) -> None:
        """Reply to calls of several conversations; one that cannot be replied to gets its error."""
        self._score([call for call in calls if call.continuations])
        self._reply([call for call in calls if not call.continuations])

    def _score(self, calls: Sequence[ModelCall]) -> None:
        requests = []
        for call in calls:
            turns = [(*call.messages, Message("assistant", text)) for text in call.continuations]
            kept = call.conversation.kept.get(self, CachedPrefix())
            requests.append(ScoreRequest(self.local.encode_all(turns), kept))
        told = score_all(self.local, requests, self._max_batch)
        for call, request, scored in zip(calls, requests, told, strict=True):
            call.conversation.kept[self] = request.kept
            call.outcome = scored

    def _reply(self, calls: Sequence[ModelCall]) -> None:
        if not calls:
            return
        prompts = self.local.encode_all([call.messages for call in calls])
        requests = [
            PromptRequest(prompt, call.conversation.kept.get(self, CachedPrefix()), call.seed)
            for prompt, call in zip(prompts, calls, strict=True)
        ]
        for call, request, reply in zip(calls, requests, self._engine.generate(requests), strict=True):
            if isinstance(reply, ValueError):
                call.outcome = reply
            else:
                # After several calls at once the last one stays; where a next prompt differs, it is computed anew.
                call.conversation.kept[self] = request.kept
                usage = Usage(reply.tokens_in, reply.tokens_out, request.cached, calls=1)
                call.outcome = Completion(reply.text, usage, reply.finish)


def run_lockstep(
    model: LockstepModel,
    critic: Critic,
    cases: Sequence[Case],
    plan: Plan,
    *,
    sampler: LockstepModel | None = None,
    chunk: int | None = None,
    on_transcript: Callable[[Transcript], None] | None = None,
) -> list[Transcript]:
    """Hold a conversation about every case; see ``secondlook.correction.run``.

    Transcripts are those of ``secondlook.correction.run`` with the model alone, except for ``usage.cached``,
    which counts what was kept, and ``seconds``, which are those of the batches a call waited for.

    Args:
        model: The answering model.
        critic: Who examines the answers; it may ask ``model``, or lock-step models of its own.
        cases: The questions.
        plan: Rounds, variant, stop rule, token budget and seed.
        sampler: The lock-step model, sampled, for a gate that asks whether samples agree.
        chunk: Conversations held at once; by default as many as the memory holds (``secondlook.local.memory``).
        on_transcript: Called for every transcript, in order, a chunk at a time.

    Returns:
        One transcript for each case, in order.

    Raises:
        ValueError: If the plan has a time budget, which means nothing where all wait for each other, or ``chunk`` is
            not positive.
        RuntimeError: If called from a running event loop.
    """
    if plan.max_seconds is not None:
        raise ValueError(
            f"max_seconds is {plan.max_seconds}, and in lock-step a conversation has no time of its own; "
            "give max_tokens instead"
        )
    if chunk is None:
        chunk = fitting([model] if sampler is None else [model, sampler], cases, plan)
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; give at least 1 conversation")
    transcripts: list[Transcript] = []

    async def hold_all() -> list[Transcript]:
        for start in range(0, len(cases), chunk):
            one = partial(run, model, critic, plan=plan, sampler=sampler)
            held = await together([partial(one, case) for case in cases[start : start + chunk]])
            transcripts.extend(held)
            if on_transcript is not None:
                for transcript in held:
                    on_transcript(transcript)
        return transcripts

    return anyio.run(hold_all)


def fitting(models: Sequence[LockstepModel], cases: Sequence[Case], plan: Plan) -> int:
    """Conversations that the memory holds at once; see :func:`secondlook.local.memory.conversations_at_once`."""
    return conversations_at_once([(model.local, model.reply_tokens) for model in models], cases, plan)


async def together(conversations: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Await conversations that ask lock-step models, each a conversation of its own with its own cache.

    Args:
        conversations: Each asks lock-step models, and may wait for anything but another conversation.

    Returns:
        What each gives, in order.

    Raises:
        Exception: The first that a conversation or a model raised; it ends all of them.
    """
    batcher = CallBatcher(len(conversations))
    results: dict[int, T] = {}

    async def converse(index: int, conversation: Callable[[], Awaitable[T]]) -> None:
        # Set in this task's own context: the tasks that a conversation starts inherit it, and no other one sees it.
        CONVERSATION.set(LiveConversation(batcher))
        try:
            results[index] = await conversation()
        finally:
            batcher.leave()

    try:
        async with anyio.create_task_group() as group:
            for index, conversation in enumerate(conversations):
                group.start_soon(converse, index, conversation)
            await batcher.serve()
    except ExceptionGroup as failures:
        # The first failure cancels all others: it is the one to tell.
        raise failures.exceptions[0] from None
    return [results[index] for index in range(len(conversations))]
