"""L5: how many heads it takes, at a fixed width of the stream, and at a fixed width of each head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, check_fair, loss


def run(lab: Lab) -> Findings:
    """Train every number of heads both ways."""
    base, several = Variant("base", lab.base), lab.profile.heads
    usual = lab.base.shape.heads
    width = lab.base.shape.width // usual
    shared = [
        Variant(f"{heads} sharing", replace(lab.base, shape=replace(lab.base.shape, heads=heads)), "shape.heads")
        for heads in several
    ]
    fixed = [
        Variant(
            f"{heads} of width {width}",
            # The base's own number of heads is the same run either way.
            replace(lab.base, shape=replace(lab.base.shape, heads=heads, head_width=None if heads == usual else width)),
            "shape.heads",
            {"shape.head_width": f"{width}, whatever their number"},
        )
        for heads in several
    ]
    check_fair(base, [*shared, *fixed])
    variants = [*shared, *fixed]
    trained = lab.train(variants)
    reached = {label: lab.mean(members, loss) for label, members in trained.items()}
    chance = lab.chance
    many = [reached[variant.label] for variant, heads in zip(shared, several, strict=True) if heads > 2]
    # One head comes first in every profile: `fixed[0]` below relies on it.
    one, own = reached["1 sharing"], reached[f"{usual} sharing"]
    return Findings(
        {
            "one": ((chance - one) / (chance - own)).tolist(),
            # One number of heads is like itself.
            **({"alike": np.ptp(many, axis=0).tolist()} if len(many) > 1 else {}),
            "one within": (one - own).tolist(),
            "one of fixed width within": (reached[fixed[0].label] - own).tolist(),
        },
        (Panel("heads", "Loss at the end, mean over prefixes", "heads", "loss (nats)"),),
        tuple(
            Curve(
                "heads",
                label,
                tuple(map(float, several)),
                tuple(tuple(map(float, s)) for s in zip(*(reached[v.label] for v in kind), strict=True)),
            )
            for label, kind in ((f"width {lab.base.shape.width} shared", shared), (f"width {width} each", fixed))
        ),
        variants=tuple(variants),
        notes=("At the base's learning rate for all.",),
        untrained=lab.short(trained[f"{usual} sharing"]),
    )


EXPERIMENT = Experiment(
    "L5",
    "number of heads",
    "One head fails; three, four and six are alike.",
    "figure 1e",
    (
        Part("one", "of the way from a random guess to the base, one head makes less than", below=0.5),
        Part("alike", "three and more heads are, in nats, within", below=0.1, optional=True),
        Part(
            "one within",
            "one head as wide as all others comes within so many nats of the base",
            below=0.1,
            whose="ours",
        ),
        Part("one of fixed width within", "and one no wider than each of the others within", below=0.1, whose="ours"),
    ),
    run,
)
