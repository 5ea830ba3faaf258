"""Changes with their intervals on one line each, beside no change, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _BOTTOM = 640, 46, 14, 30, 8, 40
_TICKS = 6  # steps from tick to tick, at most


@dataclass(frozen=True, slots=True)
class Tree:
    """A change and its interval, in the units of the axis; ``kind`` is a class of the page's style."""

    label: str
    value: float
    low: float | None
    high: float | None
    kind: str


def forest(trees: Sequence[Tree], axis: str, name: str) -> Markup:
    """Draw them.

    Args:
        trees: From top to bottom.
        axis: What the axis shows.
        name: Unique in the page, for title and description.
    """
    ends = [0.0, *(end for tree in trees for end in (tree.value, tree.low, tree.high) if end is not None)]
    # Where every change and end is 0 the range is empty, and any axis will do.
    pad = 0.06 * (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - pad, max(ends) + pad
    bottom = _TOP + _ROW * len(trees)

    def at(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)

    drawn = []
    for tick in _ticks(low, high):
        drawn.append(f'<path class="grid" d="M{at(tick)} {_TOP}V{bottom}"/>')
        shown = f"{tick:+g}" if tick else "0"
        drawn.append(f'<text class="tick" x="{at(tick)}" y="{bottom + 15}" text-anchor="middle">{shown}</text>')
    drawn.append(f'<path class="axis" d="M{at(0)} {_TOP}V{bottom}M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>')
    for row, tree in enumerate(trees):
        y = _TOP + _ROW * (row + 0.5)
        drawn.append(f'<text class="tick" x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(tree.label)}</text>')
        if tree.low is not None and tree.high is not None:
            drawn.append(f'<path class="span {escape(tree.kind)}" d="M{at(tree.low)} {y}H{at(tree.high)}"/>')
        drawn.append(f'<circle class="value {escape(tree.kind)}" cx="{at(tree.value)}" cy="{y}" r="5"/>')
    middle, height = (_LEFT + _WIDTH - _RIGHT) / 2, bottom + _BOTTOM
    drawn.append(f'<text class="tick" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(axis)}</text>')
    said = "; ".join(f"{tree.label} {tree.value:+.3g}, {tree.kind}" for tree in trees)
    return Markup(  # noqa: S704 - texts are escaped, `name` is the caller's own, all else is numbers
        f'<svg class="forest" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(axis)}</title><desc id="{name}-d">{escape(said)}</desc>{"".join(drawn)}</svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round values inside, 1, 2 or 5 of a power of ten apart."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    return [round(step * place, 12) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
