"""L7: what the loss's optimum is, what trivial baselines reach, and how the error goes while the loss falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.lab import averages
from secondlook.lab.exam import angles
from secondlook.lab.experiment import Lab, Variant, error, seen
from secondlook.lab.optimum import optimum

LAST = 15  # examples, as far as the released code's stored result goes


def run(lab: Lab) -> Findings:
    """The base beside everything that needs no training, and beside the numerical optimum of its own loss."""
    variants = lab.tune([Variant("transformer", lab.base)])
    members = lab.train(variants)["transformer"]
    exam, at = lab.exam(lab.base), seen(lab.base)
    place = at.index(LAST)
    lowest = angles(optimum(exam.episodes, at).prediction, exam.truth(at)).double().numpy()
    copied = angles(averages.best_of_n(exam.episodes, at), exam.truth(at)).double().numpy()
    reached = lab.errors(members)
    line = tuple(map(float, lowest.mean(0)))
    optimal = Curve("error", "optimum of the loss", tuple(map(float, at)), (line,), "baseline")
    others = lab.baselines("error", lab.base, error)
    looks = [[look for look in member.log if look["step"] > 0] for member in members]
    steps = tuple(look["step"] for look in looks[0])
    curves = [lab.curve("error", "transformer", members, error), optimal, *others]
    curves += [
        Curve("training", name, steps, tuple(tuple(look[key] for look in log) for log in looks))
        for name, key in (("1 − cosine", "error"), ("excess loss (nats)", "excess"))
        if all(key in log[0] for log in looks)
    ]
    return Findings(
        numbers(reached[..., place], lowest[:, place], copied[:, place], looks),
        (
            Panel("error", "Distance from the truth", "examples in context", "1 − cosine with Wx"),
            Panel("training", "While training, mean over prefixes", "steps", "1 − cosine; excess (nats)", "log"),
        ),
        tuple(curves),
        variants=tuple(variants),
        notes=("The optimum is found in each context by itself, under the cosine reward.",),
        untrained=lab.short(members),
    )


def numbers(
    reached: np.ndarray, lowest: np.ndarray, copied: np.ndarray, looks: Sequence[Sequence[Mapping[str, float]]]
) -> dict[str, ClaimEstimate]:
    """The claim's numbers from errors after 15 examples and from what was seen in training.

    Args:
        reached: A transformer's, ``[seeds, problems]``.
        lowest: Of the optimum of the loss, ``[problems]``.
        copied: Of the best response, ``[problems]``.
        looks: Of each seed.
    """
    return {
        "optimum is not the truth": ClaimEstimate.of(lowest),
        "transformer at the optimum": ClaimEstimate.crossed(reached - lowest),
        "trivial baseline": ClaimEstimate.crossed(reached - copied),
        "dips": ClaimEstimate.of([log[-1]["error"] - min(look["error"] for look in log) for log in looks]),
    }


EXPERIMENT = Experiment(
    "L7",
    "baselines and the floor of the loss",
    "Transformer and descent stop at the same error because both minimise the loss, whose optimum is not the truth.",
    "ours",
    (
        Part(
            "optimum is not the truth",
            f"1 − cosine of the loss's optimum after {LAST} examples is above",
            above=0.1,
        ),
        Part(
            "transformer at the optimum",
            "the transformer's error less that lies in",
            above=-0.03,
            below=0.03,
        ),
        Part(
            "trivial baseline",
            "copying the best response has less error than the transformer, by more than",
            above=0.1,
        ),
        Part("dips", "while training, the error was lower than at the end by more than", above=0.02),
    ),
    run,
)
