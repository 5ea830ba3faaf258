"""L4: softmax or linear attention, under the same causal mask, each at a rate of its own."""

from __future__ import annotations

from dataclasses import replace

from secondlook.evidence.curves import Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, check_fair, error, loss


def run(lab: Lab) -> Findings:
    """Train both; see how far each comes from a random guess."""
    base = Variant("softmax", lab.base)
    linear = Variant("linear", replace(lab.base, shape=replace(lab.base.shape, attention="linear")), "shape.attention")
    check_fair(base, [linear])
    variants = lab.tune([base, linear])
    trained = lab.train(variants)
    chance = lab.chance
    soft, flat = (lab.mean(trained[variant.label], loss) for variant in variants)
    return Findings(
        {"progress": ((chance - flat) / (chance - soft)).tolist(), "solved": (flat - soft).tolist()},
        (
            Panel("error", "Distance from the truth", "examples in context", "1 − cosine with Wx"),
            Panel("loss", f"What is minimised: {lab.base.objective}", "examples in context", "loss (nats)"),
        ),
        tuple(
            lab.curve(panel, variant.label, trained[variant.label], metric)
            for panel, metric in (("error", error), ("loss", loss))
            for variant in variants
        ),
        variants=tuple(variants),
        notes=(f"A random guess has a loss of {chance:.2f} nats.",),
        untrained=lab.short(trained["softmax"]),
    )


EXPERIMENT = Experiment(
    "L4",
    "softmax or linear attention",
    "Linear attention can hardly solve the task.",
    "figure 1d",
    (
        Part("progress", "of the way from a random guess to softmax, linear attention makes less than", below=0.5),
        Part("solved", "linear attention comes within so many nats of softmax", below=0.1, whose="ours"),
    ),
    run,
)
