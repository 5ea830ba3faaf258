"""Feed-forward pieces: thresholds and erasures made of ReLU units."""

from __future__ import annotations

from secondlook.construct.residual import Address, ResidualLayout
from secondlook.construct.weights import Neuron

Terms = tuple[tuple[Address, float], ...]


def threshold(layout: ResidualLayout, terms: Terms, target: Address, *, center: float, width: float) -> list[Neuron]:
    """Add to ``target`` 0 where the sum of the terms is at most center − width/4, and 1 from center + width/4 on.

    relu(z + ½) − relu(z − ½) with z = (sum − center)·2/width: exactly 0 below the ramp, where both units are off, and
    1 up to the rounding of z above it.
    """
    reads = tuple((_one(layout, address), 2 * factor / width) for address, factor in terms)
    one, to, bias = _one(layout, "one"), _one(layout, target), -2 * center / width
    return [Neuron((*reads, (one, bias + sign * 0.5)), ((to, sign),)) for sign in (1.0, -1.0)]


def erase(layout: ResidualLayout, address: Address, *, signed: bool) -> list[Neuron]:
    """Set coordinates back to exactly zero; ``signed`` if they may be negative."""
    signs = (1.0, -1.0) if signed else (1.0,)
    return [Neuron(((at, sign),), ((at, -sign),)) for at in layout.where(address) for sign in signs]


def _one(layout: ResidualLayout, address: Address) -> int:
    (coordinate,) = layout.where(address)
    return coordinate
