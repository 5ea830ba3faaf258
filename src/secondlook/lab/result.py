"""An experiment's outcome as files: `result.json`, which holds everything, and the figure drawn from it."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import torch

from secondlook.evidence.result import judged, pictured, provenance, write
from secondlook.lab.experiment import Experiment, Findings, Lab, Variant
from secondlook.transformer import Transformer


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
    write(result, folder)
    return result


def record(experiment: Experiment, lab: Lab, findings: Findings, command: str, seconds: float) -> dict[str, Any]:
    """Everything about an outcome, as JSON has it."""
    return {
        "id": experiment.id,
        "title": experiment.title,
        "claim": experiment.claim,
        "source": experiment.source,
        **judged(experiment.parts, findings.numbers, reduced=bool(lab.profile.reduced), trained=not findings.untrained),
        "profile": lab.profile.name,
        "notes": [*findings.notes, *filter(None, (findings.untrained, lab.profile.reduced))],
        "variants": [_variant(variant) for variant in findings.variants],
        **pictured(findings.panels, findings.curves),
        "configuration": {"base": lab.base.record(), "seeds": lab.profile.seeds, "exam": lab.profile.exam},
        "command": command,
        "seconds": round(seconds, 1),
        "machine": f"{platform.machine()}, {lab.store.engine.described}, {lab.store.options.device}",
        **provenance(),
    }


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
