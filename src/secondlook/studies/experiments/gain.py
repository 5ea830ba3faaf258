"""S1: looking again after a self-check improves most categories."""

from __future__ import annotations

import numpy as np

from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.verdict import Part
from secondlook.studies.pairs import arms_of, change, estimate
from secondlook.studies.study import Bench, Experiment, Findings


def run(bench: Bench) -> Findings:
    """One second look with a self-check, and one without any check."""
    arms = arms_of(bench.planted("self", "none"))
    own, none = arms["self"], arms["none"]
    groups = np.unique(own.group)
    gains = {arm.name: [change(arm, arm, group=group) for group in groups] for arm in (own, none)}
    better = np.array([gain.value > 0 for gain in gains["self"]])
    x = tuple(float(index + 1) for index in range(len(groups)))
    return Findings(
        {
            "most": estimate(clustered_proportion(better, groups)),
            "gain": change(own, own),
            "beyond": change(none, own, first=1),
        },
        (Panel("gain", "Change of accuracy after one second look", "category", "change of accuracy"),),
        tuple(Curve("gain", f"critic {name}", x, kind="points", points=tuple(found)) for name, found in gains.items()),
        ("Intervals of categories in the figure are not adjusted for their number.",),
    )


EXPERIMENT = Experiment(
    "S1",
    "gain by category",
    "A second look after a self-check improves most categories of a social-bias benchmark.",
    "table 1, figure 2",
    (
        Part("most", "share of categories whose accuracy rises", above=0.5),
        Part("gain", "change of accuracy over all categories", above=0.0),
        Part("beyond", "the same less that of asking again without any check", above=0.0, whose="ours"),
    ),
    "secondlook eval bbq --model MODEL --per-category 500 --critic self --critic none",
    run,
)
