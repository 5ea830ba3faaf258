"""How tables and numbers look on the terminal."""

from __future__ import annotations

import math

from rich import box
from rich.table import Table

from secondlook.diagnosis.intervals import Estimate

DASH = "–"
"""What stands where there is no number."""


def table(*, spaces: int) -> Table:
    """Columns with nothing but spaces between them."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, spaces - 1))


def share(estimate: Estimate | None) -> str:
    """A share in percent."""
    return DASH if estimate is None else f"{100 * estimate.value:.1f}%"


def span(estimate: Estimate | None, *, signed: bool = False) -> str:
    """An interval in percent, or points."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return DASH
    sign = "+" if signed else ""
    return f"[{100 * estimate.low:{sign}.1f}, {100 * estimate.high:{sign}.1f}]"


def number(value: float | None, form: str) -> str:
    """A number in a format."""
    return DASH if value is None or math.isnan(value) else f"{value:{form}}"
