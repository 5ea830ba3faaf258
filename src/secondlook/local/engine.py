"""Replies to many prompts at once, computing of each only what its conversation has not been through before.

Prompts are read in batches of about as many tokens to compute, since padding costs what tokens cost, and of no more
than a processor's caches hold. Replies are decoded in batches as large as may be, since each step reads all weights,
for however few conversations; what is finished leaves. What all new conversations begin with (a system message, a
history) is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from secondlook.local.cache import Batch, CachedPrefix, check_keeps_positions, common
from secondlook.local.decoding import Chooser
from secondlook.local.grouping import alike
from secondlook.local.model import DecodingSettings, Generated, LocalModel


@dataclass(slots=True)
class Counts:
    """Tokens that an engine has computed.

    Attributes:
        fresh: Tokens of prompts that had not been computed before.
        prefilled: Positions that were computed to read prompts, padding included.
        decoded: Generated tokens that were read again to generate the next.
    """

    fresh: int = 0
    prefilled: int = 0
    decoded: int = 0


@dataclass(slots=True)
class PromptRequest:
    """One prompt to reply to.

    Attributes:
        prompt: Token ids.
        kept: What is known of the conversation; replaced by what is known after the reply.
        seed: Seed of a sampled reply.
        cached: Tokens of the prompt that were not computed for this request.
    """

    prompt: list[int]
    kept: CachedPrefix = field(default_factory=CachedPrefix)
    seed: int | None = None
    cached: int = 0


class BatchEngine:
    """Generates in batches from one model.

    Args:
        model: The model.
        settings: How to decode; the seed stands in each request.
        max_batch: Conversations in one batch.

    Raises:
        ValueError: If the model or its settings ask for something else than attention and plain decoding.
    """

    def __init__(self, model: LocalModel, settings: DecodingSettings, max_batch: int = 256) -> None:
        if max_batch < 1:
            raise ValueError(f"max_batch is {max_batch}; give at least 1")
        check_keeps_positions(model)
        self.counts = Counts()
        self._model, self._settings, self._max_batch = model, settings, max_batch
        self._chooser = Chooser(model, settings)
        self._trunk = CachedPrefix()

    @torch.inference_mode()
    def generate(self, requests: Sequence[PromptRequest]) -> list[Generated | ValueError]:
        """Reply to every request; one that cannot be replied to gets its error, and the others their replies."""
        replies: dict[int, Generated | ValueError] = {}
        works: list[_Work] = []
        for index, request in enumerate(requests):
            try:
                room = min(self._settings.max_tokens, self._model.room(request.prompt))
                stream = self._chooser.stream(request.seed, self._model.device)
            except ValueError as error:
                replies[index] = error
            else:
                works.append(_Work(index, request, room, stream))
        self._share([work.request for work in works if not work.request.kept.ids])
        for work in works:
            work.fresh = len(work.request.prompt) - work.request.kept.served(work.request.prompt)
        batches = list(alike(works, self._max_batch, _Work.lengths, self._model.device))
        # A single batch is decoded where it was read, and not copied into another.
        if len(batches) == 1:
            self._decode(batches[0], *self._read(batches[0], self._settings.max_tokens))
        else:
            self._decode_together(batches)
        replies |= {work.index: self._model.reply(len(work.request.prompt), work.reply) for work in works}
        return [replies[index] for index in range(len(requests))]

    def _share(self, new: list[PromptRequest]) -> None:
        """Compute what all new conversations begin with, and give it to each; the first is charged for it."""
        if not new:
            return
        prompts = [request.prompt for request in new]
        # The last token of the shortest is left for its own batch.
        shared = prompts[0][: min(common(prompts), min(map(len, prompts)) - 1)]
        known = common([self._trunk.ids, shared])
        # One alone shares nothing: its own batch reads it, from where the trunk ends.
        if len(new) > 1 and known < len(shared):
            batch = Batch(self._model, [shared], [self._trunk], len(shared) - known)
            batch.read_prompts()
            (self._trunk,) = batch.take([0], [shared])
            self.counts.prefilled += len(shared) - known
            self.counts.fresh += len(shared) - known
            # `_read` will count the shared tokens as cached for every request; this takes them off the first again.
            new[0].cached = known - len(shared)
            known = len(shared)
        for request in new:
            request.kept = replace(self._trunk, ids=shared[:known])

    def _read(self, works: list[_Work], room: int) -> tuple[Batch, Tensor]:
        """Read the prompts of one batch; gives it, with room for more tokens, and the logits of what follows."""
        prompts = [work.request.prompt for work in works]
        new = max(work.fresh for work in works)
        batch = Batch(self._model, prompts, [work.request.kept for work in works], new, room)
        logits = batch.read_prompts()
        self.counts.prefilled += len(works) * new
        self.counts.fresh += sum(work.fresh for work in works)
        for work in works:
            work.request.cached += len(work.request.prompt) - work.fresh
        return batch, logits

    def _decode_together(self, batches: Sequence[list[_Work]]) -> None:
        """Read the prompts batch by batch, and decode all replies that have more than a token together."""
        for works in batches:
            batch, logits = self._read(works, 0)
            self._choose(works, logits)
            prompts = [work.request.prompt for work in works]
            # The first token of each reply is chosen but not read, so what is kept ends with the prompt.
            for work, kept in zip(works, batch.take([*range(len(works))], prompts), strict=True):
                work.request.kept = kept
        going = [work for works in batches for work in works if not work.ends(self._model.ends)]
        # A batch is padded up to its longest prompt, so that neighbours in length go together.
        going.sort(key=lambda work: len(work.request.prompt))
        for first in range(0, len(going), self._max_batch):
            works = going[first : first + self._max_batch]
            said = [work.said for work in works]
            batch = Batch(self._model, said, [work.request.kept for work in works], 1, self._settings.max_tokens)
            logits = batch.read_prompts()
            self.counts.decoded += len(works)
            for work in works:  # copied by now: what they were read with may go
                work.request.kept = CachedPrefix()
            self._decode(works, batch, logits)

    def _decode(self, works: Sequence[_Work], batch: Batch, logits: Tensor) -> None:
        """Decode the replies of one batch to their ends."""
        while works:
            # Taken before the choice: a token that is chosen now has not been read, and no cache holds it.
            said = [work.said for work in works]
            self._choose(works, logits)
            going = [row for row, work in enumerate(works) if not work.ends(self._model.ends)]
            if len(going) < len(works):
                # Who is done leaves the batch with its prefix, and the others are computed alone.
                gone = sorted(set(range(len(works))).difference(going))
                for row, kept in zip(gone, batch.take(gone, [said[row] for row in gone]), strict=True):
                    works[row].request.kept = kept
                works = [works[row] for row in batch.keep(going)]
            if works:
                logits = batch.read(work.reply[-1] for work in works)
                self.counts.decoded += len(works)

    def _choose(self, works: Sequence[_Work], logits: Tensor) -> None:
        """Append the next token to every reply."""
        tokens = self._chooser.choose(logits, [work.said for work in works], [work.stream for work in works])
        for work, token in zip(works, tokens, strict=True):
            work.reply.append(token)


@dataclass(slots=True)
class _Work:
    """A request being replied to."""

    index: int
    request: PromptRequest
    room: int
    stream: torch.Generator | None
    fresh: int = 0
    reply: list[int] = field(default_factory=list)

    def lengths(self) -> tuple[int, int]:
        """Tokens to compute, and all of the prompt."""
        return self.fresh, len(self.request.prompt)

    @property
    def said(self) -> list[int]:
        return self.request.prompt + self.reply

    def ends(self, ends: frozenset[int]) -> bool:
        return self.reply[-1] in ends or len(self.reply) == self.room
