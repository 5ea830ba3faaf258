"""L8: the same ablations where copying cannot win: what is asked is Wx at a query whose responses are not shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secondlook.evidence.curves import Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab.experiment import Lab, Variant, check_fair, loss, squared
from secondlook.lab.experiments.feedforward import matched
from secondlook.lab.run import Run
from secondlook.lab.tasks import Task

ABLATIONS = ("1 block", "linear", "1 head", "without, heads wider")


def run(lab: Lab) -> Findings:
    """Train the base on fresh queries, and each ablation of it by itself."""
    base = fresh(lab.base)
    shape = base.shape
    variants = [
        Variant("base", base),
        Variant("1 block", replace(base, shape=replace(shape, depth=1)), "shape.depth"),
        Variant("4 blocks", replace(base, shape=replace(shape, depth=4)), "shape.depth"),
        Variant("linear", replace(base, shape=replace(shape, attention="linear")), "shape.attention"),
        Variant("1 head", replace(base, shape=replace(shape, heads=1)), "shape.heads"),
        matched(base),
    ]
    check_fair(variants[0], variants[1:])
    variants = lab.tune(variants)
    trained = lab.train(variants)
    reached = {label: lab.mean(members, loss) for label, members in trained.items()}
    off = lab.mean(trained["base"], squared)
    exam = lab.exam(base)
    curves = [
        lab.curve(panel, variant.label, trained[variant.label], metric)
        for panel, metric in (("loss", loss), ("squared", squared))
        for variant in variants
    ]
    # A descent that diverged would flatten the figure; a prediction of 0 has an error of 1.
    others = [curve for curve in lab.baselines("squared", base, squared) if max(curve.seeds[0]) < 2]
    ridge = min(float(np.mean(curve.seeds[0])) for curve in others if curve.label.startswith("ridge"))
    return Findings(
        {
            "learns": off.tolist(),
            **{name: (reached[name] - reached["base"]).tolist() for name in ABLATIONS},
            "deeper": (reached["base"] - reached["4 blocks"]).tolist(),
        },
        (
            Panel("squared", "Distance from the truth", "queries seen", "‖f − Wx‖² / ‖Wx‖²"),
            Panel("loss", "Plackett–Luce loss at the new query", "queries seen", "loss (nats)"),
        ),
        (*curves, *others),
        variants=tuple(variants),
        notes=(
            f"{base.task.queries} queries of {base.task.n} responses; judged on {len(exam.episodes)} fresh problems.",
        ),
        untrained=short(off, ridge),
    )


def short(off: np.ndarray, ridge: float) -> str:
    """Sentence on how the base fell short: in some seed it is no nearer to the truth than a ridge regression.

    The optimum of the loss at a query whose responses are not shown is not known; a regression by hand is.
    """
    if off.max() < ridge:
        return ""
    return (
        f"The base's squared error of {off.mean():.2f} is not below a ridge regression's by hand, {ridge:.2f}: it was "
        "not trained."
    )


def fresh(base: Run) -> Run:
    """The base on fresh queries, for half as many steps again, and with the squared reward: lengths count, too.

    It has two blocks in every profile, so that one is fewer and four are more.
    """
    task = Task("fresh-query", n=3, queries=8, dx=base.task.dx, dy=base.task.dy)
    shape = replace(base.shape, depth=2)
    return replace(base, task=task, shape=shape, objective="pl-squared", steps=3 * base.steps // 2)


EXPERIMENT = Experiment(
    "L8",
    "ablations on a task that needs W",
    "Where W has to be inferred, softmax, several heads, a feed-forward network and depth each count.",
    "ours",
    (
        Part("learns", "the base explains part of Wx at a new query: squared error below", below=0.9),
        Part("1 block", "with one block the loss is higher, in nats, by more than", above=0.1),
        Part("linear", "with linear attention by more than", above=0.1),
        Part("1 head", "with one head by more than", above=0.1),
        Part(
            "without, heads wider",
            "without a feed-forward network, at as many weights, by more than",
            above=0.1,
        ),
        Part("deeper", "four blocks are better than the base by more than", above=0.1),
    ),
    run,
)
