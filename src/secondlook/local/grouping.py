"""Batches of prompts that are about as long, since padding costs what tokens cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_WASTE = 0.1
"""Share of padding a batch may have of the tokens it must compute: more makes fewer batches."""


def alike(works: Iterable[T], size: int, lengths: Callable[[T], tuple[int, int]]) -> Iterator[list[T]]:
    """Works of about as many tokens to compute, and then of about the same length.

    Args:
        works: In any order.
        size: How many a batch may have.
        lengths: Tokens to compute, and all tokens, of a work.
    """
    batch: list[T] = []
    needed = 0
    # Sorted, since a batch is padded up to its longest work: neighbours waste least.
    for work in sorted(works, key=lengths):
        # In this order the next one is the longest, and all others are padded up to it.
        fresh = lengths(work)[0]
        if batch and (len(batch) == size or fresh * (len(batch) + 1) > (1 + _WASTE) * (needed + fresh)):
            yield batch
            batch, needed = [], 0
        batch.append(work)
        needed += fresh
    if batch:
        yield batch
