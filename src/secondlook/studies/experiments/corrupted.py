"""S3: with a corrupted oracle, accuracy falls in a straight line."""

from __future__ import annotations

import pandas as pd

from secondlook.diagnosis.dose import dose_response
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import arms_of, estimate

DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)


def ask(bench: Bench) -> pd.DataFrame:
    """Records of one second look under the truth's verdict, flipped with each probability."""
    return pd.concat([bench.questions("oracle", noise=dose) for dose in DOSES])


def run(bench: Bench) -> Findings:
    """Accuracy against the probability of a flip."""
    records = ask(bench)
    found = dose_response(list(arms_of(records).values()))
    if isinstance(found, str):
        return Findings({"slope": estimate(None), "curvature": estimate(None)}, (), (), (found,))
    return Findings(
        {"slope": estimate(found.slope), "curvature": estimate(found.curvature)},
        (Panel("dose", "After one second look", "probability of a flipped verdict", "accuracy"),),
        (
            Curve(
                "dose",
                "oracle",
                tuple(dose.noise for dose in found.doses),
                points=tuple(estimate(dose.accuracy) for dose in found.doses),
            ),
        ),
        (
            "In one round accuracy is linear in the dose by construction, since each verdict is flipped by itself: "
            "this checks the instrument.",
        ),
    )


EXPERIMENT = Experiment(
    "S3",
    "corrupted oracle",
    "Flipping the truth's verdict with growing probability lowers accuracy almost perfectly linearly.",
    "figure 4",
    (
        Part("slope", "change of accuracy from never to always flipped", below=-0.05),
        Part("curvature", "coefficient of p² in a quadratic fit lies in", above=-0.1, below=0.1),
    ),
    run,
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic oracle --noise P   # P = 0, 0.25, 0.5, 0.75, 1",
)
