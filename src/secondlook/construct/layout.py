"""Named subspaces of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Some coordinates of a slot: `start` to `stop`, or all of it."""

    slot: str
    start: int = 0
    stop: int | None = None


Address = str | Part


class ResidualLayout:
    """Which coordinates of the residual stream hold what.

    Args:
        fed: Slots that the embedding of a token fills, name to width; they are the transformer's inputs, in order.
        made: Slots that start at zero and are filled by blocks, name to width.

    Raises:
        ValueError: A slot that is named twice or has no width.
    """

    def __init__(self, fed: dict[str, int], made: dict[str, int]) -> None:
        if twice := fed.keys() & made.keys():
            raise ValueError(f"slot {min(twice)!r} is both fed and made; give it one place")
        self.slots: dict[str, slice] = {}
        self.fed = dict(fed)
        end = 0
        for name, width in {**fed, **made}.items():
            if width < 1:
                raise ValueError(f"slot {name!r} has width {width}; give at least 1")
            self.slots[name] = slice(end, end + width)
            end += width
        self.width = end
        self.inputs = sum(fed.values())

    def where(self, address: Address) -> range:
        """The coordinates that an address names.

        Raises:
            ValueError: No such slot, or coordinates outside it.
        """
        part = Part(address) if isinstance(address, str) else address
        if part.slot not in self.slots:
            raise ValueError(f"no slot {part.slot!r} in the residual stream; known: {', '.join(self.slots)}")
        slot = self.slots[part.slot]
        width = slot.stop - slot.start
        stop = width if part.stop is None else part.stop
        if not 0 <= part.start < stop <= width:
            raise ValueError(f"coordinates {part.start}:{stop} are not in slot {part.slot!r} of width {width}")
        return range(slot.start + part.start, slot.start + stop)

    def pack(self, features: dict[str, Tensor]) -> Tensor:
        """Tokens [batch, tokens, inputs] from the features of each, [batch, tokens, width of the slot]."""
        if features.keys() != self.fed.keys():
            raise ValueError(f"features {sorted(features)} given, the embedding has {sorted(self.fed)}")
        return torch.cat([features[name] for name in self.fed], dim=-1)

    def view(self, stream: Tensor, address: Address) -> Tensor:
        """The coordinates of an address in a residual stream [..., width]."""
        where = self.where(address)
        return stream[..., where.start : where.stop]
