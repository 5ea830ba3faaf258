"""A claim has three answers, each from the variant that was named before; what was not run is said."""

from pathlib import Path

import pytest

from secondlook.lab.columns import ANSWERS, COLUMNS, Cell, OfBase, Quick, outcome, worded
from secondlook.lab.experiments import EXPERIMENTS
from secondlook.lab.sweep import Sweep

SWEEPS = Path(__file__).parents[2] / "experiments" / "laboratory"


def number(value, width=0.01):
    return {"value": value, "low": value - width, "high": value + width, "n": 1}


def result(standing, behind=0.0):
    found = {"name": "v", "standing": standing, "behind": number(behind), "skill": number(behind), "counted": [0]}
    return {"s": {"variants": [found], "claims": {}}}


def test_every_answer_is_of_a_declared_sweep_or_an_experiment():
    assert list(ANSWERS) == [f"L{k}" for k in range(1, 9)]
    for columns in ANSWERS.values():
        assert len(columns) == len(COLUMNS)
        for answer in (answer for answers in columns for answer in answers):
            if isinstance(answer, Cell):
                assert answer.variant in Sweep.read(SWEEPS / f"{answer.sweep}.toml").variants
            else:
                assert answer.claim in EXPERIMENTS


@pytest.mark.parametrize(
    ("standing", "full", "small"),
    [
        ("fails", "supported", "supported"),
        ("neither", "undecided", "undecided"),
        ("solves", "refuted", "not reproduced at reduced size"),
        ("base not trained", "base not trained", "base not trained"),
        ("not run", None, None),
    ],
)
def test_that_a_variant_fails_is_said_by_its_standing(standing, full, small):
    assert outcome(Cell("s", "v"), result(standing)) == full
    assert outcome(Cell("s", "v", reduced=True), result(standing)) == small


@pytest.mark.parametrize(
    ("behind", "worse", "alike"),
    [(0.4, "supported", "refuted"), (0.25, "undecided", "refuted"), (0.0, "refuted", "supported")],
)
def test_depth_is_said_by_how_far_it_is_behind(behind, worse, alike):
    five, fifteen = ANSWERS["L3"][0]
    for cell, said in ((five, worse), (fifteen, alike)):
        assert outcome(Cell("s", "v", cell.part), result("neither", behind)) == said


@pytest.mark.parametrize(
    ("early", "full", "small"),
    [(0.1, "supported", "supported"), (-0.1, "refuted", "not reproduced at reduced size")],
)
def test_a_claim_about_the_base_is_said_by_its_parts(early, full, small):
    numbers = {"falls": number(0.2), "early": number(early), "late": number(0.05)}
    found = {"s": {"variants": [], "claims": {"L1": numbers}}}
    assert outcome(OfBase("s", "L1"), found) == full
    assert outcome(OfBase("s", "L1", reduced=True), found) == small
    assert outcome(OfBase("s", "L1"), result("fails")) == "base not trained"


def test_words():
    assert worded(Cell("s", "v"), {}) == "v: not run"
    assert worded(Cell("s", "v"), result("fails", -0.5)) == "v: supported (skill -0.50 [-0.51, -0.49], 1 seed)"
    assert worded(Quick("L2"), {"L2": {"outcome": "undecided"}}) == "quick profile: undecided"
    # Five seeds were planned, of which one is trained.
    base = {"name": "base", "counted": [0]}
    claims = {"L1": {n: number(0.2) for n in ("falls", "early", "late")}}
    found = {"s": {"variants": [base], "seeds": 5, "claims": claims}}
    assert worded(OfBase("s", "L1"), found) == "base: supported (1 seed)"
    assert worded(OfBase("s", "L7", reduced=True), result("fails")) == "base: base not trained, reduced size"
