"""One of several processes that make each step of a training run together.

All draw the same problems, each works on its share of them, and their gradients are summed: so every process makes the
step that one alone would make, up to the order in which numbers are added, however many there are.

PyTorch's `DistributedDataParallel` sums what `backward` leaves in a module's parameters. Here weights are no module's:
they are stacked over the members of an ensemble, and their gradients are asked for, piece by piece, on several threads.
What it would add is to send while it still computes; of the laboratory's models all gradients are a few megabytes (the
paper's: 9), sent as one vector with the losses at its front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Rank:
    """A process among its peers, which torch's default process group joins if there are several.

    Attributes:
        number: Which, from 0; that one looks, logs and saves.
        of: How many there are.
    """

    number: int = 0
    of: int = 1

    @property
    def first(self) -> bool:
        """Whether what is done once is done here."""
        return self.number == 0

    def share(self, batch: int) -> slice:
        """Its problems of a batch; shares differ by one at most.

        Raises:
            ValueError: There are fewer problems than processes.
        """
        if batch < self.of:
            raise ValueError(f"batch is {batch}: {self.of} workers need a problem each; lower --workers")
        return slice(batch * self.number // self.of, batch * (self.number + 1) // self.of)

    def sum(self, shares: Sequence[Tensor]) -> list[Tensor]:
        """The sums of what all processes have; of several, every process gets the same bits."""
        if self.of == 1:
            return list(shares)
        flat = torch.cat([share.flatten() for share in shares])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [share.numel() for share in shares])
        return [part.view_as(share) for part, share in zip(parts, shares, strict=True)]

    def of_first(self, value: Any, device: str) -> Any:
        """What the first process has, e.g. of a file that the others may see later than it, or not at all."""
        if self.of == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0, device=torch.device(device))
        return held[0]


ALONE = Rank()
