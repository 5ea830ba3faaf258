"""An experiment's outcome as files: `result.json`, which holds everything, and the figure drawn from it."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from secondlook.lab.checkpoint import whole
from secondlook.lab.experiment import Curve, Experiment, Findings, Lab, Variant
from secondlook.lab.figures import draw
from secondlook.lab.verdict import Estimate, overall
from secondlook.transformer import Transformer

_PACKAGES = ("secondlook", "torch", "numpy", "scipy", "matplotlib")


def conduct(experiment: Experiment, lab: Lab, folder: Path, command: str) -> dict[str, Any]:
    """Run an experiment, and write `result.json` and its figure as PNG and SVG.

    Args:
        experiment: Which.
        lab: Profile and trained runs.
        folder: Where the files go.
        command: What a user types to do it again.

    Returns:
        What is in `result.json`.

    Raises:
        ValueError, FloatingPointError, OSError: As training does. Runs that were done are kept.
    """
    begun = time.time()
    findings = experiment.run(lab)
    result = record(experiment, lab, findings, command, time.time() - begun)
    with whole(folder / "result.json") as file:
        file.write((json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    draw(result, folder / "figure")
    return result


def record(experiment: Experiment, lab: Lab, findings: Findings, command: str, seconds: float) -> dict[str, Any]:
    """Everything about an outcome, as JSON has it."""
    parts = []
    for part in experiment.parts:
        estimate = Estimate.of(findings.numbers[part.name])
        side = {"above": part.above} if part.above is not None else {"below": part.below}
        parts.append({"name": part.name, "says": part.says, "whose": part.whose, **side, **_estimate(estimate)})
        parts[-1]["verdict"] = part.judge(estimate)
    # The claim's own parts decide; a rival explanation's have verdicts of their own.
    judged = [part for part in parts if part["whose"] == "paper"] or parts
    return {
        "id": experiment.id,
        "title": experiment.title,
        "claim": experiment.claim,
        "source": experiment.source,
        "verdict": overall([part["verdict"] for part in judged]),
        "parts": parts,
        "profile": lab.profile.name,
        "notes": list(findings.notes),
        "variants": [_variant(variant) for variant in findings.variants],
        "panels": [asdict(panel) for panel in findings.panels],
        "curves": [_curve(curve) for curve in findings.curves],
        "configuration": {"base": lab.base.record(), "seeds": lab.profile.seeds, "exam": lab.profile.exam},
        "command": command,
        "seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {lab.store.workers} processes, {lab.store.options.device}",
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "commit": _commit(),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    low, high = (x if math.isfinite(x) else None for x in (estimate.low, estimate.high))
    return {"value": estimate.value, "low": low, "high": high, "seeds": estimate.seeds}


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "label": variant.label,
        "factor": variant.factor,
        "also": dict(variant.also),
        "parameters": parameters(variant),
        "run": variant.run.record(),
    }


def parameters(variant: Variant) -> int:
    """Numbers in the weights of a variant."""
    with torch.device("meta"):
        model = Transformer(variant.run.shape.transformer(variant.run.task))
    return sum(weights.numel() for weights in model.parameters())


def _curve(curve: Curve) -> dict[str, Any]:
    estimates = [_estimate(estimate) for estimate in curve.estimates()]
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
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() or None
