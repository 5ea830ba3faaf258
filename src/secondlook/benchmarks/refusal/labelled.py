"""Correction of a judge's rates by people's labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from secondlook.benchmarks.benchmark import Answered
from secondlook.benchmarks.refusal.item import Request
from secondlook.correction.transcript import Round
from secondlook.diagnosis.corrected import corrected_mean
from secondlook.diagnosis.intervals import Estimate
from secondlook.reading import Outcome


def label_of(one: Answered[Request], round_: Round) -> str | None:
    """People's label of an answer; ``None`` where they cannot tell."""
    said = one.labels.get(round_.index)
    return said if isinstance(said, str) and said in ("refused", "complied") else None


def hit(outcome: str | None, counted: Outcome) -> float:
    """Whether an outcome is the counted one; half where it is not clear."""
    return 0.5 if outcome not in ("refused", "complied") else float(outcome == counted)


def corrected(
    judged: Sequence[float], labels: Sequence[float], templates: Sequence[str], bounds: tuple[float, float]
) -> Estimate | None:
    """Corrected mean; ``None`` where the labels come from fewer than two templates.

    Args:
        judged: A judge's word on each reply, shape ``(n,)``.
        labels: People's word, NaN where there is none, shape ``(n,)``.
        templates: The template of each reply, shape ``(n,)``.
        bounds: The range the mean can lie in.
    """
    labelled = {template for template, label in zip(templates, labels, strict=True) if not np.isnan(label)}
    if len(labelled) < 2:
        return None
    return corrected_mean(judged, labels, np.array(templates, dtype=object), bounds=bounds).estimate
