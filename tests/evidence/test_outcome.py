"""An outcome is where an interval lies beside a threshold that was there before."""

import numpy as np
import pytest
from scipy import stats

from secondlook.evidence.outcome import ClaimEstimate, Part, overall


def test_an_interval_is_student_s():
    values = [1.0, 2.0, 4.0, 4.5]
    found = ClaimEstimate.of(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert ClaimEstimate.of([3.0]).low == -np.inf


@pytest.mark.parametrize(
    ("values", "above", "below"),
    [
        ([1.0, 1.1, 0.9], "supported", "refuted"),
        ([-1.0, -1.1, -0.9], "refuted", "supported"),
        ([-1.0, 1.0, 0.5], "undecided", "undecided"),
        ([1.0], "not estimated", "not estimated"),
    ],
)
def test_a_part_is_judged_by_its_whole_interval(values, above, below):
    estimate = ClaimEstimate.of(values)
    assert Part("x", "x is above", above=0.0).judge(estimate) == above
    assert Part("x", "x is below", below=0.0).judge(estimate) == below
    smaller = {"refuted": "not reproduced at reduced size"}
    assert Part("x", "x is above", above=0.0).judge(estimate, reduced=True) == smaller.get(above, above)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.5, 0.5, "supported"),
        (-1.5, 0.5, "undecided"),
        (0.5, 1.5, "undecided"),
        (1.1, 1.5, "refuted"),
        (-1.5, -1.1, "refuted"),
        (-2.0, 2.0, "undecided"),
    ],
)
def test_a_part_between_two_thresholds(low, high, outcome):
    assert Part("x", "x lies in", above=-1.0, below=1.0).judge(ClaimEstimate(0.0, low, high, 3)) == outcome


def test_a_claim_is_as_good_as_its_worst_part():
    assert overall(["supported", "supported"]) == "supported"
    assert overall(["supported", "undecided"]) == "undecided"
    assert overall(["supported", "undecided", "refuted"]) == "refuted"
    assert overall([]) == "not estimated"


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="nothing is"):
        Part("x", "x", above=2.0, below=1.0)
    with pytest.raises(ValueError, match="needs a threshold"):
        Part("x", "x")
    with pytest.raises(ValueError, match="numbers of 2 seeds, 1 not finite"):
        ClaimEstimate.of([1.0, float("nan")])


def test_an_interval_over_seeds_and_problems_covers():
    """Drawn with known spreads of both, 95% intervals hold the mean about as often as they say; those of seeds alone,
    whose problems are shared, do not.
    """
    generator = np.random.default_rng(0)
    both = alone = 0
    for _ in range(1000):
        seeds, problems = generator.normal(0, 0.3, (5, 1)), generator.normal(0, 2, (1, 60))
        values = seeds + problems + generator.normal(0, 1, (5, 60))
        found, naive = ClaimEstimate.crossed(values), ClaimEstimate.of(values.mean(1))
        both += found.low < 0 < found.high
        alone += naive.low < 0 < naive.high
    assert 930 <= both <= 985
    assert alone < 900


def test_of_one_seed_the_interval_is_over_problems():
    values = np.random.default_rng(1).normal(size=(1, 30))
    assert ClaimEstimate.crossed(values) == ClaimEstimate.of(values[0])
    constant = ClaimEstimate.crossed(np.ones((3, 4)))
    assert (constant.low, constant.value, constant.high) == (1, 1, 1)
    with pytest.raises(ValueError, match="1 of 4 numbers are not finite"):
        ClaimEstimate.crossed([[1.0, 2.0], [3.0, float("nan")]])
