"""Layout of numbers, intervals and tables, wherever they are printed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.table import Table

DASH = "–"
"""Dash that stands where there is no number."""


class Interval(Protocol):
    """A value with its interval; the ends are ``None`` where they cannot be estimated."""

    @property
    def value(self) -> float:
        """The point estimate."""

    @property
    def low(self) -> float | None:
        """The lower end."""

    @property
    def high(self) -> float | None:
        """The upper end."""


def share(of: Interval | None, *, digits: int = 1, interval: bool = False) -> str:
    """A share in percent, alone or with its interval: ``62.5% [50.1, 73.2]``."""
    if of is None:
        return DASH
    return f"{100 * of.value:.{digits}f}% {ends(of.low, of.high, digits=digits) if interval else ''}".rstrip()


def points(of: Interval | None) -> str:
    """A difference of shares in points, with its interval: ``+4.5 [-7.1, +16.2]``."""
    return DASH if of is None else f"{100 * of.value:+.1f} {ends(of.low, of.high, signed=True)}".rstrip()


def span(of: Interval | None, *, signed: bool = False) -> str:
    """An interval alone, in percent or points."""
    return DASH if of is None else ends(of.low, of.high, signed=signed) or DASH


def ends(low: float | None, high: float | None, *, signed: bool = False, digits: int = 1, scale: float = 100) -> str:
    """The two ends of an interval in brackets, times ``scale``; nothing where there is none."""
    form = f"{'+' if signed else ''}.{digits}f"
    return "" if low is None or high is None else f"[{scale * low:{form}}, {scale * high:{form}}]"


def number(value: float | None, form: str) -> str:
    """A number in a format."""
    return DASH if value is None or math.isnan(value) else f"{value:{form}}"


def p_value(p: float | None, equals: str = "") -> str:
    """A p-value, with what stands before it where it is a number."""
    return DASH if p is None else f"{equals}{p:.3f}" if p >= 0.001 else "<0.001"


def table(*headings: str, spaces: int = 1) -> Table:
    """Columns with nothing but spaces between them; names to the left, numbers to the right."""
    from rich import box
    from rich.table import Table

    # The box draws one space between columns; the padding adds the others.
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, spaces - 1))
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="right" if index else "left", no_wrap=True)
    return made
