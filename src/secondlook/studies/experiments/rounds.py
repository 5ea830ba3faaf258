"""S6: how many rounds help, and whether the later ones could have been foretold."""

from __future__ import annotations

import pandas as pd

from secondlook.diagnosis.forecast import Forecast, forecast
from secondlook.diagnosis.table import Arm
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import accuracy, arms_of, change, estimate

HELPED = 3
MARGIN = 0.05
"""What a forecast may miss the accuracy by and still be called one."""


def ask(bench: Bench) -> pd.DataFrame:
    """Records of second looks under the truth's verdict and after a self-check."""
    return bench.questions("oracle", "self", rounds=bench.rounds)


def run(bench: Bench) -> Findings:
    """Accuracy by round; later rounds are forecast from round 1."""
    arms = arms_of(ask(bench))
    panels, curves, missed, notes = [], [], {}, []
    for arm in (arms["self"], arms["oracle"]):
        panels.append(Panel(arm.name, f"critic {arm.name}", "round", "accuracy"))
        curves.append(_measured(arm))
        foretold = forecast(arm)
        missed[f"{arm.name} foretold"] = _missed(foretold, bench.rounds)
        if isinstance(foretold, str):
            notes.append(f"critic {arm.name}: no forecast ({foretold})")
            continue
        curves.append(_foretold(arm, foretold))
        if foretold.warning:
            notes.append(f"critic {arm.name}: {foretold.warning}")
    oracle, own = arms["oracle"], arms["self"]
    last = bench.rounds
    if last <= HELPED:
        notes.append(f"No look after round {HELPED} was made: whether the truth's verdict helps there is not known.")
    return Findings(
        {
            "oracle helps": change(oracle, oracle, 0, HELPED),
            "oracle stops": change(oracle, oracle, HELPED, last) if last > HELPED else estimate(None),
            "self decays": change(own, own, 1, last),
            **missed,
        },
        tuple(panels),
        tuple(curves),
        tuple(notes),
    )


def _measured(arm: Arm) -> Curve:
    points = tuple(accuracy(arm, at) for at in range(arm.rounds))
    return Curve(arm.name, "measured", tuple(map(float, range(arm.rounds))), points=points)


def _missed(foretold: Forecast | str, last: int) -> ClaimEstimate:
    """Measured accuracy of the last round less its forecast, whose interval is for the same samples."""
    at = None if isinstance(foretold, str) else next((one for one in foretold.rounds if one.round == last), None)
    if isinstance(foretold, str) or at is None or at.measured is None or at.low is None or at.high is None:
        return estimate(None)
    return ClaimEstimate(at.measured - at.accuracy, at.measured - at.high, at.measured - at.low, foretold.n)


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
    "The truth's verdict helps for three rounds at most; after a self-check accuracy decays from the first round on.",
    "figure 6",
    (
        Part("oracle helps", f"accuracy in round {HELPED} less that of the first answer, truth's verdict", above=0.0),
        Part("oracle stops", f"accuracy in the last round less that in round {HELPED}, truth's verdict", below=0.02),
        Part("self decays", "accuracy in the last round less that in round 1, self-check", below=0.0),
        *(
            Part(
                f"{critic} foretold",
                f"accuracy in the last round less its forecast from the first step, {words}",
                above=-MARGIN,
                below=MARGIN,
                whose="ours",
            )
            for critic, words in (("self", "self-check"), ("oracle", "truth's verdict"))
        ),
    ),
    run,
    ask=ask,
    real="secondlook eval bbq --model MODEL --per-category 500 --critic oracle --critic self --rounds 5",
)
