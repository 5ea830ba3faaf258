"""Named subspaces of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Coordinates:
    """Some coordinates of a slot: ``start`` to ``stop``, or all of it."""

    slot: str
    start: int = 0
    stop: int | None = None


Address = str | Coordinates


class ResidualLayout:
    """Layout of the residual stream: which coordinates hold what.

    Args:
        fed: Slots that the embedding of a token fills, name to width; they are the transformer's inputs, in order.
        made: Slots that start at zero and are filled by blocks, name to width.

    Raises:
        ValueError: A slot that is named twice or has no width.
    """

    def __init__(self, fed: dict[str, int], made: dict[str, int]) -> None:
        if twice := fed.keys() & made.keys():
            raise ValueError(f"slot {min(twice)!r} is both fed and made; give it one place")
        self.fed, self.inputs, self.width = dict(fed), sum(fed.values()), 0
        self.slots: dict[str, range] = {}
        for name, width in {**fed, **made}.items():
            if width < 1:
                raise ValueError(f"slot {name!r} has width {width}; give at least 1")
            self.slots[name] = range(self.width, self.width + width)
            self.width += width

    def where(self, address: Address) -> range:
        """The coordinates that an address names.

        Raises:
            ValueError: No such slot, or coordinates outside it.
        """
        at = Coordinates(address) if isinstance(address, str) else address
        if at.slot not in self.slots:
            raise ValueError(f"no slot {at.slot!r} in the residual stream; known: {', '.join(self.slots)}")
        slot = self.slots[at.slot]
        stop = len(slot) if at.stop is None else at.stop
        if not 0 <= at.start < stop <= len(slot):
            raise ValueError(f"coordinates {at.start}:{stop} are not in slot {at.slot!r} of width {len(slot)}")
        return slot[at.start : stop]

    def pack(self, features: dict[str, Tensor]) -> Tensor:
        """Tokens [batch, tokens, inputs] from the features of each, [batch, tokens, width of the slot]."""
        if features.keys() != self.fed.keys():
            raise ValueError(f"features {sorted(features)} given, the embedding has {sorted(self.fed)}")
        return torch.cat([features[name] for name in self.fed], dim=-1)

    def view(self, stream: Tensor, address: Address) -> Tensor:
        """The coordinates of an address in a residual stream [..., width]."""
        where = self.where(address)
        return stream[..., where.start : where.stop]
