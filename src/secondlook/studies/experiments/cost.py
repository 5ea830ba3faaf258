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


def ask(bench: Bench) -> pd.DataFrame:
    """Records of second looks of the diverse variant after a self-check."""
    return bench.questions("self", variant="diverse", rounds=ROUNDS)


def run(bench: Bench) -> Findings:
    """Tokens computed, and tokens a server without a prefix cache would compute, round by round."""
    records = ask(bench)
    computed = _by_round(records, records["tokens_in"] - records["tokens_cached"] + records["tokens_out"])
    uncached = _by_round(records, records["tokens_in"] + records["tokens_out"])
    template = records.drop_duplicates("sample").set_index("sample").loc[computed.index, "template"]

    def share(spent: pd.Series, answer: pd.Series = uncached[0]) -> ClaimEstimate:
        return estimate(clustered_mean((spent / answer.mean()).to_numpy(), template.to_numpy()))

    looks = range(1, ROUNDS + 1)
    x = tuple(map(float, looks))
    timed = {}
    # In lock-step all conversations of a batch take the same seconds: only a server's are of one conversation.
    if not records["model"].str.startswith("secondlook/").any():
        seconds = _by_round(records, records["seconds"])
        timed["seconds"] = share(seconds[list(looks)].mean(axis=1), seconds[0])
    return Findings(
        {
            "added": share(computed[list(looks)].mean(axis=1)),
            **timed,
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
            "seconds, which a server's records have besides. Where answers are a few tokens long, as here, a check "
            "weighs more.",
        ),
    )


def _by_round(records: pd.DataFrame, tokens: pd.Series) -> pd.DataFrame:
    """Tokens of every sample [samples × rounds]; a row holds an answer and the critique of it."""
    return records.assign(spent=tokens).pivot_table(index="sample", columns="round", values="spent", aggfunc=np.sum)


EXPERIMENT = Experiment(
    "S8",
    "cost of a cached second look",
    "With a cached history a round of the diverse variant adds little: less than 15% of a first answer's cost.",
    "section 5",
    (
        Part("added", "tokens computed for a second look, relative to a first answer", below=0.15),
        Part(
            "seconds",
            "seconds of a second look at a server, relative to a first answer",
            below=0.15,
            whose="ours",
            optional=True,
        ),
        Part("saved", "share of a second look's tokens that a prefix cache saves", above=0.5, whose="ours"),
    ),
    run,
    ask=ask,
    real="secondlook eval refusal --model MODEL --behaviours FILE --defence none --defence diverse --rounds 3",
)
