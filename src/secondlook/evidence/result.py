"""`result.json`: what was claimed, found and judged, and everything needed to do it again."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.figures import draw
from secondlook.evidence.outcome import ClaimEstimate, Part, overall
from secondlook.machine import whole

_PACKAGES = ("secondlook", "torch", "numpy", "scipy", "matplotlib")


def write(result: dict[str, Any], folder: Path) -> None:
    """Write `result.json` and, where there is something to draw, its figure as PNG and SVG.

    Raises:
        OSError: They cannot be written; what was there before is kept.
    """
    with whole(folder / "result.json") as file:
        file.write((json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    if result["panels"]:  # what could not be estimated has none
        draw(result, folder / "figure")


def judged(
    parts: Sequence[Part],
    numbers: Mapping[str, Sequence[float] | ClaimEstimate],
    *,
    reduced: bool = False,
    trained: bool = True,
) -> dict[str, Any]:
    """The outcome, and every part with its number, interval and outcome, as JSON has them.

    Args:
        parts: Of the claim.
        numbers: By the parts' names; an optional part without a number was not asked about here, and is left out.
        reduced: See `Part.judge`.
        trained: Whether the base was; if not, nothing is said of what was compared with it.
    """
    found: list[dict[str, Any]] = []
    for part in parts:
        if part.optional and part.name not in numbers:
            continue
        number = numbers[part.name]
        estimate = number if isinstance(number, ClaimEstimate) else ClaimEstimate.of(number)
        sides = {name: at for name in ("above", "below") if (at := getattr(part, name)) is not None}
        found.append({"name": part.name, "says": part.says, "whose": part.whose, **sides, **estimated(estimate)})
        found[-1]["outcome"] = part.judge(estimate, reduced) if trained else "base not trained"
    # The claim's own parts decide; a rival explanation's have outcomes of their own.
    own = [part for part in found if part["whose"] == "paper"] or found
    return {"outcome": overall([part["outcome"] for part in own]), "parts": found}


def pictured(panels: Sequence[Panel], curves: Sequence[Curve]) -> dict[str, Any]:
    """Panels and curves as JSON has them."""
    drawn = [asdict(panel) | {"ticks": list(panel.ticks)} for panel in panels]
    return {"panels": drawn, "curves": [_curve(curve) for curve in curves]}


def provenance() -> dict[str, Any]:
    """Versions of packages and of the code."""
    versions = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    return {"versions": versions, "commit": _commit()}


def estimated(estimate: ClaimEstimate) -> dict[str, Any]:
    """An estimate as JSON has it."""
    value, low, high = (x if math.isfinite(x) else None for x in (estimate.value, estimate.low, estimate.high))
    return {"value": value, "low": low, "high": high, "n": estimate.n}


def _curve(curve: Curve) -> dict[str, Any]:
    estimates = [estimated(estimate) for estimate in curve.estimates()]
    columns = {name: [estimate[name] for estimate in estimates] for name in ("value", "low", "high")}
    return {
        "panel": curve.panel,
        "label": curve.label,
        "kind": curve.kind,
        "x": list(curve.x),
        **columns,
        "seeds": [list(values) for values in curve.seeds],
    }


def _commit() -> str | None:
    """The commit of the code, with + if it was changed since; none outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            # Without --exclude the name of a tag would stand in place of the hash.
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() or None
