"""L1: the error falls with the number of examples, for a transformer as for gradient descent."""

from __future__ import annotations

import numpy as np

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.lab.baselines import baselines
from secondlook.lab.descents import gradient_descent, sharpness
from secondlook.lab.exam import Exam, angles
from secondlook.lab.experiment import Lab, Variant, descent_of, error, loss, seen
from secondlook.lab.objectives import judge
from secondlook.lab.tasks import Task

FEW, MANY = 2, 14  # the least that ranks anything, and where the paper has the transformer ahead
GIVEN, CONVERGING = (0.1, 50), (0.001, 500)
"""Rate and steps of descent by the squared reward: as the paper gives them, and such that it converges."""


def run(lab: Lab) -> Findings:
    """Train the base, and look at it beside descent at every prefix."""
    variants = lab.tune([Variant("transformer", lab.base)])
    members = lab.train(variants)["transformer"]
    at = seen(lab.base)
    exam, other = lab.exam(lab.base), descent_of(lab.base)
    curves = [
        curve
        for panel, metric in (("error", error), ("loss", loss))
        for curve in (
            lab.curve(panel, "transformer", members, metric),
            *lab.baselines(panel, lab.base, metric, only=(other, f"{other}, tuned", "descent, as released")),
        )
    ]
    descended, note = squared(lab.profile.exam, at)
    own = lab.errors(members)
    descent = angles(baselines(lab.base.task)[other](exam.episodes, at), exam.truth(at)).double().numpy()
    return Findings(
        numbers(own, descent, at),
        (
            Panel("error", "Distance from the truth", "examples in context", "1 − cosine with Wx"),
            Panel("loss", f"What is minimised: {lab.base.objective}", "examples in context", "loss (nats)"),
            Panel(
                "squared", "Descent by the squared reward, paper's task", "examples in context", "loss (nats)", "log"
            ),
        ),
        (*curves, *descended),
        variants=tuple(variants),
        notes=(f"Judged on {len(exam.episodes)} fresh problems; intervals are over these and seeds of training.", note),
    )


def numbers(own: np.ndarray, descent: np.ndarray, at: list[int]) -> dict[str, ClaimEstimate]:
    """The claim's numbers from errors of a transformer ``[seeds, problems, p]`` and of descent ``[problems, p]``."""
    few, many = at.index(FEW), at.index(MANY)
    return {
        "falls": ClaimEstimate.crossed(own[..., few] - own[..., many]),
        "early": ClaimEstimate.crossed(own[..., few] - descent[:, few]),
        "late": ClaimEstimate.crossed(descent[:, many] - own[..., many]),
    }


def squared(problems: int, at: list[int]) -> tuple[list[Curve], str]:
    """Descent by the squared reward on the paper's task, at the paper's rate and at one that converges."""
    exam = Exam.of(Task("paper"), "pl-squared", problems)
    curves = []
    for rate, steps in (GIVEN, CONVERGING):
        predictions = gradient_descent(exam.episodes, at, rate=rate, steps=steps)
        losses = judge(predictions, exam.episodes, at, exam.objective).mean(0)
        label = f"rate {rate:g}, {steps} steps"
        curves.append(Curve("squared", label, tuple(map(float, at)), (tuple(losses.tolist()),), "baseline"))
    steep = sharpness(exam.episodes).median().item()
    return curves, (
        "By the squared reward the paper's descent diverges: over whole contexts, rate times sharpness is "
        f"{GIVEN[0] * steep:.1f} in the median, and 2 is the most that converges. At rate {CONVERGING[0]:g} it is "
        f"{CONVERGING[0] * steep:.2f}."
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
