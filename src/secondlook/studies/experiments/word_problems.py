"""R1: short word problems, where the answer is exact and a tool can do the sum."""

from __future__ import annotations

import numpy as np

from secondlook.diagnosis.finding import vote_round
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.studies.pairs import accuracy, arms_of, change
from secondlook.studies.real import RealBench

CRITICS = ("self", "none", "oracle", "tool")


def run(bench: RealBench) -> Findings:
    """One second look after each critique, and a vote at the cost of the self-check."""
    arms = arms_of(bench.problems(*CRITICS, "vote"))
    own, vote = arms["self"], arms["vote"]
    assert own.tokens is not None
    assert vote.tokens is not None
    paid = vote_round(float(own.tokens.sum()), np.cumsum(vote.tokens.sum(axis=0)))
    ticks = ("first answer", *CRITICS, "vote")
    points = (accuracy(own, 0), *(accuracy(arms[name], 1) for name in CRITICS), accuracy(vote, paid))
    return Findings(
        {
            "self": change(own, own),
            "beyond": change(arms["none"], own, first=1),
            "beyond a vote": change(vote, own, first=paid),
            "truth": change(arms["oracle"], arms["oracle"]),
            "tool": change(arms["tool"], arms["tool"]),
        },
        (Panel("accuracy", "Short word problems", "after one second look", "share right", ticks=ticks),),
        (Curve("accuracy", "answers", tuple(map(float, range(1, len(ticks) + 1))), kind="points", points=points),),
        (f"The vote is a majority of {paid + 1} answers, as many as the tokens of a second look pay for.",),
    )


EXPERIMENT = Experiment(
    "R1",
    "word problems",
    "A second look after a self-check improves a real model's answers to short word problems.",
    "ours",
    (
        Part("self", "change of the share of right answers after the model's own check", above=0.0),
        Part("beyond", "the same less that of asking again without any check", above=0.0, whose="ours"),
        Part("beyond a vote", "share right less that of a vote at equal token cost", above=0.0, whose="ours"),
        Part("truth", "change after the truth's verdict", above=0.0, whose="ours"),
        Part("tool", "change after a tool did the sum", above=0.0, whose="ours"),
    ),
    run,
)
