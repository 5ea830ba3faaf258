"""S4: the format of the critique decides what a second look is worth."""

from __future__ import annotations

import pandas as pd

from secondlook.diagnosis.transitions import critic_of
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import accuracy, arms_of, change, estimate, labelled

FORMATS = ("numeric", "binary", "verbal", "binary-cot")


def ask(bench: Bench) -> pd.DataFrame:
    """Records of one second look after a self-check in each format, an arm each."""
    tables = [labelled(bench.questions("self", subject=bench.writer, prompt=f"bbq/{name}"), name) for name in FORMATS]
    return pd.concat(tables)


def run(bench: Bench) -> Findings:
    """Answers and verdicts after a self-check in each format."""
    arms = arms_of(ask(bench))
    x = tuple(float(index + 1) for index in range(len(FORMATS)))
    rounds = ("first answer", "after one second look")
    unclear = {name: critic_of(arms[name], 0).unclear for name in FORMATS}
    return Findings(
        {
            "verbal": change(arms["numeric"], arms["verbal"], first=1),
            "cot": change(arms["verbal"], arms["binary-cot"], first=1),
            "cot over binary": change(arms["binary"], arms["binary-cot"], first=1),
        },
        (
            Panel("accuracy", "Answers", "format", "accuracy", ticks=FORMATS),
            Panel("critic", "Self-check", "format", "verdicts that are correct", ticks=FORMATS),
        ),
        (
            *(
                Curve("accuracy", label, x, kind="points", points=tuple(accuracy(arms[name], at) for name in FORMATS))
                for at, label in enumerate(rounds)
            ),
            Curve(
                "critic",
                "readable verdicts",
                x,
                kind="points",
                points=tuple(estimate(critic_of(arms[name], 0).accuracy) for name in FORMATS),
            ),
        ),
        (
            "Critiques whose verdict could not be read: "
            + ", ".join(f"{name} {100 * share.value:.1f}%" for name, share in unclear.items() if share)
            + ".",
            "A free verbal critique states no verdict to read.",
        ),
    )


EXPERIMENT = Experiment(
    "S4",
    "formats of the critique",
    "A free verbal critique is worth more than a number; chain of thought with a verdict is best.",
    "table 2",
    (
        Part("verbal", "accuracy after a verbal critique less that after a number", above=0.0),
        Part("cot", "after chain of thought with a verdict less that after a verbal critique", above=0.0),
        Part("cot over binary", "after chain of thought with a verdict less that after a bare verdict", above=0.0),
    ),
    run,
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic self --prompt bbq/FORMAT",
)
