"""Checks as tables for the terminal: constructions by number of responses, and the others by what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from rich.console import Group
from rich.table import Table

from secondlook.construct.prove.check import Check

_GRID = ("T2", "T3", "T4", "T5", "T6", "T7", "T8", "T12")
_RIGHT = ("N", "d", "K", "blocks", "heads", "width", "weights", "error", "value", "bound")
_ENDS: dict[str, Callable[[Check], str]] = {
    "bound": lambda row: _apart(row, row.bound),
    "outcome": lambda row: "passed" if row.passed else "FAILED",
}
_CONSTRUCTIONS: dict[str, Callable[[Check], str]] = {
    "": lambda row: row.result,
    "construction": lambda row: row.construction,
    "N": lambda row: str(row.n),
    "d": lambda row: str(row.d),
    "K": lambda row: str(row.steps),
    "blocks": lambda row: str(row.blocks),
    "heads": lambda row: str(row.heads),
    "width": lambda row: str(row.width),
    "weights": lambda row: _short(row.parameters or 0),
    "error": lambda row: _apart(row, row.error),
    **_ENDS,
}
_OTHERS: dict[str, Callable[[Check], str]] = {
    "": lambda row: row.result,
    "check": lambda row: row.construction + ("" if row.sharpness is None else f", βΔ = {row.sharpness:g}"),
    "dtype": lambda row: row.dtype,
    "value": lambda row: _apart(row, row.error),
    **_ENDS,
}


def table(rows: Sequence[Check], *, every: bool = False) -> Group:
    """Every check, or the worst of each construction and N, and T9's sweeps by their summaries."""
    built = [row for row in rows if _stack(row)]
    built = built if every else worst(built)
    other = [row for row in rows if not _stack(row) and (every or row.sharpness is None or not row.passed)]
    precisions = ", ".join(dict.fromkeys(row.dtype for row in built))
    title = f"Step beside automatic differentiation, {precisions}: worst of all d, K and contexts"
    return Group(
        _table(title, _CONSTRUCTIONS, built),
        _table(
            "Identities, temperature, convexity, sign, verdicts",
            _OTHERS,
            sorted(other, key=lambda row: int(row.result[1:])),
        ),
    )


def _stack(row: Check) -> bool:
    return row.result in _GRID and row.blocks is not None


def worst(rows: Iterable[Check]) -> list[Check]:
    """The check with the largest error of each construction and N (T6: of each construction), and all that failed."""

    def key(row: Check) -> tuple[str, str, int]:
        return (row.result, row.construction, 0 if row.result == "T6" else row.n)

    kept: list[Check] = []
    for _, group in groupby(sorted(rows, key=key), key):
        members = list(group)
        kept += [row for row in members if not row.passed] or [max(members, key=lambda row: row.error)]
    return kept


def _table(title: str, columns: dict[str, Callable[[Check], str]], rows: Sequence[Check]) -> Table:
    built = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in columns:
        built.add_column(name, justify="right" if name in _RIGHT else "left")
    for row in rows:
        built.add_row(*(show(row) for show in columns.values()))
    return built


def _apart(row: Check, value: float) -> str:
    """A power of ten with as many digits as tell a check's value from its bound."""
    each = (digits for digits in range(17) if f"{row.error:.{digits}e}" != f"{row.bound:.{digits}e}")
    return f"{value:.{next(each, 0)}e}"


def _short(count: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)
