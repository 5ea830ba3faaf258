"""S2: across categories, the gain of a second look goes with the accuracy of the self-check."""

from __future__ import annotations

import math

import numpy as np

from secondlook.diagnosis.dose import correlate
from secondlook.diagnosis.transitions import critic_of
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.verdict import Estimate, Part
from secondlook.studies.pairs import arms_of, change, estimate
from secondlook.studies.study import Bench, Experiment, Findings


def run(bench: Bench) -> Findings:
    """Gain and critic accuracy of every category, and their correlation."""
    arm = arms_of(bench.planted("self"))["self"]
    groups = np.unique(arm.group)
    critics = [estimate(critic_of(arm.take(arm.group == group), 0).accuracy) for group in groups]
    gains = [change(arm, arm, group=group) for group in groups]
    found = correlate([gain.value for gain in gains], [critic.value for critic in critics])
    order = np.argsort([critic.value for critic in critics])
    note = found if isinstance(found, str) else f"Spearman's rho {found.spearman:.3f}, p = {found.spearman_p:.2g}; "
    if not isinstance(found, str):
        note += f"Pearson's p = {found.pearson_p:.2g}, both from permutations of the categories."
    return Findings(
        {
            "correlation": Estimate(math.nan, -math.inf, math.inf, 0)
            if isinstance(found, str)
            else _fisher(found.pearson, len(groups))
        },
        (Panel("gain", "Categories", "accuracy of the self-check", "change of accuracy"),),
        (
            Curve(
                "gain",
                "categories",
                tuple(critics[index].value for index in order),
                kind="points",
                points=tuple(gains[index] for index in order),
            ),
        ),
        (note,),
    )


def _fisher(r: float, n: int) -> Estimate:
    """Pearson's r with Fisher's interval, tanh(artanh r ± 1.96/√(n − 3)) (Fisher 1921)."""
    half = 1.959964 / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)


EXPERIMENT = Experiment(
    "S2",
    "gain against critic accuracy",
    "Across categories the gain correlates with the accuracy of the self-check.",
    "figure 3",
    (Part("correlation", "Pearson's r over the categories", above=0.0),),
    "secondlook eval bbq --model MODEL --per-category 500 --critic self",
    run,
)
