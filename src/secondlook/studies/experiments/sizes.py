"""S5: below some size a model cannot correct itself, however accurate the critique."""

from __future__ import annotations

import pandas as pd

from secondlook.diagnosis.transitions import step_of
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import arms_of, change, estimate


def ask(bench: Bench) -> dict[str, pd.DataFrame]:
    """Records of one second look under the truth's verdict, by each subject of the family.

    Raises:
        ValueError: There is but one.
    """
    if len(bench.family) < 2:
        raise ValueError("a study of size compares several models; name more, the smallest first")
    # Spelt as S3 does, whose records are found: no question is asked twice.
    return {subject: bench.questions("oracle", subject=subject, noise=0.0) for subject in bench.family}


def run(bench: Bench) -> Findings:
    """Gain and repair by size."""
    gains: list[ClaimEstimate] = []
    repairs: list[ClaimEstimate] = []
    sizes: list[float | None] = []
    for subject, records in ask(bench).items():
        arm = arms_of(records)["oracle"]
        gains.append(change(arm, arm))
        repairs.append(estimate(step_of(arm, 0).repair))
        sizes.append(bench.millions(subject))
    known = tuple(size for size in sizes if size is not None)
    told = len(known) == len(sizes)  # else the models stand side by side, in the order in which they were named
    x = known if told else tuple(float(place) for place in range(1, len(sizes) + 1))
    across, ticks = ("million parameters", ()) if told else ("model, the smallest first", bench.family)
    return Findings(
        {"smallest": gains[0], "largest": gains[-1]},
        (Panel("size", "One second look under the truth's verdict", across, "share", ticks=ticks),),
        (
            Curve("size", "change of accuracy", x, kind="points", points=tuple(gains)),
            Curve("size", "wrong answers repaired", x, kind="points", points=tuple(repairs)),
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
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic oracle   # Qwen1.5-1.8B, -4B, -7B, -14B",
)
