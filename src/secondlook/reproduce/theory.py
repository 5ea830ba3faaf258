"""Evidence of T1–T13: rows of `construct.prove` as the parts of a claim, the worst of each construction and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from secondlook.construct.prove import Check, Grid, jobs
from secondlook.construct.prove.table import worst
from secondlook.evidence.curves import Panel
from secondlook.evidence.result import pictured
from secondlook.reproduce.worth_picture import picture

GRIDS = {
    "demo": Grid((2, 5), (2, 3, 8), (1, 3)),
    "quick": Grid(),
    "full": Grid(each=8),
}
"""Sizes of each profile; the full one draws eight contexts of each family and gap."""
_NONE = "a worst case over contexts, not an average: it has a bound, and no interval"


def gather(job: str, profile: str, workers: int) -> dict[str, dict[str, Any]]:
    """Run a job.

    Args:
        job: One of `construct.prove.jobs`.
        profile: Sizes, one of `GRIDS`.
        workers: Processes, for the grid.

    Returns:
        Findings by claim: outcome, parts, panels and curves, as JSON has them.
    """
    rows: dict[str, list[Check]] = {}
    for found in jobs(GRIDS[profile], workers)[job][1]:
        for row in found:
            rows.setdefault(row.result, []).append(row)
    return {result: finding(members) for result, members in rows.items()}


def finding(rows: Sequence[Check]) -> dict[str, Any]:
    """Finding from the rows of one claim."""
    # T9's sweeps differ in their precision, too: each has its summary.
    kept = rows if rows[0].result == "T9" else worst(rows)
    # Points of a sweep are drawn, not listed, unless one failed.
    shown = [row for row in kept if row.sharpness is None or not row.passed]
    parts = [_part(row) for row in shown]
    held = all(row.passed for row in rows)
    checked = f"{sum(row.passed for row in rows)} of {len(rows)} checks within their bounds"
    notes = [f"{checked}, {sum(row.contexts for row in rows):,} contexts in all."]
    return {"outcome": "verified" if held else "refuted", "parts": parts, "notes": notes, **_picture(rows)}


def allowed(row: Check) -> float:
    """Largest error that a row may have: its bound, or the accuracy fixed for the grid where that is smaller."""
    return min(row.bound, math.inf if row.limit is None else row.limit)


def _part(row: Check) -> dict[str, Any]:
    above = row.construction.endswith("more than")  # T10's counter-example is to be large
    limit = allowed(row)
    sizes = f", N = {row.n}, d = {row.d}, K = {row.steps}" if row.blocks is not None and row.result != "T9" else ""
    return {
        "name": f"{row.construction}{sizes}, {row.dtype}",
        "says": f"{row.construction.removesuffix(', more than')}{sizes}, {row.dtype}",
        "whose": "paper",
        **({"above" if above else "below": limit} if math.isfinite(limit) else {}),
        "value": row.error if math.isfinite(row.error) else None,
        "low": None,
        "high": None,
        "why": _NONE,
        "n": row.contexts,
        "outcome": "verified" if row.passed else "refuted",
    }


def _picture(rows: Sequence[Check]) -> dict[str, Any]:
    """Error and bound against N, or against βΔ; nothing where a claim has but single numbers."""
    if rows[0].result == "T12":
        return picture()
    if rows[0].result == "T9":
        points = [row for row in rows if row.sharpness is not None]
        # A panel for each precision, a line for each construction.
        panels = [
            Panel(dtype, dtype, "βΔ", "relative error", "log") for dtype in dict.fromkeys(row.dtype for row in points)
        ]
        lines = {(row.dtype, row.construction): [] for row in points}  # type: dict[tuple[str, str], list[Check]]
        for row in points:
            lines[row.dtype, row.construction].append(row)
        curves = [
            _curve(dtype, name, [(row.sharpness or 0.0, row.error) for row in members])
            for (dtype, name), members in lines.items()
        ]
    elif rows[0].blocks is not None and len({row.n for row in rows}) > 1:
        panels = [Panel("error", "Worst error and its bound", "responses N", "error relative to the step", "log")]
        curves = []
        for name in dict.fromkeys(row.construction for row in rows):
            sizes = sorted({row.n for row in rows if row.construction == name})
            members = [
                max((r for r in rows if (r.construction, r.n) == (name, n)), key=lambda r: r.error) for n in sizes
            ]
            curves.append(_curve("error", name, [(float(row.n), row.error) for row in members]))
            curves.append(
                _curve("error", f"{name}, allowed", [(float(row.n), allowed(row)) for row in members], "baseline")
            )
    else:
        panels, curves = [], []
    return pictured(panels, ()) | {"curves": curves}


def _curve(panel: str, label: str, points: Sequence[tuple[float, float]], kind: str = "transformer") -> dict[str, Any]:
    known = [(x, y) for x, y in points if math.isfinite(y) and y > 0]  # of a logarithm, and of JSON
    none = [None] * len(known)
    x, y = [x for x, _ in known], [y for _, y in known]
    return {"panel": panel, "label": label, "kind": kind, "x": x, "value": y, "low": none, "high": none, "seeds": [y]}
