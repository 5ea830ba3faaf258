"""S8: what a round of the diverse variant costs when the history stands in a cache."""

from __future__ import annotations

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
    """Tokens computed, and tokens a server without a prefix cache would compute, look by look.

    Raises:
        ValueError: The server tells no tokens, or not which of them a cache served.
    """
    records = _told(ask(bench))
    uncached = _looks(records, records["tokens_in"] + records["tokens_out"], records["tokens_critique"])
    kept = _looks(records, records["tokens_cached"], records["tokens_critique_cached"])
    computed = uncached - kept
    template = records.drop_duplicates("sample").set_index("sample").loc[computed.index, "template"]

    def share(spent: pd.Series, answer: pd.Series = uncached[0]) -> ClaimEstimate:
        return estimate(clustered_mean((spent / answer.mean()).to_numpy(float), template.to_numpy()))

    looks = range(1, ROUNDS + 1)
    x = tuple(map(float, looks))
    timed = {}
    # In lock-step all conversations of a batch take the same seconds: only a server's are of one conversation.
    if not records["model"].str.startswith("secondlook/").any():
        seconds = _looks(records, records["seconds"], records["seconds_critique"])
        timed["seconds"] = share(seconds[list(looks)].mean(axis=1), seconds[0])
    return Findings(
        {
            "added": share(computed[list(looks)].mean(axis=1)),
            **timed,
            "saved": estimate(
                clustered_mean(
                    (kept[list(looks)].sum(axis=1) / uncached[list(looks)].sum(axis=1)).to_numpy(float),
                    template.to_numpy(),
                    bounds=(0.0, 1.0),
                )
            ),
        },
        (Panel("cost", "Cost of a second look", "look", "tokens, relative to a first answer without cache"),),
        (
            Curve("cost", "with a prefix cache", x, points=tuple(share(computed[look]) for look in looks)),
            Curve("cost", "without", x, points=tuple(share(uncached[look]) for look in looks)),
        ),
        (
            "A look is a critique and the answer after it; a first answer is that answer alone.",
            "Cost is counted in tokens that have to be computed, which do not depend on the machine; the paper took "
            "seconds, which a server's records have besides. Where answers are a few tokens long, as here, a check "
            "weighs more.",
        ),
    )


def _told(records: pd.DataFrame) -> pd.DataFrame:
    """Records of samples with every look, whose tokens are known."""
    tokens = ["tokens_in", "tokens_out", "tokens_cached", "tokens_critique", "tokens_critique_cached"]
    whole = records[tokens].notna().all(axis=1).groupby(records["sample"]).agg(["all", "size"])
    samples = whole.index[whole["all"] & (whole["size"] == ROUNDS + 1)]
    if not len(samples):
        raise ValueError(
            "no conversation tells how many of its tokens a prefix cache served, which S8 is about; have the server "
            "tell cached tokens in its usage"
        )
    return records[records["sample"].isin(samples)]


def _looks(records: pd.DataFrame, row: pd.Series, critique: pd.Series) -> pd.DataFrame:
    """Tokens or seconds of the first answer and of each look after it [samples × 1 + looks].

    A row of records is an answer and the critique of it; a look is a critique and the answer after it.
    """
    tables = [
        records.assign(spent=spent).pivot(index="sample", columns="round", values="spent") for spent in (row, critique)
    ]
    rows, critiques = (table.astype(float) for table in tables)
    return rows - critiques + critiques.shift(1, axis=1, fill_value=0.0)


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
