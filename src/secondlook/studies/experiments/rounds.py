"""S6: how many rounds help, and whether the later ones could have been foretold."""

from __future__ import annotations

import pandas as pd

from secondlook.diagnosis.forecast import Forecast, forecast
from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.diagnosis.table import Arm
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import accuracy, arms_of, change, estimate

HELPED = 3


def ask(bench: Bench) -> pd.DataFrame:
    """Records of second looks under the truth's verdict and after a self-check."""
    return bench.questions("oracle", "self", rounds=bench.rounds)


def run(bench: Bench) -> Findings:
    """Accuracy by round; later rounds are forecast from round 1."""
    arms = arms_of(ask(bench))
    panels, curves, inside, notes = [], [], [], []
    for arm in (arms["self"], arms["oracle"]):
        panels.append(Panel(arm.name, f"critic {arm.name}", "round", "accuracy"))
        curves.append(_measured(arm))
        foretold = forecast(arm)
        if isinstance(foretold, str):
            notes.append(f"critic {arm.name}: no forecast ({foretold})")
            continue
        curves.append(_foretold(arm, foretold))
        inside += [bool(round_.inside) for round_ in foretold.rounds if round_.inside is not None]
        if foretold.warning:
            notes.append(f"critic {arm.name}: {foretold.warning}")
    oracle, own = arms["oracle"], arms["self"]
    last = bench.rounds
    numbers = {
        "oracle helps": change(oracle, oracle, 0, HELPED),
        "self decays": change(own, own, 1, last),
        "foretold": estimate(clustered_proportion(inside, range(len(inside)))),
    }
    # A real model makes three second looks only: this part is then left out.
    if last > HELPED:
        numbers["oracle stops"] = change(oracle, oracle, HELPED, last)
    return Findings(
        numbers,
        tuple(panels),
        tuple(curves),
        tuple(notes),
    )


def _measured(arm: Arm) -> Curve:
    points = tuple(accuracy(arm, at) for at in range(arm.rounds))
    return Curve(arm.name, "measured", tuple(map(float, range(arm.rounds))), points=points)


def _foretold(arm: Arm, found: Forecast) -> Curve:
    points = tuple(
        ClaimEstimate(
            one.accuracy,
            *((one.low, one.high) if one.low is not None and one.high is not None else (0.0, 1.0)),
            found.n,
        )
        for one in found.rounds
    )
    x = tuple(float(one.round) for one in found.rounds)
    return Curve(arm.name, "forecast from rounds 0 and 1", x, kind="baseline", points=points)


EXPERIMENT = Experiment(
    "S6",
    "rounds",
    "The truth's verdict helps for three rounds at most; a self-check helps for about one, and then decays.",
    "figure 6",
    (
        Part("oracle helps", f"accuracy in round {HELPED} less that of the first answer, truth's verdict", above=0.0),
        Part("oracle stops", f"accuracy in the last round less that in round {HELPED}, truth's verdict", below=0.02),
        Part("self decays", "accuracy in the last round less that in round 1, self-check", below=0.0),
        Part("foretold", "later rounds inside their forecast's interval", above=0.5, whose="ours"),
    ),
    run,
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic oracle --critic self --rounds 5",
)
