"""L2: noise in the rewards hurts a transformer and gradient descent alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, descent_of, error, seen

LAST = 15
# The released code's stored result (§3): p, then 1 − cosine at 2 and at 15 examples.
PUBLISHED = {0.0: (0.519, 0.297), 0.25: (0.647, 0.399), 0.5: (0.781, 0.624), 0.75: (0.924, 0.837), 1.0: (1.022, 1.083)}


def run(lab: Lab) -> Findings:
    """Train with every amount of noise, and judge with as much."""
    noises = lab.profile.noises
    base = lab.base
    variants = [
        Variant(_label(p), replace(base, task=replace(base.task, p=p)), "" if p == base.task.p else "task.p")
        for p in noises
    ]
    trained = lab.train(variants)
    at = seen(base).index(LAST)
    curves = [lab.curve("prefix", variant.label, trained[variant.label], error) for variant in variants]
    ours = {p: [lab.examine(member, error)[at].item() for member in trained[_label(p)]] for p in noises}
    other = {
        p: lab.baselines("", replace(base, task=replace(base.task, p=p)), error, only=(descent_of(base),))[0].seeds[0][
            at
        ]
        for p in noises
    }
    lines = np.array([ours[p] for p in noises])
    curves += [
        Curve("noise", "transformer", noises, tuple(map(tuple, lines.T.tolist()))),
        Curve("noise", "descent", noises, (tuple(other[p] for p in noises),), "baseline"),
    ]
    if base.task.name == "released":
        curves.append(
            Curve("noise", "released code", tuple(PUBLISHED), (tuple(x[1] for x in PUBLISHED.values()),), "published")
        )
        for p, (few, many) in PUBLISHED.items():
            curves.append(Curve("prefix", f"released code, p = {p:g}", (2, 15), ((few, many),), "published"))
    harm = lines[-1] - lines[0]
    # Descent has no seeds: one number, repeated, whose interval has no width.
    own = other[noises[-1]] - other[noises[0]]
    return Findings(
        {
            "transformer": harm.tolist(),
            "descent": [own] * len(harm),
            "alike": (harm - own).tolist(),
            "alike below": (harm - own).tolist(),
        },
        (
            Panel("noise", f"Error after {LAST} examples", "probability p of a random reward", "1 − cosine with Wx"),
            Panel("prefix", "Error by prefix", "examples in context", "1 − cosine with Wx"),
        ),
        tuple(curves),
        variants=tuple(variants),
        notes=(
            "Trained and judged with the same noise; problems differ between amounts of noise in their rewards alone.",
        ),
    )


def _label(p: float) -> str:
    return f"p = {p:g}"


EXPERIMENT = Experiment(
    "L2",
    "noise in the rewards",
    "Random rewards hurt the transformer and gradient descent alike.",
    "figure 1b",
    (
        Part("transformer", "from no noise to all noise the transformer's error grows by more than", above=0.2),
        Part("descent", "and descent's by more than", above=0.2),
        Part("alike", "the transformer's growth is above descent's less", above=-0.15),
        Part("alike below", "and below descent's plus", below=0.15),
    ),
    run,
)
