"""R1 and R2: word problems, of our own making and GSM8K's, whose answers are exact; a tool can do the sum of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from secondlook.diagnosis.table import Arm
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.studies.bench import Bench
from secondlook.studies.pairs import accuracy, arms_of, change, paid_vote

CRITICS = ("self", "none", "oracle")


def ask(bench: Bench) -> pd.DataFrame:
    """Records of one second look at our own problems."""
    return bench.problems(*CRITICS, "tool", "vote")


def ask_grade_school(bench: Bench) -> pd.DataFrame:
    """Records of one second look at GSM8K's."""
    return bench.grade_school(*CRITICS, "vote")


def run(bench: Bench) -> Findings:
    """Right answers to our own problems."""
    arms = arms_of(ask(bench))
    found = compared(arms, "Short word problems", (*CRITICS, "tool"))
    return replace(found, numbers={**found.numbers, "tool": change(arms["tool"], arms["tool"])})


def run_grade_school(bench: Bench) -> Findings:
    """Right answers to GSM8K's."""
    return compared(arms_of(ask_grade_school(bench)), "GSM8K", CRITICS)


def compared(arms: Mapping[str, Arm], title: str, critics: Sequence[str]) -> Findings:
    """Answers after each critique, and, where there is one, a vote at the cost of the self-check."""
    own = arms["self"]
    numbers = {
        "self": change(own, own),
        "beyond": change(arms["none"], own, first=1),
        "truth": change(arms["oracle"], arms["oracle"]),
    }
    shown = [("first answer", accuracy(own, 0)), *((name, accuracy(arms[name], 1)) for name in critics)]
    notes: tuple[str, ...] = ()
    if vote := arms.get("vote"):
        at_cost = paid_vote(vote, own)
        numbers["beyond a vote"], notes = at_cost.beyond, (at_cost.note,)
        if at_cost.round is not None:
            shown.append(("vote", accuracy(vote, at_cost.round)))
    ticks, points = zip(*shown, strict=True)
    return Findings(
        numbers,
        (Panel("accuracy", title, "after one second look", "share right", ticks=ticks),),
        (Curve("accuracy", "answers", tuple(map(float, range(1, len(ticks) + 1))), kind="points", points=points),),
        notes,
    )


PARTS = (
    Part("self", "change of the share of right answers after the model's own check", above=0.0),
    Part("beyond", "the same less that of asking again without any check", above=0.0, whose="ours"),
    Part("truth", "change after the truth's verdict", above=0.0, whose="ours"),
)
_VOTE = Part("beyond a vote", "share right less that of a vote at equal token cost", above=0.0, whose="ours")
EXPERIMENT = Experiment(
    "R1",
    "word problems",
    "A second look after a self-check improves a real model's answers to short word problems.",
    "ours",
    (*PARTS[:2], _VOTE, *PARTS[2:], Part("tool", "change after a tool did the sum", above=0.0, whose="ours")),
    run,
    ask=ask,
)
GRADE_SCHOOL = Experiment(
    "R2",
    "GSM8K",
    "A second look after a self-check improves a real model's answers to GSM8K.",
    "ours",
    (*PARTS[:2], _VOTE, *PARTS[2:]),
    run_grade_school,
    ask=ask_grade_school,
)
