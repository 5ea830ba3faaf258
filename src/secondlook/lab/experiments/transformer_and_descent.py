"""L1: the error falls with the number of examples, for a transformer as for gradient descent."""

from __future__ import annotations

from secondlook.evidence.curves import Panel
from secondlook.evidence.verdict import Part
from secondlook.lab.experiment import Experiment, Findings, Lab, Variant, descent_of, error, loss, seen

FEW, MANY = 2, 14


def run(lab: Lab) -> Findings:
    """Train the base, and look at it beside descent at every prefix."""
    variants = lab.tune([Variant("transformer", lab.base)])
    members = lab.train(variants)["transformer"]
    at = seen(lab.base)
    few, many = at.index(FEW), at.index(MANY)
    exam, other = lab.exam(lab.base), descent_of(lab.base)
    panels = (
        Panel("error", "Distance from the truth", "examples in context", "1 − cosine with Wx"),
        Panel("loss", f"What is minimised: {lab.base.objective}", "examples in context", "loss (nats)"),
    )
    curves = [
        curve
        for panel, metric in (("error", error), ("loss", loss))
        for curve in (
            lab.curve(panel, "transformer", members, metric),
            *lab.baselines(panel, lab.base, metric, only=(other, f"{other}, tuned")),
        )
    ]
    descent = dict(zip(at, next(c for c in curves if c.label == other).seeds[0], strict=True))
    errors = [lab.examine(member, error) for member in members]
    return Findings(
        {
            "falls": [(e[few] - e[many]).item() for e in errors],
            "early": [e[few].item() - descent[FEW] for e in errors],
            "late": [descent[MANY] - e[many].item() for e in errors],
        },
        panels,
        tuple(curves),
        tuple(variants),
        (f"Judged on {len(exam.episodes)} fresh problems; intervals are over seeds of training.",),
    )


EXPERIMENT = Experiment(
    "L1",
    "transformer and gradient descent",
    "The error falls with the number of examples; descent is better early, the transformer slightly better by 14.",
    "figure 1a",
    (
        Part("falls", f"1 − cosine falls from {FEW} to {MANY} examples by more than", above=0.02),
        Part("early", f"at {FEW} examples the transformer's error is above descent's by more than", above=0.0),
        Part("late", f"at {MANY} examples descent's error is above the transformer's by more than", above=0.0),
    ),
    run,
)
