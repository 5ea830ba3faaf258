"""A large batch in pieces, each taken by one thread from its tokens to its gradients.

Cores that share every product wait for each other at every one of them; cores with a piece each, once a step. Whatever
a machine has, the pieces are the same and are summed in their order, so that the same seed gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

from secondlook.lab.run import Run
from secondlook.lab.tokens import length

T = TypeVar("T")

_PIECES = 4
_LARGE = 400_000  # numbers in a residual stream; the quick profile's lie below, and fit a core's cache as they are


def cut(run: Run, share: slice) -> list[slice]:
    """The pieces of a share of a run's batch: several if its residual stream is large, else one."""
    problems = share.stop - share.start
    large = problems * length(run.task, run.shape.layout) * run.shape.width >= _LARGE
    count = min(_PIECES, problems) if large else 1
    bounds = [share.start + problems * piece // count for piece in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]


class Pieces:
    """Calls on pieces of a batch, side by side on as many threads as torch may use.

    Args:
        slices: The pieces.
    """

    def __init__(self, slices: list[slice]) -> None:
        self.slices = slices
        side = min(len(slices), torch.get_num_threads())
        self._pool = ThreadPoolExecutor(side, initializer=torch.set_num_threads, initargs=(1,)) if side > 1 else None

    def map(self, work: Callable[[int, slice], T]) -> list[T]:
        """What ``work`` makes of each piece and its number, in their order."""
        numbered = range(len(self.slices))
        return list((self._pool.map if self._pool else map)(work, numbered, self.slices))
