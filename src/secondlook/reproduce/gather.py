"""Evidence of a claim: gathered now, or read from what was committed, as one record in the same form for all floors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from secondlook.cluster.here import Here
from secondlook.cluster.unit import Engine
from secondlook.evidence.experiment import conduct
from secondlook.local.weights import find_model
from secondlook.machine import processors
from secondlook.reproduce import theory
from secondlook.reproduce.ledger import DEMONSTRATED, Claim

PROFILES = ("demo", "quick", "full")
DEMO = ("L1", "L7", "S2", "R1")
"""Claims that the demo profile runs beside the theory; of all others it shows what was committed."""
Describe = Callable[[str], None]


def run(
    claim: Claim, profile: str, work: Path, workers: int, tell: Describe, engine: Engine | None = None
) -> dict[str, dict[str, Any]]:
    """Run the job of a claim.

    Args:
        claim: Whose.
        profile: One of `PROFILES`.
        work: Where a job may keep what it can go on from.
        workers: Processes.
        tell: Called with what is being done.
        engine: Who trains transformers; by default so many processes, or one with the accelerator.

    Returns:
        Findings by claim, of all claims with the same job.

    Raises:
        ValueError, RuntimeError, FloatingPointError, OSError: As the floors do; what was done is kept.
    """
    if claim.floor == "theory":
        return theory.gather(claim.job, profile, workers)
    command = claim.command.format(profile=profile)
    if claim.floor == "laboratory":
        engine = engine or Here(1 if profile == "full" else workers)
        return {claim.id: _laboratory(claim, profile, work, engine, command, tell)}
    if claim.floor == "real":
        return {claim.id: _real(claim, profile, work, command, tell)}
    return {claim.id: _study(claim, profile, work, command, tell)}


def runs_here(claim: Claim, profile: str, accelerated: bool = False) -> bool:
    """Whether a profile runs a claim on this machine, or where there is an accelerator."""
    if claim.floor == "real":
        return claim.id in DEMO and find_model(DEMONSTRATED).path.is_file()
    if claim.floor == "theory" or profile == "quick":
        return True
    if profile == "demo":
        return claim.id in DEMO
    return claim.floor == "laboratory" and (accelerated or _accelerated())


def _accelerated() -> bool:
    import torch

    return torch.cuda.is_available()


def _laboratory(claim: Claim, profile: str, work: Path, engine: Engine, command: str, tell: Describe) -> dict[str, Any]:
    from secondlook.lab.experiment import Lab
    from secondlook.lab.experiments import EXPERIMENTS
    from secondlook.lab.profile import find
    from secondlook.lab.store import Store
    from secondlook.lab.train import Options

    full = profile == "full"
    size = find("paper" if full else profile)
    options = Options("cuda" if full else "cpu", exam=size.exam)
    # On a CPU an ensemble of small models takes longer than one after the other (bench/laboratory.py).
    store = Store(work / "trained", options, engine, 16 if full else 1)
    done = 0.0

    def tick(runs: float) -> None:
        nonlocal done
        done += runs
        tell(f"{claim.id}: {done:.0f} runs trained")

    return conduct(EXPERIMENTS[claim.id], Lab(size, store, tick), work / size.name / claim.id, command)


def _study(claim: Claim, profile: str, work: Path, command: str, tell: Describe) -> dict[str, Any]:
    from secondlook.studies.experiments import EXPERIMENTS
    from secondlook.studies.planted import PlantedBench
    from secondlook.studies.profile import find

    bench = PlantedBench(find(profile), work / "asked", lambda what: tell(f"{claim.id}: {what}"))
    return conduct(EXPERIMENTS[claim.id], bench, work / profile / claim.id, command)


def _real(claim: Claim, profile: str, work: Path, command: str, tell: Describe) -> dict[str, Any]:
    import torch

    from secondlook.studies.experiments import REAL
    from secondlook.studies.real import RealBench, demonstrated, profile_of

    asked = profile_of(DEMONSTRATED)
    if profile == "demo":  # smaller, and called so: neither is compared with the other
        asked, command = demonstrated(asked), f"secondlook reproduce {claim.id} --profile demo"
    bench = RealBench(asked, work / "records", work / "asked", lambda what: tell(f"{claim.id}: {what}"))
    threads = torch.get_num_threads()
    torch.set_num_threads(processors())  # one process asks, and its products are large enough for every core
    try:
        return conduct(REAL[claim.id], bench, work / profile / claim.id, command)
    finally:
        torch.set_num_threads(threads)


def committed(claim: Claim, results: Path) -> dict[str, Any] | None:
    """Committed finding of a claim, if it is about the same statement and thresholds."""
    file = claim.committed(results)
    if file is None or not file.is_file():
        return None
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return result if _judged_by(claim, result) else None


def _judged_by(claim: Claim, result: dict[str, Any]) -> bool:
    return bool(result["claim"] == claim.statement and claim.agrees(result["parts"]))


def record(claim: Claim, finding: dict[str, Any], profile: str, evidence: str, seconds: float) -> dict[str, Any]:
    """A claim with its outcome, the number that decides it, and where they come from."""
    deciding = _deciding(finding["parts"], finding["outcome"])
    found = _found(finding["outcome"], deciding)
    outcome = "proved" if found["outcome"] == "verified" and claim.proof else found["outcome"]
    return {
        **_declared(claim),
        **found,
        "outcome": "planted" if claim.floor == "studies" else outcome,
        "finding": outcome,
        "no_interval": None if found["interval"] else deciding.get("why", "it could not be estimated"),
        "command": finding.get("command", claim.command.format(profile=profile)),
        "seconds": round(finding.get("seconds", seconds), 1),
        "profile": finding.get("profile", profile),
        "evidence": evidence,
        "parts": finding["parts"],
        "notes": finding["notes"],
    }


def on_real_models(claim: Claim, results: Path) -> list[dict[str, Any]]:
    """Committed findings of a claim on real models: outcome and deciding number of each, for that model alone.

    What was judged by another statement or other thresholds is left out, until it is judged again.
    """
    found = []
    for file in claim.asked_of(results):
        result: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if not _judged_by(claim, result):
            continue
        deciding = _deciding(result["parts"], result["outcome"])
        asked = {"name": file.parts[-3], "n": deciding["n"]}
        asked |= {name: result[name] for name in ("model", "date", "command")}
        found.append(asked | _found(result["outcome"], deciding))
    return found


def _found(outcome: str, deciding: dict[str, Any]) -> dict[str, Any]:
    """The outcome and the number that decides it; without an interval nothing is said of a claim."""
    low, high = deciding["low"], deciding["high"]
    return {
        "outcome": "undecided" if outcome == "not estimated" else outcome,
        "value": deciding["value"],
        "interval": None if low is None or high is None else [low, high],
        "unit": deciding["says"],
        "threshold": {side: deciding.get(side) for side in ("above", "below")},
    }


def not_run(claim: Claim, profile: str, why: str) -> dict[str, Any]:
    """A claim about which nothing is said here, with the command and the hardware that would."""
    return {
        **_declared(claim),
        "outcome": "not run here",
        "finding": None,
        "value": None,
        "interval": None,
        "no_interval": "nothing was run",
        "unit": None,
        "threshold": None,
        "command": claim.full,
        "seconds": 0.0,
        "profile": profile,
        "evidence": None,
        "parts": [],
        "notes": [why],
    }


def tested(claim: Claim) -> Claim:
    """Claim as it is cached: without what only tells a reader where to go on."""
    return replace(claim, full="", hardware="")


def _declared(claim: Claim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "title": claim.title,
        "statement": claim.statement,
        "source": claim.source,
        "floor": claim.floor,
        "support": claim.support,
        "refutation": claim.refutation,
        "proof": claim.proof,
        "full": claim.full,
        "hardware": claim.hardware,
    }


def _deciding(parts: Sequence[dict[str, Any]], outcome: str) -> dict[str, Any]:
    """The part that decides: the claim's first that has its outcome; of errors, the one nearest its bound."""
    own = [part for part in parts if part["whose"] == "paper"] or list(parts)
    # A part that could not be estimated leaves a claim undecided, and so may one that has a number to show.
    shown = ("undecided", outcome) if outcome == "not estimated" else (outcome,)
    same = next((found for one in shown if (found := [part for part in own if part["outcome"] == one])), own)
    # Only the rows of proofs say why they have no interval.
    if outcome not in ("verified", "refuted") or "why" not in same[0]:
        return same[0]
    return max((part for part in same if "below" in part), key=_share, default=same[0])


def _share(part: dict[str, Any]) -> float:
    """Share of the allowed error that a row takes."""
    return math.inf if part["value"] is None else float(part["value"] / part["below"])
