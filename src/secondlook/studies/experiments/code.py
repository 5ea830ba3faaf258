"""R3: HumanEval, where unit tests grade the answers and, as a tool, check them."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from secondlook.evidence.experiment import Experiment, Findings
from secondlook.evidence.outcome import Part
from secondlook.studies.bench import Bench
from secondlook.studies.experiments.word_problems import CRITICS, PARTS, compared
from secondlook.studies.pairs import arms_of, change


def ask(bench: Bench) -> pd.DataFrame:
    """Records of one second look; the tool shows which test failed, the oracle its verdict alone."""
    return bench.functions(*CRITICS, "tool")


def run(bench: Bench) -> Findings:
    """Functions that pass their tests."""
    arms = arms_of(ask(bench))
    found = compared(arms, "HumanEval", (*CRITICS, "tool"))
    tool = arms["tool"]
    more = {"tool": change(tool, tool), "message": change(arms["oracle"], tool, first=1)}
    return replace(found, numbers={**found.numbers, **more}, notes=(*found.notes, _NO_VOTE))


_NO_VOTE = "There is no vote: no two answers are the same text, and tests that could tell them apart are the truth."
EXPERIMENT = Experiment(
    "R3",
    "HumanEval",
    "A second look after a self-check improves a real model's functions in HumanEval.",
    "ours",
    (
        *PARTS,
        Part("tool", "change after the unit tests' report", above=0.0, whose="ours"),
        Part(
            "message",
            "share right after the tests' report less that after their verdict alone",
            above=0.0,
            whose="ours",
        ),
    ),
    run,
    ask=ask,
)
