"""S5: below some size a model cannot correct itself, however accurate the critique."""

from __future__ import annotations

from secondlook.diagnosis.transitions import step_of
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import arms_of, change, estimate


def run(bench: Bench) -> Findings:
    """One second look under the truth's verdict, for subjects that share data, steps and recipe."""
    if len(bench.family) < 2:
        raise ValueError("a study of size compares several models; name more, the smallest first")
    gains: list[ClaimEstimate] = []
    repairs: list[ClaimEstimate] = []
    sizes: list[float] = []
    for subject in bench.family:
        arm = arms_of(bench.questions("oracle", subject=subject))["oracle"]
        gains.append(change(arm, arm))
        repairs.append(estimate(step_of(arm, 0).repair))
        sizes.append(bench.millions(subject))
    x = tuple(sizes)
    return Findings(
        {"smallest": gains[0], "largest": gains[-1]},
        (Panel("size", "One second look under the truth's verdict", "million parameters", "share"),),
        (
            Curve("size", "change of accuracy", x, points=tuple(gains)),
            Curve("size", "wrong answers repaired", x, points=tuple(repairs)),
        ),
        (bench.of_family,),
    )


EXPERIMENT = Experiment(
    "S5",
    "a size below which nothing helps",
    "The smallest model of a series cannot correct itself even with an accurate critique; larger ones can.",
    "figure 5",
    (
        Part("smallest", "change of accuracy of the smallest, under the truth's verdict", below=0.05),
        Part("largest", "change of accuracy of the largest, likewise", above=0.05),
    ),
    run,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic oracle   # Qwen1.5-1.8B, -4B, -7B, -14B",
)
