"""L6: with or without a feed-forward network, at the same number of weights, under the same causal mask."""

from __future__ import annotations

from dataclasses import replace

from secondlook.evidence.curves import Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, check_fair, error, loss
from secondlook.lab.run import Run


def run(lab: Lab) -> Findings:
    """Train with it, without it, and without it but as large."""
    base = Variant("with", lab.base)
    less = Variant("without", replace(lab.base, shape=replace(lab.base.shape, feedforward=0)), "shape.feedforward")
    wide = matched(lab.base)
    check_fair(base, [less, wide])
    variants = lab.tune([base, less, wide])
    trained = lab.train(variants)
    reached = {label: lab.mean(members, loss) for label, members in trained.items()}
    chance = lab.chance
    return Findings(
        {
            "progress": ((chance - reached["without"]) / (chance - reached["with"])).tolist(),
            "needed": (reached[wide.label] - reached["with"]).tolist(),
        },
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
        untrained=lab.short(trained["with"]),
    )


def matched(base: Run) -> Variant:
    """The base without its feed-forward network, and with heads as much wider as makes up for the weights."""
    shape = base.shape
    hidden = 4 * shape.width if shape.feedforward is None else shape.feedforward
    own = shape.width // shape.heads if shape.head_width is None else shape.head_width
    # Attention has 4·width·heads·head_width weights a block, the network 2·width·hidden.
    wider = round(own + hidden / (2 * shape.heads))
    return Variant(
        "without, heads wider",
        replace(base, shape=replace(shape, feedforward=0, head_width=wider)),
        "shape.feedforward",
        {"shape.head_width": f"{wider} for {own}, to have as many weights"},
    )


EXPERIMENT = Experiment(
    "L6",
    "feed-forward network",
    "Without a feed-forward network the transformer fails.",
    "figure 1f",
    (
        Part("progress", "of the way from a random guess to the base, it makes without one less than", below=0.5),
        Part("needed", "at as many weights it comes without one within so many nats", below=0.1, whose="ours"),
    ),
    run,
)
