"""A claim has three answers, each from the variant that was named before; what was not run is said."""

from pathlib import Path

import pytest

from secondlook.lab.columns import CELLS, COLUMNS, Cell, outcome, worded
from secondlook.lab.sweep import Sweep

SWEEPS = Path(__file__).parents[2] / "experiments" / "laboratory"


def result(standing, behind=0.0, width=0.01):
    number = {"value": behind, "low": behind - width, "high": behind + width, "n": 1}
    return {"s": {"variants": [{"name": "v", "standing": standing, "behind": number, "skill": number, "counted": [0]}]}}


def test_every_cell_is_a_variant_of_a_declared_sweep():
    for columns in CELLS.values():
        assert tuple(columns) == COLUMNS
        for cell in (cell for cells in columns.values() for cell in cells):
            assert cell.variant in Sweep.read(SWEEPS / f"{cell.sweep}.toml").variants


@pytest.mark.parametrize(
    ("standing", "full", "small"),
    [
        ("fails", "supported", "supported"),
        ("neither", "not supported", "not supported"),
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
    [(0.4, "supported", "refuted"), (0.25, "not supported", "refuted"), (0.0, "refuted", "supported")],
)
def test_depth_is_said_by_how_far_it_is_behind(behind, worse, alike):
    five, fifteen = CELLS["L3"]["as released"]
    for cell, said in ((five, worse), (fifteen, alike)):
        assert outcome(Cell("s", "v", cell.part), result("neither", behind)) == said


def test_words():
    assert worded(Cell("s", "v"), {}) == "v: not run"
    assert worded(Cell("s", "v"), result("fails", -0.5)) == "v: supported (skill -0.50 [-0.51, -0.49], 1 seed)"
