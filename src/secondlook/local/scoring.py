"""Scores of several beginnings of a model's next turn: exact, from its logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from secondlook.local.cache import Batch, CachedPrefix, common
from secondlook.local.grouping import alike
from secondlook.local.model import LocalModel


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one request's continuations.

    Attributes:
        logprobs: Natural logarithm of each continuation's probability, which is less that of continuations that go on
            from it.
        tokens_in: Tokens before the continuations part.
        cached: How many of them were not computed for it.
        tokens_out: Tokens of each continuation from there.
    """

    logprobs: tuple[float, ...]
    tokens_in: int
    cached: int
    tokens_out: tuple[int, ...]


@dataclass(slots=True)
class ScoreRequest:
    """Continuations to score.

    Attributes:
        ids: Tokens of the conversation with each continuation.
        kept: What is known of the conversation; replaced by what all continuations begin with, where one row told all.
    """

    ids: list[list[int]]
    kept: CachedPrefix

    @property
    def shared(self) -> list[int]:
        """Tokens with which all begin; at least the last token of the shortest is left to be scored."""
        return self.ids[0][: min(common(self.ids), min(map(len, self.ids)) - 1)]


@torch.inference_mode()
def score_all(model: LocalModel, requests: Sequence[ScoreRequest], max_batch: int = 256) -> list[Scored | ValueError]:
    """The log-probability of every continuation; a request that is too long gets its error.

    A continuation with which another one begins is not counted for it: of "1" and "10", the first is "1" and not "10".
    """
    scored: dict[int, Scored | ValueError] = {}
    rows: list[_Row] = []
    for index, request in enumerate(requests):
        try:
            model.room(max(request.ids, key=len))
        except ValueError as error:
            scored[index] = error
            continue
        shared = request.shared
        tails = [ids[len(shared) :] for ids in request.ids]
        # One row does where a single token tells.
        parts = [tails] if max(map(len, tails)) == 1 else [[tail] for tail in tails]
        fresh = len(shared) - request.kept.served(shared)
        rows += [_Row(index, shared, request.kept, fresh, part) for part in parts]
    for batch in alike(rows, max_batch, lambda row: (row.fresh, len(row.shared)), model.device):
        _run(model, batch)
    for index, request in enumerate(requests):
        if index in scored:
            continue
        mine = [row for row in rows if row.index == index]
        # A number is scored a digit at a time: the next one has a token to read, and not the whole question again.
        if len(mine) == 1:
            request.kept = mine[0].kept
        logprobs = {tuple(tail): value for row in mine for tail, value in zip(row.tails, row.logprobs, strict=True)}
        tails = [ids[len(mine[0].shared) :] for ids in request.ids]
        scored[index] = Scored(
            logprobs=tuple(_alone(tuple(tail), logprobs) for tail in tails),
            tokens_in=len(mine[0].shared),
            cached=len(mine[0].shared) - mine[0].fresh,
            tokens_out=tuple(map(len, tails)),
        )
    return [scored[index] for index in range(len(requests))]


@dataclass(slots=True)
class _Row:
    """One line of a batch: what comes first, and one continuation, or several of one token each."""

    index: int
    shared: list[int]
    kept: CachedPrefix
    fresh: int
    tails: list[list[int]]
    logprobs: tuple[float, ...] = ()


def _run(model: LocalModel, rows: list[_Row]) -> None:
    new, steps = max(row.fresh for row in rows), max(len(row.tails[0]) for row in rows)
    batch = Batch(model, [row.shared for row in rows], [row.kept for row in rows], new, room=steps)
    logits = batch.read_prompts()
    for step in range(steps):
        if step:
            # What has ended is read on with any token, and not looked at.
            logits = batch.read([row.tails[0][min(step, len(row.tails[0])) - 1] for row in rows])
        told = logits.double().log_softmax(dim=-1)
        for place, row in enumerate(rows):
            if step >= len(row.tails[0]):
                continue
            more = [float(told[place, tail[step]]) for tail in row.tails]
            row.logprobs = tuple(a + b for a, b in zip(row.logprobs or [0.0] * len(more), more, strict=True))
    if steps == 1:  # else the prefixes of some have been read on with what ended them
        for row, kept in zip(rows, batch.take([*range(len(rows))], [row.shared for row in rows]), strict=True):
            row.kept = kept


def _alone(tail: tuple[int, ...], logprobs: dict[tuple[int, ...], float]) -> float:
    """The log-probability of a continuation without that of the continuations which begin with it."""
    begun = [other for other in logprobs if len(other) > len(tail) and other[: len(tail)] == tail]
    # Each alone, too: the mass of "10" holds that of "100", which is taken from "1" once.
    longer = [_alone(other, logprobs) for other in begun]
    rest = math.exp(logprobs[tail]) - sum(map(math.exp, longer))
    # Where nearly all mass goes on to a longer one, the difference cancels, and rounding may leave less than nothing.
    return math.log(rest) if longer and rest > 0 else -math.inf if longer else logprobs[tail]
