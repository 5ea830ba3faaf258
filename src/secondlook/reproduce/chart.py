"""Charts as SVG that takes its colours from the page: lines with intervals, and a number beside its threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

from secondlook.reproduce.words import estimate, number, short, threshold

COLOURS = 8  # classes c0 … c7 of the page's style
MANY = 6
"""Lines that are told apart by colour and dashes; more are numbered where they end."""
_WIDTH, _HEIGHT = 420, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 12, 40
_FITTING = 5  # names of ticks that fit beside each other
_NUMBERS = 22  # pixels for numbers of lines
_STRIP, _STRIP_HEIGHT = 300, 46


@dataclass(frozen=True)
class Axis:
    """Axis from values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (
            (math.log10(x) for x in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self, many: int) -> list[float]:
        """Round values inside."""
        # Locators go beyond both ends; an end itself may be off by rounding.
        found = (LogLocator(numticks=many) if self.log else MaxNLocator(many)).tick_values(self.low, self.high)
        return [float(x) for x in found if self.low * (1 - 1e-9) <= x <= self.high or math.isclose(x, self.high)]


def lines(panel: dict[str, Any], curves: list[dict[str, Any]], name: str) -> Markup:
    """A panel with its curves.

    Args:
        panel: As in `result.json`.
        curves: Those of this panel.
        name: Unique in the page, for title and description.
    """
    x = [value for curve in curves for value in curve["x"]]
    y = [v for curve in curves for column in ("value", "low", "high") for v in curve[column] if v is not None]
    log = panel["scale"] == "log" and min(y) > 0
    kinds = len(panel.get("ticks") or ())
    numbered = len(curves) > MANY
    across = Axis(*((0.4, kinds + 0.7) if kinds else _range(x)), _LEFT, _WIDTH - _RIGHT - numbered * _NUMBERS)
    low, high = (min(y) / 1.5, max(y) * 1.5) if log else _range(y)
    up = Axis(low, high, _HEIGHT - _BOTTOM, _TOP, log)
    parts = [_axes(panel, across, up)]
    for index, curve in enumerate(curves):
        parts.append(_line(curve, index, across, up))
    parts += _numbers(curves, across, up) if numbered else []
    said = f"{panel['title']}: {panel['y']} against {panel['x']}. " + "; ".join(_said(curve) for curve in curves)
    return Markup(  # noqa: S704 - all texts are escaped, all else is numbers
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(panel["title"])}</title><desc id="{name}-d">{escape(said)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def strip(part: dict[str, Any]) -> Markup:
    """A number with its interval on a line, beside the threshold of its claim; errors of proofs on a logarithm."""
    sides = [part[side] for side in ("above", "below") if part.get(side) is not None]
    values = [x for x in (part["value"], part["low"], part["high"], *sides) if x is not None]
    if part["value"] is None or not sides:
        return Markup("")
    log = "why" in part and min(values) > 0
    if log:
        scale = Axis(min(values) / 10, max(values) * 10, 8, _STRIP - 8, log=True)
    else:
        low, high = min(values), max(values)
        pad = 0.18 * (high - low) or 0.18 * abs(high) or 1.0
        scale = Axis(low - pad, high + pad, 8, _STRIP - 8)
    left = scale(part["above"]) if part.get("above") is not None else 8.0
    right = scale(part["below"]) if part.get("below") is not None else _STRIP - 8.0
    y = 16
    drawn = [f'<rect class="halo claim" x="{left}" y="4" width="{max(0.0, right - left):.1f}" height="24"/>']
    drawn += [f'<path class="axis" d="M8 {y}H{_STRIP - 8}"/>']
    drawn += [f'<path class="limit" d="M{scale(at)} 3V29"/>' for at in sides]
    drawn += [_tag(scale(at), short(at)) for at in sides]
    if part["low"] is not None:
        drawn.append(f'<path class="span" d="M{scale(part["low"])} {y}H{scale(part["high"])}"/>')
    drawn.append(f'<circle class="value" cx="{scale(part["value"])}" cy="{y}" r="5"/>')
    said = f"{part['says']}: {estimate(part)}; claimed {threshold(part)}; {part['outcome']}"
    return Markup(  # noqa: S704 - all texts are escaped, all else is numbers
        f'<svg class="strip" viewBox="0 0 {_STRIP} {_STRIP_HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"{''.join(drawn)}</svg>"
    )


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or max(1e-3, 0.1 * abs(high))
    return low - pad, high + pad


def _tag(x: float, text: str) -> str:
    anchor = "start" if x < 30 else "end" if x > _STRIP - 30 else "middle"
    return f'<text class="tick" x="{x}" y="43" text-anchor="{anchor}">{text}</text>'


def _axes(panel: dict[str, Any], across: Axis, up: Axis) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    drawn = [f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>']
    for value in up.ticks(5):
        y = up(value)
        # Ticks of a logarithm are powers of ten: 10⁻⁴, not 1.0·10⁻⁴.
        text = short(value).removeprefix("1.0·")
        drawn.append(f'<path class="grid" d="M{_LEFT} {y}H{right}"/>')
        drawn.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>')
    # Names are told apart by height where they stand too close to each other.
    names = panel.get("ticks") or []
    rows = 1 + (len(names) > _FITTING)
    places = [(float(index + 1), name) for index, name in enumerate(names)] or [
        (value, short(value)) for value in across.ticks(7)
    ]
    for index, (value, text) in enumerate(places):
        y = bottom + (16 if rows == 1 else 11 + 10 * (index % rows))
        drawn.append(f'<text class="tick" x="{across(value)}" y="{y}" text-anchor="middle">{escape(text)}</text>')
    middle = (_LEFT + right) / 2
    drawn.append(f'<text class="tick" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(panel["x"])}</text>')
    return "".join(drawn)


def _line(curve: dict[str, Any], index: int, across: Axis, up: Axis) -> str:
    colour = f"c{index % COLOURS}"
    columns = zip(curve["x"], curve["value"], curve["low"], curve["high"], strict=True)
    points = [(across(x), up(value), low, high) for x, value, low, high in columns if value is not None]
    drawn = ""
    whole = all(low is not None and (not up.log or low > 0) for *_, low, _ in points)
    if curve["kind"] == "points":
        # What no line joins has whiskers.
        for x, y, low, high in points:
            if low is not None and high is not None:
                drawn += f'<path class="line {colour}" d="M{x} {up(low)}V{up(high)}"/>'
            drawn += f'<circle class="dot {colour}" cx="{x}" cy="{y}" r="3.5"/>'
        return drawn
    if whole and len(points) > 1:
        there = [f"{x} {up(high)}" for x, _, _, high in points]
        back = [f"{x} {up(low)}" for x, _, low, _ in reversed(points)]
        drawn += f'<path class="halo band {colour}" d="M{"L".join(there + back)}Z"/>'
    dashed = "" if curve["kind"] == "transformer" else f" dashed{index % 3}"
    drawn += f'<path class="line {colour}{dashed}" d="M{"L".join(f"{x} {y}" for x, y, _, _ in points)}"/>'
    if len(points) <= 8:
        drawn += "".join(f'<circle class="dot {colour}" cx="{x}" cy="{y}" r="2.5"/>' for x, y, _, _ in points)
    return drawn


def _numbers(curves: list[dict[str, Any]], across: Axis, up: Axis) -> list[str]:
    """A number where each line ends, moved apart where ends are close, with a hair to its line."""
    ends = []
    for index, curve in enumerate(curves):
        known = [(x, value) for x, value in zip(curve["x"], curve["value"], strict=True) if value is not None]
        if known:
            ends.append((up(known[-1][1]), across(known[-1][0]), index))
    ends.sort()
    room = _HEIGHT - _BOTTOM - _TOP
    gap = min(10.0, room / max(1, len(ends)))
    drawn, at = [], -math.inf
    # How low each may stand, so that those after it still find room above the axis.
    spare = [_HEIGHT - _BOTTOM - gap * (len(ends) - 1 - place) for place in range(len(ends))]
    for (y, x, index), most in zip(ends, spare, strict=True):
        at = min(max(y, at + gap), most)
        right = _WIDTH - _NUMBERS + 4
        drawn.append(f'<path class="grid" d="M{x} {y}L{right - 2} {at:.1f}"/>')
        drawn.append(f'<text class="tick c{index % COLOURS} end" x="{right}" y="{at + 3:.1f}">{index + 1}</text>')
    return drawn


def _said(curve: dict[str, Any]) -> str:
    known = [value for value in curve["value"] if value is not None]
    if not known:
        return f"{curve['label']}: nothing estimated"
    first, last = known[0], known[-1]
    moves = "stays at" if math.isclose(first, last, rel_tol=0.01) else "goes from"
    to = "" if moves == "stays at" else f" to {number(last)}"
    return f"{curve['label']} {moves} {number(first)}{to}, least {number(float(np.min(known)))}"
