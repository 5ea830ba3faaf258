"""A line through the doses, a bend where there is one, and permutation p-values."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from second_looks import simulate
from secondlook.diagnosis.dose import correlate, dose_response
from secondlook.diagnosis.table import check_table

DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)


def arms(accuracy_of, n=1000, seed=0):
    rng = np.random.default_rng(seed)
    easy = rng.random(n)
    parts = []
    for p in DOSES:
        first = simulate(n, 1, arm=f"oracle {p}", critic="oracle", noise_p=p, templates=100, seed=seed)
        first.loc[first["round"] == 1, "correct"] = easy < accuracy_of(p)
        parts.append(first)
    return list(check_table(pd.concat(parts, ignore_index=True)).arms.values())


def test_slope_and_curvature_are_least_squares():
    found = dose_response(arms(lambda p: 0.9 - 0.5 * p))
    accuracies = [dose.accuracy.value for dose in found.doses]
    assert [dose.noise for dose in found.doses] == list(DOSES)
    assert found.slope.value == pytest.approx(np.polyfit(DOSES, accuracies, 1)[0])
    assert found.curvature.value == pytest.approx(np.polyfit(DOSES, accuracies, 2)[0])
    assert (found.critic, found.round, found.n, found.left_out, found.slope.clusters) == ("oracle", 1, 1000, 0, 100)


def test_a_line_is_told_from_a_bend():
    straight = [dose_response(arms(lambda p: 0.9 - 0.5 * p, seed=seed)) for seed in range(10)]
    assert sum(one.linear for one in straight) >= 8
    assert sum(one.slope.low < -0.5 < one.slope.high for one in straight) >= 8
    assert not any(dose_response(arms(lambda p: 0.9 - 0.5 * p**2, seed=seed)).linear for seed in range(3))


def test_samples_missing_from_a_dose_are_left_out_and_counted():
    (one, *rest) = arms(lambda p: 0.5, n=100)
    assert dose_response([one.take(np.arange(80)), *rest]).left_out == 20
    assert "share no sample" in dose_response([one.take(np.arange(50)), rest[0].take(np.arange(50, 100))])
    assert "same critic and noise_p" in dose_response([one, one, *rest])
    assert "noise_p" in dose_response([one])
    two = dose_response([one, rest[0]])
    assert (two.curvature, two.linear) == (None, None)


def test_correlations_and_their_p_values_are_those_of_all_permutations():
    rng = np.random.default_rng(0)
    x = rng.random(6)
    y = x + 0.3 * rng.random(6)
    found = correlate(y, x)
    assert found.pearson == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
    pairs = ((found.pearson, found.pearson_p, stats.pearsonr), (found.spearman, found.spearman_p, stats.spearmanr))
    for value, p, of in pairs:
        all_ = np.asarray([of(x, order).statistic for order in permutations(y)])
        tails = [(all_ >= value - 1e-9).mean(), (all_ <= value + 1e-9).mean()]
        assert p == pytest.approx(min(1, 2 * min(tails)), abs=1e-9)


def test_no_correlation_where_nothing_varies():
    assert "takes 4 groups" in correlate([0.1] * 3, [0.5, 0.6, 0.7])
    assert "same gain" in correlate([0.1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert "same critic accuracy" in correlate([0.1, 0.2, 0.3, 0.4], [0.5] * 4)
