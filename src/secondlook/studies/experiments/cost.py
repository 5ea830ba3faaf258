"""S8: what a round of the diverse variant costs when the history stands in a cache."""

from __future__ import annotations

import numpy as np
import pandas as pd

from secondlook.diagnosis.intervals import clustered_mean
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import estimate

ROUNDS = 3


def run(bench: Bench) -> Findings:
    """Tokens computed, and tokens a server without a prefix cache would compute, round by round."""
    records = bench.questions("self", variant="diverse", rounds=ROUNDS)
    computed = _by_round(records, records["tokens_in"] - records["tokens_cached"] + records["tokens_out"])
    uncached = _by_round(records, records["tokens_in"] + records["tokens_out"])
    template = records.drop_duplicates("sample").set_index("sample").loc[computed.index, "template"]
    answer = uncached[0]

    def share(tokens: pd.Series) -> ClaimEstimate:
        return estimate(clustered_mean((tokens / answer.mean()).to_numpy(), template.to_numpy()))

    looks = range(1, ROUNDS + 1)
    x = tuple(map(float, looks))
    return Findings(
        {
            "added": share(computed[list(looks)].mean(axis=1)),
            "saved": estimate(
                clustered_mean(
                    (1 - computed[list(looks)].sum(axis=1) / uncached[list(looks)].sum(axis=1)).to_numpy(),
                    template.to_numpy(),
                    bounds=(0.0, 1.0),
                )
            ),
        },
        (Panel("cost", "Cost of a second look", "round", "tokens, relative to a first answer without cache"),),
        (
            Curve("cost", "with a prefix cache", x, points=tuple(share(computed[look]) for look in looks)),
            Curve("cost", "without", x, points=tuple(share(uncached[look]) for look in looks)),
        ),
        (
            "The last round is cheaper: its answer is not examined.",
            "Cost is counted in tokens that have to be computed, which do not depend on the machine; the paper took "
            "seconds. A planted subject's answers are a few tokens long, so that a check weighs more here.",
        ),
    )


def _by_round(records: pd.DataFrame, tokens: pd.Series) -> pd.DataFrame:
    """Tokens of every sample [samples × rounds]; a row holds an answer and the critique of it."""
    return records.assign(spent=tokens).pivot_table(index="sample", columns="round", values="spent", aggfunc=np.sum)


EXPERIMENT = Experiment(
    "S8",
    "cost of a cached second look",
    "With a cached history a round of the diverse variant adds eight to ten per cent.",
    "section 5",
    (
        Part("added", "tokens computed for a second look, relative to a first answer", below=0.15),
        Part("saved", "share of a second look's tokens that a prefix cache saves", above=0.5, whose="ours"),
    ),
    run,
    real="secondlook eval refusal --model MODEL --behaviours FILE --defence none --defence diverse --rounds 3",
)
