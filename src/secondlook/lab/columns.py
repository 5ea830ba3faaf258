"""Three answers to a claim of the paper: as released, as the paper states it, and with one factor changed alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondlook.evidence.outcome import ClaimEstimate, Outcome, Part, overall
from secondlook.lab.experiments import EXPERIMENTS
from secondlook.lab.sweep import BASE

COLUMNS = ("as released", "as the paper states it", "fair, one factor")
Results = Mapping[str, Mapping[str, Any]]


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


@dataclass(frozen=True)
class OfBase:
    """A claim about the base of a sweep alone.

    Attributes:
        sweep: See `Cell`.
        claim: Its id.
        reduced: See `Cell`.
    """

    sweep: str
    claim: str
    reduced: bool = False


@dataclass(frozen=True)
class Quick:
    """A claim's own experiment at the quick profile.

    Attributes:
        claim: Its id.
    """

    claim: str


Answer = Cell | OfBase | Quick
# Thresholds as declared in docs/laboratory.md, Judged again, before any of these variants was run.
_WORSE = Part("behind", "its skill is behind the base's by more than", above=0.25)
_ALIKE = Part("behind", "its skill is behind the base's by less than", below=0.1)
_DEPTHS = (Cell("released", "5 blocks", _WORSE), Cell("released", "15 blocks", _ALIKE))
ANSWERS: dict[str, tuple[Sequence[Answer], Sequence[Answer], Sequence[Answer]]] = {
    "L1": ((OfBase("released", "L1"),), (OfBase("paper-task", "L1", reduced=True),), (Quick("L1"),)),
    "L2": ((), (), (Quick("L2"),)),
    "L3": (  # as released, depth changes alone
        _DEPTHS,
        (Cell("paper-task", "1 block", _WORSE, reduced=True),),
        (Cell("reduced", "1 block", _WORSE, reduced=True), *_DEPTHS),
    ),
    "L4": (
        (Cell("released", "linear attention"),),
        (Cell("paper-task", "linear attention", reduced=True),),
        (Cell("reduced", "linear attention", reduced=True), Cell("released-linear", "linear attention alone")),
    ),
    "L5": (
        (Cell("released", "1 head"),),
        (Cell("paper-task", "1 head", reduced=True),),
        (Cell("reduced", "1 head", reduced=True), Cell("released-heads-and-depth", "1 head of 96")),
    ),
    "L6": (
        (Cell("released", "no feed-forward network"),),
        (Cell("paper-task", "no feed-forward network", reduced=True),),
        (Cell("reduced", "no feed-forward network", reduced=True), Cell("released-no-network", "no network alone")),
    ),
    "L7": ((OfBase("released", "L7"),), (OfBase("paper-task", "L7", reduced=True),), (Quick("L7"),)),
    "L8": ((), (), (Quick("L8"),)),
}
"""Variants that answer a claim in each column; those of L3 to L6 were fixed before any of them was run."""


def judged(results: Path) -> dict[str, Mapping[str, Any]]:
    """All results in a folder, by the name of their sweep, and those of the quick profile by their claim."""
    files = [*results.glob("*/result.json"), *results.glob("quick/*/result.json")]
    # Sweeps and claims share these names: a sweep called L1 would hide the claim.
    return {file.parent.name: json.loads(file.read_text("utf-8")) for file in files}


def outcome(answer: Answer, results: Results) -> Outcome | None:
    """Outcome that an answer gives of the claim; ``None`` if it was not run."""
    if isinstance(answer, Quick):
        found: Outcome | None = results[answer.claim]["outcome"] if answer.claim in results else None
        return found
    if answer.sweep not in results:
        return None
    if isinstance(answer, OfBase):
        return _of_base(answer, results[answer.sweep]["claims"].get(answer.claim))
    return _of_variant(answer, _variant(answer, results))


def worded(answer: Answer, results: Results) -> str:
    """An answer for people: what was looked at, the outcome, the number that decides, of how many seeds."""
    said = outcome(answer, results)
    name = answer.variant if isinstance(answer, Cell) else "quick profile" if isinstance(answer, Quick) else "base"
    where = ", reduced size" if not isinstance(answer, Quick) and answer.reduced else ""
    if said is None:
        return f"{name}: not run"
    if isinstance(answer, Quick) or said == "base not trained":
        return f"{name}: {said}{where}"
    if isinstance(answer, OfBase):
        base = next(one for one in results[answer.sweep]["variants"] if one["name"] == BASE)
        return f"{name}: {said} ({_seeds(len(base['counted']))}{where})"
    found = _variant(answer, results)
    number, seeds = found["behind" if answer.part else "skill"], _seeds(len(found["counted"]))
    shown = f"{number['value']:.2f} [{number['low']:.2f}, {number['high']:.2f}]"
    return f"{name}: {said} ({'behind by' if answer.part else 'skill'} {shown}, {seeds}{where})"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _of_variant(cell: Cell, found: Mapping[str, Any]) -> Outcome | None:
    standing = found["standing"]
    if standing == "not run":
        return None
    if standing == "base not trained":
        return "base not trained"
    if cell.part:
        return cell.part.judge(_estimate(found["behind"]), cell.reduced)
    if standing == "solves":
        return "not reproduced at reduced size" if cell.reduced else "refuted"
    return "supported" if standing == "fails" else "undecided"


def _of_base(answer: OfBase, numbers: Mapping[str, Any] | None) -> Outcome:
    if numbers is None:
        return "base not trained"
    return overall([p.judge(_estimate(numbers[p.name]), answer.reduced) for p in EXPERIMENTS[answer.claim].parts])


def _estimate(number: Mapping[str, Any]) -> ClaimEstimate:
    """Estimate as `estimated` wrote it; an interval without end, of a single seed, is none."""
    low = -math.inf if number["low"] is None else number["low"]
    high = math.inf if number["high"] is None else number["high"]
    return ClaimEstimate(number["value"], low, high, number["n"])


def _variant(cell: Cell, results: Results) -> Mapping[str, Any]:
    missing = {"standing": "not run"}
    of_sweep = results[cell.sweep]["variants"] if cell.sweep in results else []
    return next((one for one in of_sweep if one["name"] == cell.variant), missing)
