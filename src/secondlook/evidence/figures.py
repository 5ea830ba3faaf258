"""Figures from `result.json` alone: transformers with their intervals, baselines dashed, others' numbers dotted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from secondlook.machine import whole

_COLOURS = (
    "#0b5cad",
    "#c2410c",
    "#15803d",
    "#7c3aed",
    "#b45309",
    "#0f766e",
    "#be185d",
    "#4d7c0f",
    "#334155",
    "#dc2626",
)
_DASHES = ("--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_UNDATED = {"CreationDate": None}
_FITTING = 5  # names of ticks that fit beside each other
_LINE = 7  # points from one number to the next
_MANY = 6  # curves of a panel whose legend does not hide them


def draw(
    result: dict[str, Any], path: Path, *, endings: Sequence[str] = (".png", ".svg"), width: float | None = None
) -> None:
    """Write the figure of a result as ``path`` with these endings.

    Args:
        result: As in `result.json`.
        path: Of the files, without ending.
        endings: `.png`, `.svg`, `.pdf`.
        width: In inches, two panels beside each other; by default panels are as wide as they like.

    Raises:
        OSError: It cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = result["panels"]
    by_panel = [[curve for curve in result["curves"] if curve["panel"] == panel["name"]] for panel in panels]
    style: Any = {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        # With this and without dates in the metadata, the same result is the same file.
        "svg.hashsalt": "secondlook",
    }
    with mpl.rc_context(style):
        columns = len(panels) if width is None else min(2, len(panels))
        rows = -(-len(panels) // columns)
        size = (5.6 * columns, 4.0) if width is None else (width, 2.6 * rows)
        figure = Figure(figsize=size, layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False).flat
        # `panels` first: `zip` then takes no place without a panel, and what is left is hidden below.
        for panel, curves, axes in zip(panels, by_panel, places, strict=False):
            _panel(axes, panel, curves)
        for empty in places:
            empty.set_visible(False)
        size_of = f" · profile {result['profile']}" if "profile" in result else ""
        figure.suptitle(f"{result['id']}: {result['title']}{size_of}", fontsize=10)
        figure.draw_without_rendering()  # panels get their sizes: where lines end is known only now
        for curves, axes in zip(by_panel, figure.axes, strict=False):
            _numbered(axes, curves)
        for ending in endings:
            metadata = {"Software": None} if ending == ".png" else {"Date": None} if ending == ".svg" else _UNDATED
            with whole(path.with_name(path.name + ending)) as file:
                figure.savefig(file, format=ending[1:], dpi=150, metadata=metadata)


def _panel(axes: Any, panel: dict[str, Any], curves: list[dict[str, Any]]) -> None:
    for number, curve in enumerate(curves):
        colour, own = _COLOURS[number % len(_COLOURS)], curve["kind"] == "transformer"
        # A pattern goes on where colours begin again, so that no two lines look alike.
        dash = "-" if own else _DASHES[(number // len(_COLOURS) + number % 2) % len(_DASHES)]
        axes.plot(
            curve["x"],
            curve["value"],
            linestyle={"published": ":", "points": "none"}.get(curve["kind"], dash),
            color=colour,
            label=f"{number + 1} {curve['label']}" if len(curves) > _MANY else curve["label"],
            marker=_MARKS[number % len(_MARKS)] if len(curve["x"]) <= 12 else None,
            markersize=4,
            linewidth=1.6 if own else 1.1,
        )
        if curve["kind"] == "points":
            _whiskers(axes, curve, colour)
        elif None not in curve["low"]:
            axes.fill_between(curve["x"], curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
    axes.set(title=panel["title"], xlabel=panel["x"], ylabel=panel["y"], yscale=panel["scale"])
    if ticks := panel.get("ticks"):
        slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(ticks) > _FITTING else {}
        axes.set_xticks(range(1, len(ticks) + 1), ticks, **slanted)
    axes.grid(visible=True, alpha=0.25, linewidth=0.6)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)} if len(curves) > _MANY else {}
    axes.legend(fontsize=7, frameon=False, **place)


def _numbered(axes: Any, curves: list[dict[str, Any]]) -> None:
    """Numbers at the ends of many lines, whose colours alone do not tell them apart; none lies on another."""
    from scipy.optimize import isotonic_regression

    if len(curves) <= _MANY:
        return
    ends: dict[float, list[tuple[float, int]]] = {}
    for number, curve in enumerate(curves):
        if curve["value"][-1] is not None:
            x, y = axes.transData.transform((curve["x"][-1], curve["value"][-1])) * 72 / axes.figure.dpi
            ends.setdefault(round(x), []).append((y, number))
    for group in ends.values():
        heights, numbers = zip(*sorted(group), strict=True)
        room = _LINE * np.arange(len(numbers))
        # As near to the ends as they can be with a line between them.
        for height, number, y in zip(isotonic_regression(heights - room).x + room, numbers, heights, strict=True):
            axes.annotate(
                str(number + 1),
                (curves[number]["x"][-1], curves[number]["value"][-1]),
                (4, height - y),
                textcoords="offset points",
                fontsize=7,
                color=_COLOURS[number % len(_COLOURS)],
                va="center",
            )


def _whiskers(axes: Any, curve: dict[str, Any], colour: str) -> None:
    """Intervals of points that no line joins."""
    for x, low, high in zip(curve["x"], curve["low"], curve["high"], strict=True):
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=colour, linewidth=0.8, alpha=0.6)
