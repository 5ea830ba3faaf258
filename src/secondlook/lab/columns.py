"""Three answers to a claim of the paper: as released, as the paper states it, and with one factor changed alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondlook.evidence.outcome import ClaimEstimate, Outcome, Part

COLUMNS = ("as released", "as the paper states it", "fair, one factor")


@dataclass(frozen=True)
class Cell:
    """A variant of a sweep, and what the claim says of it.

    Attributes:
        sweep: Name of the sweep, a folder of results.
        variant: The variant.
        part: Where the claim puts the base's skill less the variant's; ``None`` if it says that the variant fails.
        reduced: Whether the sweep is smaller than what the claim is about, so that nothing is refuted by it.
    """

    sweep: str
    variant: str
    part: Part | None = None
    reduced: bool = False


_WORSE = Part("behind", "its skill is behind the base's by more than", above=0.25)
_ALIKE = Part("behind", "its skill is behind the base's by less than", below=0.1)
CELLS: dict[str, dict[str, tuple[Cell, ...]]] = {
    "L3": {
        "as released": (Cell("released", "5 blocks", _WORSE), Cell("released", "15 blocks", _ALIKE)),
        "as the paper states it": (Cell("paper-task", "1 block", _WORSE, reduced=True),),
        "fair, one factor": (
            Cell("reduced", "1 block", _WORSE, reduced=True),
            Cell("released", "5 blocks", _WORSE),  # as released, depth changes alone
            Cell("released", "15 blocks", _ALIKE),
        ),
    },
    "L4": {
        "as released": (Cell("released", "linear attention"),),
        "as the paper states it": (Cell("paper-task", "linear attention", reduced=True),),
        "fair, one factor": (
            Cell("reduced", "linear attention", reduced=True),
            Cell("released-linear", "linear attention alone"),
        ),
    },
    "L5": {
        "as released": (Cell("released", "1 head"),),
        "as the paper states it": (Cell("paper-task", "1 head", reduced=True),),
        "fair, one factor": (
            Cell("reduced", "1 head", reduced=True),
            Cell("released-heads-and-depth", "1 head of 96"),
        ),
    },
    "L6": {
        "as released": (Cell("released", "no feed-forward network"),),
        "as the paper states it": (Cell("paper-task", "no feed-forward network", reduced=True),),
        "fair, one factor": (
            Cell("reduced", "no feed-forward network", reduced=True),
            Cell("released-no-network", "no network alone"),
        ),
    },
}
"""Which variant answers a claim; fixed before any was run. Claims that are not here have no ablation to judge so."""


def judged(results: Path) -> dict[str, Mapping[str, Any]]:
    """Results of sweeps in a folder, by name."""
    files = {name: results / name / "result.json" for name in _sweeps()}
    return {name: json.loads(file.read_text("utf-8")) for name, file in files.items() if file.is_file()}


def outcome(cell: Cell, results: Mapping[str, Mapping[str, Any]]) -> Outcome | None:
    """What a variant says of the claim; ``None`` if it was not run."""
    found = _variant(cell, results)
    if found is None or found["standing"] == "not run":
        return None
    if found["standing"] == "base not trained":
        return "base not trained"
    if cell.part:
        behind = found["behind"]
        return cell.part.judge(ClaimEstimate(behind["value"], behind["low"], behind["high"], behind["n"]), cell.reduced)
    if found["standing"] == "solves":
        return "not reproduced at reduced size" if cell.reduced else "refuted"
    return "supported" if found["standing"] == "fails" else "not supported"


def worded(cell: Cell, results: Mapping[str, Mapping[str, Any]]) -> str:
    """A cell for people: the variant, the outcome, the number that decides, and how many seeds it is of."""
    said = outcome(cell, results)
    found = _variant(cell, results)
    if said is None or found is None:
        return f"{cell.variant}: not run"
    where = ", reduced size" if cell.reduced else ""
    if said == "base not trained":
        return f"{cell.variant}: {said}{where}"
    name = "behind" if cell.part else "skill"
    number, count = found[name], len(found["counted"])
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    shown = f"{number['value']:.2f} [{number['low']:.2f}, {number['high']:.2f}]"
    return f"{cell.variant}: {said} ({'behind by' if cell.part else 'skill'} {shown}, {seeds}{where})"


def _variant(cell: Cell, results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    of_sweep = results[cell.sweep]["variants"] if cell.sweep in results else []
    found: Mapping[str, Any] | None = next((one for one in of_sweep if one["name"] == cell.variant), None)
    return found


def _sweeps() -> list[str]:
    return sorted({cell.sweep for columns in CELLS.values() for cells in columns.values() for cell in cells})
