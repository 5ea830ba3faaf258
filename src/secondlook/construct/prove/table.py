"""Rows as tables for the terminal: constructions by number of responses, and the other checks by what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from rich.console import Group
from rich.table import Table

from secondlook.construct.prove.row import Row

_GRID = ("T2", "T3", "T4", "T5", "T6", "T7", "T8")


def table(rows: Sequence[Row], *, every: bool = False) -> Group:
    """All rows, or the worst of each construction and N, and T9's sweeps by their summaries.

    Args:
        rows: What was measured.
        every: Show every row.
    """
    built = [row for row in rows if row.result in _GRID]
    other = [row for row in rows if row.result not in _GRID and (every or row.sharpness is None or not row.passed)]
    return Group(_constructions(built if every else worst(built)), _checks(other))


def worst(rows: Iterable[Row]) -> list[Row]:
    """The row with the largest error of each construction and N (T6: of each construction), and all that failed."""

    def key(row: Row) -> tuple[str, str, int]:
        return (row.result, row.construction, 0 if row.result == "T6" else row.n)

    kept: list[Row] = []
    for _, group in groupby(sorted(rows, key=key), key):
        members = list(group)
        kept += [row for row in members if not row.passed] or [max(members, key=lambda row: row.error)]
    return kept


def _constructions(rows: Sequence[Row]) -> Table:
    columns: dict[str, Callable[[Row], str]] = {
        "": lambda row: row.result,
        "construction": lambda row: row.construction,
        "N": lambda row: str(row.n),
        "d": lambda row: str(row.d),
        "K": lambda row: str(row.steps),
        "blocks": lambda row: str(row.blocks),
        "heads": lambda row: str(row.heads),
        "width": lambda row: str(row.width),
        "weights": lambda row: _short(row.parameters or 0),
        "error": lambda row: f"{row.error:.0e}",
        "bound": lambda row: f"{row.bound:.0e}",
        "outcome": _outcome,
    }
    precisions = ", ".join(dict.fromkeys(row.dtype for row in rows))
    return _table(f"Step beside automatic differentiation, {precisions}: worst of all d, K and contexts", columns, rows)


def _checks(rows: Sequence[Row]) -> Table:
    columns: dict[str, Callable[[Row], str]] = {
        "": lambda row: row.result,
        "check": lambda row: row.construction + ("" if row.sharpness is None else f", βΔ = {row.sharpness:g}"),
        "dtype": lambda row: row.dtype,
        "value": lambda row: f"{row.error:.0e}",
        "bound": lambda row: f"{row.bound:.0e}",
        "outcome": _outcome,
    }
    return _table(
        "Identities, temperature, convexity, sign", columns, sorted(rows, key=lambda row: int(row.result[1:]))
    )


def _table(title: str, columns: dict[str, Callable[[Row], str]], rows: Sequence[Row]) -> Table:
    built = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0))
    for name in columns:
        built.add_column(name, justify="left" if name in ("", "construction", "check", "dtype", "outcome") else "right")
    for row in rows:
        built.add_row(*(show(row) for show in columns.values()))
    return built


def _outcome(row: Row) -> str:
    return "passed" if row.passed else "FAILED"


def _short(count: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)
