"""The intervals' calibration once more: its bounds hold, and the committed file is what the code gives."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "calibration.py"


@pytest.fixture(scope="module")
def found():
    spec = importlib.util.spec_from_file_location("calibration", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    return json.loads(module.to_json(module.calibrate())), json.loads(module.TARGET.read_text("utf-8"))


@pytest.mark.soak
def test_intervals_cover_what_they_say(found):
    for name in ("change", "accuracy", "CL", "CS"):
        coverage = found[0]["coverage"][name]
        assert 0.94 <= coverage["mean"] <= 0.96, name
        assert coverage["least"] >= 0.925, name


@pytest.mark.soak
def test_nothing_is_said_of_subjects_that_do_not_change(found):
    rows = found[0]["null subjects"]
    for kind in ("said overall", "said of any group, after Holm"):
        shares = [row[kind] for row in rows]
        assert sum(shares) / len(shares) <= 0.05
        # 1,000 seeds at 5% have a standard error of 0.7 points; the largest of sixteen may lie two and a half above.
        assert max(shares) <= 0.067


@pytest.mark.soak
def test_more_samples_have_more_power(found):
    rows = found[0]["power at +5 points"]
    assert [row["power"] for row in rows if row["n"] == 2000 and row["icc"] == 0.1] > [0.9, 0.9]
    assert all(few["power"] < many["power"] for few, many in zip(rows, rows[2:], strict=False) if few["n"] < many["n"])


@pytest.mark.soak
def test_the_committed_file_is_what_the_code_gives(found):
    again, committed = found
    for part in (again, committed):
        part.pop("seconds")
    if again["versions"] == committed["versions"]:
        assert again == committed
