"""S2: across categories, the gain of a second look goes with the accuracy of the self-check."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from secondlook.diagnosis.dose import correlate
from secondlook.diagnosis.table import Arm
from secondlook.diagnosis.transitions import critic_of
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import arms_of, change, estimate


def ask(bench: Bench) -> list[pd.DataFrame]:
    """Records of one second look after a self-check, by each subject."""
    subjects = ("", bench.other) if bench.other else ("",)
    return [bench.questions("self", subject=subject) for subject in subjects]


def run(bench: Bench) -> Findings:
    """Gain and critic accuracy of every category, and their correlation, on one subject or two."""
    own, *others = (arms_of(records)["self"] for records in ask(bench))
    panel = Panel("gain", "Categories", "accuracy of the self-check", "change of accuracy")
    found, curve, note = _correlated("categories", own)
    if not others:
        return Findings({"correlation": found}, (panel,), tuple(filter(None, [curve])), (note,))
    other, beside, _ = _correlated("the other subject's", others[0])
    return Findings(
        {"correlation": found, "other subject": other},
        (panel,),
        tuple(filter(None, [curve, beside])),
        (note, "The other subject's self-check is nearly the same in all categories: there is little to correlate."),
    )


def _correlated(label: str, arm: Arm) -> tuple[ClaimEstimate, Curve | None, str]:
    judged = {group: critic_of(arm.take(arm.group == group), 0).accuracy for group in np.unique(arm.group)}
    # Where no verdict could be read, there is no accuracy to go with a gain.
    groups = [group for group, accuracy in judged.items() if accuracy is not None]
    unread = len(judged) - len(groups)
    without = f" Categories left out, since no verdict there could be read: {unread}." if unread else ""
    if not groups:
        return estimate(None), None, f"There is nothing to correlate.{without}"
    critics = [estimate(judged[group]) for group in groups]
    gains = [change(arm, arm, group=group) for group in groups]
    order = np.argsort([critic.value for critic in critics])
    curve = Curve(
        "gain",
        label,
        tuple(critics[index].value for index in order),
        kind="points",
        points=tuple(gains[index] for index in order),
    )
    found = correlate([gain.value for gain in gains], [critic.value for critic in critics])
    if isinstance(found, str):
        return estimate(None), curve, f"No correlation: {found}.{without}"
    note = (
        f"Spearman's rho {found.spearman:.3f}, p = {found.spearman_p:.2g}; Pearson's p = {found.pearson_p:.2g}, both "
        f"from permutations of the categories.{without}"
    )
    return _fisher(found.pearson, len(groups)), curve, note


def _fisher(r: float, n: int) -> ClaimEstimate:
    """Pearson's r with Fisher's interval, tanh(artanh r ± 1.96/√(n − 3)) (Fisher 1921)."""
    if abs(r) >= 1:  # its interval would have no width, however few the categories
        return ClaimEstimate(r, -1.0, 1.0, n)
    z, half = math.atanh(r), 1.959964 / math.sqrt(n - 3)
    return ClaimEstimate(r, math.tanh(z - half), math.tanh(z + half), n)


EXPERIMENT = Experiment(
    "S2",
    "gain against critic accuracy",
    "Across categories the gain correlates with the accuracy of the self-check.",
    "figure 3",
    (
        Part("correlation", "Pearson's r over the categories", above=0.0),
        Part("other subject", "the same on a subject with one critic for all", above=0.0, whose="ours", optional=True),
    ),
    run,
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic self",
)
