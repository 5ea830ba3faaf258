"""L3: how many blocks it takes, in either token layout, with a learning rate of its own for each depth."""

from __future__ import annotations

from dataclasses import replace

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, check_fair, loss
from secondlook.lab.run import Run
from secondlook.lab.tokens import Layout

SHALLOW = 2  # in first trials so many blocks came within 0.02 nats of the optimum


def run(lab: Lab) -> Findings:
    """Train every depth; tell layout from depth, and optimisation from capacity by tuning each rate."""
    layout = lab.base.shape.layout
    other: Layout = "interleaved" if layout == "merged" else "merged"
    depths, deeper = lab.profile.depths, lab.profile.deeper
    variants = [_variant(lab.base, layout, depth) for depth in depths]
    variants += [_variant(lab.base, other, depth) for depth in deeper]
    # The other layout is a second change; none of the claim's numbers compares across layouts.
    check_fair(variants[0], [v for v in variants if v.run.shape.layout == layout])
    variants = lab.tune(variants)
    trained = lab.train(variants)
    reached = {label: lab.mean(members, loss) for label, members in trained.items()}
    deepest = reached[_label(layout, max(depths))]
    numbers = {"shallow": (reached[_label(layout, min(depths))] - deepest).tolist()}
    if max(depths) > SHALLOW:  # else there is nothing to compare
        numbers["enough"] = (reached[_label(layout, SHALLOW)] - deepest).tolist()
    curves = []
    for kind, several in ((layout, depths), (other, deeper)):
        if several:
            seeds = zip(*(reached[_label(kind, depth)] for depth in several), strict=True)
            curves.append(Curve("depth", kind, tuple(map(float, several)), tuple(tuple(map(float, s)) for s in seeds)))
    curves += [_training(label, members) for label, members in trained.items()]
    notes = [f"Depth {min(depths)} to {max(depths)} with {layout} tokens, {deeper or 'none'} with {other} ones."]
    if max(depths) < 20:
        notes.append("Depths of 5 to 20 are not run in this profile: `--profile paper` or `released`, on a GPU.")
    return Findings(
        numbers,
        (
            Panel("depth", "Loss at the end, mean over prefixes", "blocks", "loss (nats)"),
            Panel("training", "While training", "steps", "loss (nats)", "linear"),
        ),
        tuple(curves),
        variants=tuple(variants),
        notes=tuple(notes),
        untrained=lab.short(trained[_label(layout, max(depths))]),
    )


def _variant(base: Run, layout: Layout, depth: int) -> Variant:
    shape = replace(base.shape, layout=layout, depth=depth)
    return Variant(_label(layout, depth), replace(base, shape=shape), "shape.depth")


def _label(layout: str, depth: int) -> str:
    return f"{layout}, {depth} block{'s' if depth > 1 else ''}"


def _training(label: str, members: list) -> Curve:  # type: ignore[type-arg]
    logs = [[look for look in member.log if look["step"] > 0] for member in members]
    seeds = tuple(tuple(look["loss"] for look in log) for log in logs)
    return Curve("training", label, tuple(look["step"] for look in logs[0]), seeds)


EXPERIMENT = Experiment(
    "L3",
    "depth",
    "Few blocks are much worse than many.",
    "figure 1c",
    (
        Part("shallow", "the shallowest is worse than the deepest, in nats, by more than", above=0.3),
        Part(
            "enough",
            f"{SHALLOW} blocks come within so many nats of the deepest",
            below=0.1,
            whose="ours",
            optional=True,
        ),
    ),
    run,
)
