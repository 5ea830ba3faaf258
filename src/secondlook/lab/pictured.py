"""A sweep as a figure: what was seen at the end of training, against the field that has most numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.figures import draw
from secondlook.evidence.result import pictured
from secondlook.lab.sweep import SweepCell, metrics


def picture(cells: Sequence[SweepCell], name: str) -> dict[str, Any]:
    """Panels and curves: a panel for each thing seen, a line for each combination of the other fields.

    A sweep without a field of several numbers has its combinations beside each other, and no lines.
    """
    fields = {field: list(dict.fromkeys(cell.setting[field] for cell in cells)) for field in cells[0].setting}
    numeric = {field: values for field, values in fields.items() if len(values) > 1 and all(map(_number, values))}
    across = max(numeric, key=lambda field: len(numeric[field]), default=None)
    seen = metrics(cells)
    lines: dict[str, list[SweepCell]] = {}
    for cell in cells:
        lines.setdefault(_label(cell, fields, across), []).append(cell)
    ticks = () if across else tuple(lines)
    panels = [
        Panel(what, f"{what} at the end of training", across or "combination", what, ticks=ticks) for what in seen
    ]
    curves = []
    for what in seen:
        for place, (label, every) in enumerate(lines.items(), 1):
            if not (own := [cell for cell in every if what in cell.last]):
                continue
            own = sorted(own, key=lambda cell: cell.setting[across]) if across else own
            x = tuple(float(cell.setting[across]) for cell in own) if across else (float(place),)
            points = tuple(cell.last[what] for cell in own)
            curves.append(Curve(what, label or name, x, kind="transformer" if across else "points", points=points))
    return {"id": "sweep", "title": name, "profile": "sweep", **pictured(panels, curves)}


def draw_sweep(cells: Sequence[SweepCell], folder: Path, name: str) -> None:
    """Write `figure.png` and `figure.svg` into a folder.

    Raises:
        OSError: They cannot be written.
    """
    draw(picture(cells, name), folder / "figure")


def _label(cell: SweepCell, fields: dict[str, list[Any]], across: str | None) -> str:
    told = {field: cell.setting[field] for field, values in fields.items() if len(values) > 1 and field != across}
    return ", ".join(str(value) if field == "variant" else f"{field} {value}" for field, value in told.items())


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
