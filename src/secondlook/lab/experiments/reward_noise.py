"""L2: noise in the rewards hurts a transformer and gradient descent alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.lab.baselines import baselines
from secondlook.lab.exam import angles
from secondlook.lab.experiment import Lab, Variant, descent_of, error, seen
from secondlook.lab.run import Run

LAST = 15
# The released code's stored result: p, then 1 − cosine at 2 and at 15 examples.
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
    own = np.stack([lab.errors(trained[variant.label])[..., at] for variant in variants])
    other = np.stack([_descended(lab, variant.run)[..., at] for variant in variants])
    curves += [
        Curve("noise", "transformer", noises, tuple(map(tuple, own.mean(-1).T.tolist()))),
        Curve("noise", "descent", noises, (tuple(other.mean(-1).tolist()),), "baseline"),
    ]
    if base.task.name == "released":
        curves.append(
            Curve("noise", "released code", tuple(PUBLISHED), (tuple(x[1] for x in PUBLISHED.values()),), "published")
        )
        for p, (few, many) in PUBLISHED.items():
            curves.append(Curve("prefix", f"released code, p = {p:g}", (2, 15), ((few, many),), "published"))
    return Findings(
        numbers(own[-1] - own[0], other[-1] - other[0]),
        (
            Panel("noise", f"Error after {LAST} examples", "probability p of a random reward", "1 − cosine with Wx"),
            Panel("prefix", "Error by prefix", "examples in context", "1 − cosine with Wx"),
        ),
        tuple(curves),
        variants=tuple(variants),
        notes=(
            "Trained and judged with the same noise; problems differ between amounts of noise in their rewards alone.",
            "Intervals are over problems and seeds of training.",
        ),
    )


def numbers(own: np.ndarray, descent: np.ndarray) -> dict[str, ClaimEstimate]:
    """The claim's numbers from growths of error: of a transformer ``[seeds, problems]``, of descent ``[problems]``."""
    alike = ClaimEstimate.crossed(own - descent)
    return {
        "transformer": ClaimEstimate.crossed(own),
        "descent": ClaimEstimate.of(descent),
        "alike": alike,
        "alike below": alike,
    }


def _descended(lab: Lab, run: Run) -> np.ndarray:
    """Errors of descent, ``[problems, p]``."""
    exam, at = lab.exam(run), seen(run)
    return angles(baselines(run.task)[descent_of(run)](exam.episodes, at), exam.truth(at)).double().numpy()


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
