"""A large batch in pieces, one after the other, each small enough for a core's cache.

The pieces are the same on every machine and are summed in their order, so that the same seed gives the same numbers.
"""

from __future__ import annotations

from itertools import pairwise

from secondlook.lab.run import Run
from secondlook.lab.tokens import length

# Another number would sum gradients in another order: runs that are kept could not be repeated bit for bit.
_PIECES = 4
_LARGE = 400_000  # numbers in a residual stream; the quick profile's lie below, and fit a core's cache as they are


def cut(run: Run) -> list[slice]:
    """The pieces of a run's batch: several if its residual stream is large, else one."""
    large = run.batch * length(run.task, run.shape.layout) * run.shape.width >= _LARGE
    count = min(_PIECES, run.batch) if large else 1
    bounds = [run.batch * piece // count for piece in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]
