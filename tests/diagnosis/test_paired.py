import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from secondlook.diagnosis.clusters import spread
from secondlook.diagnosis.intervals import clustered_proportion, proportion_interval
from secondlook.diagnosis.paired import change_interval, change_p, holm, paired_change, samples_for


def pairs(gained, lost, kept_right, kept_wrong):
    """Before and after, as counts."""
    before = [0] * gained + [1] * lost + [1] * kept_right + [0] * kept_wrong
    after = [1] * gained + [0] * lost + [1] * kept_right + [0] * kept_wrong
    return before, after


def likeliest_losses(change, gained, lost, n):
    """Share of losses that makes the data likeliest among all that go with a change, by search."""

    def unlikely(losing):
        shares = (losing + change, losing, 1 - 2 * losing - change)
        counts = (gained, lost, n - gained - lost)
        return -sum(count * math.log(max(share, 1e-300)) for share, count in zip(shares, counts, strict=True) if count)

    least, most = max(0.0, -change), (1 - change) / 2
    return optimize.minimize_scalar(unlikely, bounds=(least, most), options={"xatol": 1e-12}, method="bounded").x


def score(change, gained, lost, n):
    losing = likeliest_losses(change, gained, lost, n)
    variance = (2 * losing + change - change**2) / n
    return ((gained - lost) / n - change) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("gained", "lost", "kept_right", "kept_wrong"), [(9, 3, 20, 8), (3, 9, 20, 8), (1, 1, 30, 8), (6, 0, 10, 9)]
)
def test_single_questions_have_tangos_interval(gained, lost, kept_right, kept_wrong):
    n = gained + lost + kept_right + kept_wrong
    estimate = paired_change(*pairs(gained, lost, kept_right, kept_wrong), range(n)).estimate
    assert estimate.value == pytest.approx((gained - lost) / n)
    # At its ends the supposed change lies z standard errors from the one seen.
    assert score(estimate.low, gained, lost, n) == pytest.approx(stats.norm.ppf(0.975), abs=1e-4)
    assert score(estimate.high, gained, lost, n) == pytest.approx(-stats.norm.ppf(0.975), abs=1e-4)


def test_without_any_flip_the_interval_is_that_of_zero_of_n():
    change = paired_change(*pairs(0, 0, 20, 20), range(40))
    z2 = stats.norm.ppf(0.975) ** 2
    # It ends where flips are supposed to be just as many as the change: n d² = z² d (1 - d).
    assert (change.estimate.low, change.estimate.high) == pytest.approx((-z2 / (40 + z2), z2 / (40 + z2)))
    assert (change.p, change.mcnemar) == (1.0, 1.0)


def test_its_test_is_mcnemars_where_questions_are_single():
    change = paired_change(*pairs(15, 6, 10, 9), range(40))
    assert change.p == pytest.approx(stats.chi2.sf((15 - 6) ** 2 / (15 + 6), 1))
    exact = sum(Fraction(math.comb(21, k), 2**21) for k in range(22) if math.comb(21, k) <= math.comb(21, 15))
    assert change.mcnemar == pytest.approx(float(exact))
    assert (change.gained, change.lost, change.estimate.clusters) == (15, 6, 40)
    assert change.design == pytest.approx(1.0)


rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 7)), min_size=2, max_size=60)


@settings(deadline=None, max_examples=25)
@given(rows, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_p_value_is_the_intervals(rows, level):
    before, after, clusters = zip(*rows, strict=True)
    change = paired_change(before, after, clusters, level)
    if len(set(clusters)) < 2:
        assert change.p is change.estimate.low is change.estimate.high is None
        return
    assert (change.p < 1 - level) == (not change.estimate.low <= 0 <= change.estimate.high)
    assert change.estimate.low - 1e-9 <= change.estimate.value <= change.estimate.high + 1e-9
    if 1e-12 < change.p < 0.999:
        edge = paired_change(before, after, clusters, 1 - change.p).estimate
        assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0, abs=1e-6)
    mirrored = paired_change(after, before, clusters, level)
    ends = (-mirrored.estimate.high, -mirrored.estimate.low, mirrored.p)
    assert ends == pytest.approx((change.estimate.low, change.estimate.high, change.p))


def test_a_template_asked_again_and_again_is_one_question():
    before, after = pairs(12, 4, 8, 6)
    single = paired_change(before, after, range(30))
    copied = paired_change(np.repeat(before, 50), np.repeat(after, 50), np.repeat(range(30), 50))
    assert copied.estimate.value == pytest.approx(single.estimate.value)
    assert copied.estimate.low < single.estimate.low + 0.01
    assert copied.design > 45
    assert copied.mcnemar < 1e-20 < 1e-3 < copied.p
    same = paired_change([0] * 20, [1] * 20, ["one template"] * 20)
    assert (same.estimate.low, same.estimate.high, same.p, same.mcnemar) == (None, None, None, pytest.approx(2**-19))


@pytest.mark.parametrize(
    ("before", "after", "clusters", "reason"),
    [
        ([0, 1], [1], [0, 1], "before has 2 samples and after 1"),
        ([0, 1], [1, 1], [0], r"shape \(2,\) and clusters \(1,\)"),
        ([0, 2], [1, 1], [0, 1], "before holds other numbers than 0 and 1, found 2"),
        ([0, 1], [1, np.nan], [0, 1], "after holds other numbers than 0 and 1, found nan"),
    ],
)
def test_what_cannot_be_paired_is_an_error(before, after, clusters, reason):
    with pytest.raises(ValueError, match=reason):
        paired_change(before, after, clusters)
    empty = paired_change([], [], [])
    assert (empty.estimate, empty.p, empty.gained, empty.lost, empty.mcnemar) == (None, None, 0, 0, 1.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm([0.9, 0.8]), holm([])) == ([1.0, 1.0], [])
    assert holm([0.02, None, 0.03]) == [0.04, None, 0.04]  # what could not be tested makes the others no dearer


def test_three_points_need_900_samples_when_a_fifth_of_the_answers_change():
    assert samples_for(0.03, 94, 94, 897) == pytest.approx(897, rel=0.01)
    assert samples_for(0.03, 94, 94, 897, design=2) == pytest.approx(1793, rel=0.01)
    for advice, reason in (
        (lambda: samples_for(3, 1, 1, 9), "half width is 3; give a share"),
        (lambda: samples_for(0.03, 9, 9, 9), "9 gained and 9 lost are no part of 9"),
        (lambda: samples_for(0.03, 0, 0, 0), "n is 0"),
        (lambda: samples_for(0.03, 1, 1, 9, design=0.5), "design effect is 0.5; it is at least 1"),
    ):
        with pytest.raises(ValueError, match=reason):
            advice()


@pytest.mark.parametrize(
    ("gained", "lost", "n", "each"), [(3, 1, 30, 1), (3, 1, 30, 3), (0, 5, 60, 4), (40, 10, 240, 10)]
)
def test_as_many_samples_as_there_are_give_the_interval_that_there_is(gained, lost, n, each):
    """Samples asked for and the interval printed are of one method: asking for what there is asks for no more."""
    change = paired_change(*pairs(gained, lost, 5, n - gained - lost - 5), np.arange(n) // each)
    half = (change.estimate.high - change.estimate.low) / 2
    assert samples_for(half * (1 + 1e-9), change.gained, change.lost, n, change.design) == n
    assert samples_for(half * (1 - 1e-9), change.gained, change.lost, n, change.design) == n + 1


def test_many_datasets_at_once_are_each_its_own():
    # The calibration draws sums by template, an empty template among them; here every record is written out.
    rng = np.random.default_rng(0)
    sizes = np.array([1, 4, 9, 30, 0, 2])
    right = rng.binomial(sizes, 0.6, (5, 6))
    lost, gained = rng.binomial(right, 0.2), rng.binomial(sizes - right, 0.4)
    of = spread(gained - lost, gained + lost, np.broadcast_to(sizes, right.shape))
    low, high = change_interval(of, gained.sum(1), lost.sum(1), 0.95)
    p = change_p(of, gained.sum(1), lost.sum(1))
    shares = proportion_interval(spread(gained, gained, sizes - right), 0.95)
    for row in range(5):
        of = [
            (name, *pair)
            for name, (size, r, g, ls) in enumerate(zip(sizes, right[row], gained[row], lost[row], strict=True))
            for pair in zip(*pairs(g, ls, r - ls, size - r - g), strict=True)
        ]
        clusters, before, after = np.array(of).T
        change = paired_change(before, after, clusters)
        ends = (change.estimate.low, change.estimate.high, change.p)
        assert ends == pytest.approx((low[row], high[row], p[row]))
        share = clustered_proportion(after[before == 0], clusters[before == 0])
        assert (share.low, share.high) == pytest.approx((shares[0][row], shares[1][row]))
