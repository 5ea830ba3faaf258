"""L9: does a trained transformer behave like descent, block by block, and with the heads of our constructions?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.lab import behaviour, patterns, probes
from secondlook.lab.experiment import Lab, Variant
from secondlook.lab.rules import CONTROLS, GradientDescent
from secondlook.lab.tasks import Episodes
from secondlook.lab.train import Trained
from secondlook.objective import Contexts, Reward

RATES, STEPS = (0.1, 0.3, 1.0), 100
COMPARED = 64  # contexts whose sensitivities are compared, and as many others to choose the descent by
PROBED = ("truth", "mean response", "best response", "regression direction", "last iterate")


@dataclass(frozen=True)
class Looked:
    """One trained transformer beside its nearest descent."""

    distance: float
    control_distance: float
    alignment: float
    control_alignment: float
    along: Tensor
    best: Tensor
    probed: dict[str, Tensor]
    picks: float
    averages: float
    steps: int


def run(lab: Lab) -> Findings:
    """Look into the base, once for every seed."""
    # `behaviour` reads merged tokens alone.
    base = replace(lab.base, shape=replace(lab.base.shape, layout="merged"))
    variants = lab.tune([Variant("transformer", base)])
    members = lab.train(variants)["transformer"]
    episodes = lab.exam(base).episodes
    looks = [look(member, episodes) for member in members]
    blocks = tuple(map(float, range(base.shape.depth + 1)))
    curves = [
        Curve("layers", "with the nearest iterate of descent", blocks, tuple(tuple(x.along.tolist()) for x in looks)),
        *(Curve("probe", name, blocks, tuple(tuple(x.probed[name].tolist()) for x in looks)) for name in PROBED),
    ]
    return Findings(
        {
            "predicts": [x.control_distance - x.distance for x in looks],
            "responds": [x.control_alignment - x.alignment for x in looks],
            # From the first block on: at 0, the read-in, a token has seen nothing but itself.
            "advances": [float(x.best[-1] - x.best[1]) for x in looks],
            "picks": [x.picks for x in looks],
            "averages": [x.averages for x in looks],
        },
        (
            Panel("layers", "Prediction read after each block", "block", "cosine"),
            Panel("probe", "What can be read linearly", "block", "R² on fresh contexts"),
        ),
        tuple(curves),
        variants=tuple(variants),
        notes=(
            f"The nearest descent took {', '.join(str(x.steps) for x in looks)} steps from the mean response.",
            "Sensitivity to the responses aligns with that descent at "
            f"{_mean([x.alignment for x in looks]):.2f}, with the best control at "
            f"{_mean([x.control_alignment for x in looks]):.2f}.",
        ),
    )


def look(trained: Trained, episodes: Episodes) -> Looked:
    """Compare predictions and sensitivities on the whole context, and read every block at every prefix."""
    shown = behaviour.show(trained, episodes)
    unit = shown.reward == "cosine"
    chosen, compared = (_part(shown.contexts, start) for start in (0, COMPARED))
    rule = behaviour.as_rule(trained)
    reward: Reward = shown.reward
    descent = behaviour.closest(rule, chosen, [GradientDescent(STEPS, rate, reward) for rate in RATES], unit=unit)
    found = behaviour.compare({"model": rule, "descent": descent, **CONTROLS}, compared, unit=unit)
    distance, alignment = found.between("model", "descent")
    controls = [found.between("model", name) for name in CONTROLS]
    agreement = behaviour.agreement(behaviour.readouts(shown), descent.path(shown.contexts, shown.seen))
    targets = probes.estimates(shown, descent, [descent.steps], episodes.truth[:, 0])
    targets["last iterate"] = targets.pop(f"descent {descent.steps}")
    read = probes.probe(shown, {name: targets[name] for name in PROBED}, Generator().manual_seed(0))
    heads = patterns.heads(shown) if trained.run.shape.attention == "softmax" else ()
    return Looked(
        distance=distance,
        control_distance=min(d for d, _ in controls),
        alignment=alignment,
        control_alignment=max(a for _, a in controls),
        along=agreement.cosine.mean.max(-1).values,
        best=agreement.best,
        probed={name: read[name].r2.mean for name in PROBED},
        picks=max((block.pick.mean.max().item() for block in heads), default=0.0),
        averages=max((block.by_distance.mean.max().item() for block in heads), default=0.0),
        steps=descent.steps,
    )


def _part(contexts: Contexts, start: int) -> Contexts:
    part = slice(start, start + COMPARED)
    return Contexts(contexts.query[part], contexts.responses[part], contexts.rewards[part])


def _mean(values: list[float]) -> float:
    return torch.tensor(values).mean().item()


EXPERIMENT = Experiment(
    "L9",
    "does training find descent",
    "A trained transformer predicts and responds as descent does, block by block, with the heads of our constructions.",
    "ours",
    (
        Part("predicts", "its predictions are nearer to descent's than to any control's, by more than", above=0.0),
        Part("responds", "a control's sensitivity aligns better with it than descent's, by less than", below=0.0),
        Part("advances", "later blocks match later iterates: by more than so many steps", above=0.0),
        Part("picks", "a head gives one rank of response, as the picking head does, a share above", above=0.5),
        Part("averages", "a head's attention ranks responses by distance: Spearman's correlation above", above=0.5),
    ),
    run,
)
