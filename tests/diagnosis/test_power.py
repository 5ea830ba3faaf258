"""Power said beforehand is the power there is: beside the textbook's formula, and beside the test itself."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from command import secondlook
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.power import PowerPlan, power_curve, power_of


@pytest.mark.parametrize(("gain", "flips", "n"), [(0.03, 0.15, 800), (-0.05, 0.2, 600), (0.02, 0.05, 1000)])
def test_single_questions_have_the_power_of_mcnemars_test(gain, flips, n):
    """Connor's formula (Biometrics 1987)."""
    z = stats.norm.isf(0.025)
    known = stats.norm.cdf((abs(gain) * math.sqrt(n) - z * math.sqrt(flips)) / math.sqrt(flips - gain**2))
    assert power_of(PowerPlan(gain, flips), n).power == pytest.approx(known, abs=0.04)


def test_templates_take_the_power_that_the_test_of_their_questions_has():
    plan, templates, size, icc = PowerPlan(0.06, 0.2, templates=30, icc=0.2), 30, 10, 0.2
    rng, seen = np.random.default_rng(7), 0
    of = np.repeat(np.arange(templates), size)
    for _ in range(300):
        rates = rng.dirichlet(np.array([0.13, 0.07, 0.8]) * (1 - icc) / icc, templates)[of]
        drawn = (rng.random((of.size, 1)) > rates.cumsum(1)[:, :2]).sum(1)
        change = paired_change(drawn == 1, drawn == 0, of)
        seen += change.p < 0.05 and change.estimate.value > 0
    assert power_of(plan, templates * size).power == pytest.approx(seen / 300, abs=0.09)


def test_so_many_samples_are_needed():
    plan = PowerPlan(0.03, 0.15)
    needed = power_curve(plan).fewest(0.8)
    z = stats.norm.isf(0.025) * math.sqrt(0.15) + stats.norm.isf(0.2) * math.sqrt(0.15 - 0.03**2)
    assert needed.samples == pytest.approx((z / 0.03) ** 2, rel=0.1)
    # Of few templates no number is enough, since they differ.
    assert power_curve(PowerPlan(0.03, 0.15, templates=10, icc=0.3)).fewest(0.8) is None


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("plan", [PowerPlan(0.1, 0.25, 24), PowerPlan(0.03, 0.15), PowerPlan(0.03, 0.15, 25)])
def test_the_table_and_the_answer_agree(plan, seed):
    """Also where templates are few and the power hardly rises: chance alone would turn it up and down."""
    curve = power_curve(plan, seed)
    table = [curve.at(n) for n in range(100, 5000, 100)]
    assert [line.power for line in table] == sorted(line.power for line in table)
    assert [line.half_width for line in table] == sorted((line.half_width for line in table), reverse=True)
    for wanted in (0.5, 0.8):
        needed = curve.fewest(wanted)
        for line in table:
            assert (line.power >= wanted - 1e-9) == (needed is not None and line.samples >= needed.samples)


def test_one_screen():
    done = secondlook("power", "--gain", 3, "--flips", "15%", "--templates", 25)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    more = int(re.search(r"in 80% of studies with 25 templates; about (\d+) templates of 20 samples do\.", said)[1])
    assert power_of(PowerPlan(0.03, 0.15, more), 20 * more, seed=1).power == pytest.approx(0.8, abs=0.06)
    found = json.loads(secondlook("power", "--gain", 3, "--flips", 15, "--samples", 500, "--json").out)
    assert found["power"][0]["samples"] == 500


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gain", 3, "--flips", 0.15), "--flips is '0.15'; give percent, e.g. 15%"),
        (("--gain", 20, "--flips", "15%"), "a gain of 20 points from flips of 15% cannot be"),
        (("--gain", 3, "--flips", "15%", "--templates", 1), "templates are 1; give 2 to 1000"),
        (
            ("--gain", 3, "--flips", "15%", "--templates", 25, "--samples", 20),
            "samples are 20; give 25 or more, at least one for each template",
        ),
        (
            ("--gain", 3, "--flips", "15%", "--icc", 1),
            "the correlation within a template is 1; give 0 or more, below 1",
        ),
        (("--gain", 3, "--flips", "15%", "--power", "0%"), "the power is 0%"),
    ],
)
def test_what_cannot_be_planned_is_one_line(arguments, said):
    assert said in secondlook("power", *arguments).error
