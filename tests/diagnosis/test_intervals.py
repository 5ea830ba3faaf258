import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from secondlook.diagnosis.intervals import clustered_mean, clustered_proportion


def textbook(values, clusters):
    """Mean, CR2 variance and Satterthwaite's degrees of freedom, with matrices as Bell and McCaffrey write them."""
    y, names = np.asarray(values, float), np.asarray(clusters)
    n, x = len(y), np.ones((len(y), 1))
    rest = np.eye(n) - x @ x.T / n
    residual = rest @ y
    members = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    columns, scores = [], []
    for rows in members:
        block = rest[np.ix_(rows, rows)]
        values_, vectors = np.linalg.eigh(block)
        root = (vectors * np.where(values_ > 1e-9, values_, np.inf) ** -0.5) @ vectors.T
        weight = root @ np.ones(len(rows)) / n
        columns.append(rest[:, rows] @ weight)
        scores.append(weight @ residual[rows])
    variance = math.fsum(score**2 for score in scores)
    single = float(((y - y.mean()) ** 2).sum()) / (n - 1)
    pairs = sum(len(rows) * (len(rows) - 1) for rows in members)
    icc = min(max((n**2 * variance - n * single) / (single * pairs), 0.0), 1.0) if single * pairs > 0 else 0.0
    together = np.where(names[:, None] == names[None, :], icc, 0.0)
    np.fill_diagonal(together, 1.0)
    g = np.column_stack(columns)
    m = g.T @ together @ g
    return y.mean(), variance, np.trace(m) ** 2 / np.trace(m @ m)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(-100, 100).map(lambda value: round(value, 3)), st.sampled_from("abcde")),
        min_size=2,
        max_size=20,
    )
)
def test_the_mean_agrees_with_the_textbooks_matrices(rows):
    values, clusters = [value for value, _ in rows], [name for _, name in rows]
    estimate = clustered_mean(values, clusters)
    count = len(set(clusters))
    assert estimate.value == pytest.approx(math.fsum(values) / len(values), abs=1e-9)
    assert (estimate.n, estimate.clusters) == (len(values), count)
    if count < 2 or (found := textbook(values, clusters))[1] < 1e-12:
        assert estimate.low is estimate.high is None
        return
    half = stats.t.ppf(0.975, found[2]) * math.sqrt(found[1])
    assert (estimate.value - estimate.low, estimate.high - estimate.value) == pytest.approx((half, half), rel=1e-6)


def test_the_mean_is_cut_to_its_bounds():
    free, cut = (clustered_mean([0, 1, 1, 1], range(4), **bounds) for bounds in ({}, {"bounds": (0.0, 1.0)}))
    assert free.low < cut.low == 0.0 < cut.high == 1.0 < free.high


@pytest.mark.parametrize(
    ("values", "clusters", "bounds"),
    [
        ([1.0, 2.0, 6.0], "aaa", (0, 10)),  # one cluster
        ([1, -1, 1, -1], "aabb", (-1, 1)),  # clusters that balance within themselves
        ([1] * 40, [0] * 40, (-1, 1)),  # forty answers about one template say no more than one
        *(([value] * 21, list(range(7)) * 3, (-np.inf, np.inf)) for value in (0.1, 1e9 / 3, -1e-9 / 3)),  # rounding
    ],
)
def test_where_nothing_varies_between_clusters_there_is_no_interval_of_the_mean(values, clusters, bounds):
    estimate = clustered_mean(values, list(clusters), bounds=bounds)
    assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(np.mean(values)), None, None)
    assert clustered_mean([], []) is clustered_proportion([], []) is None


def test_a_bounded_mean_that_never_varies_leaves_room_for_what_was_not_seen():
    unchanged = clustered_mean([0] * 40, range(40), bounds=(-1.0, 1.0))
    share = stats.binomtest(40, 40).proportion_ci(method="wilson").low
    assert (unchanged.low, unchanged.high) == pytest.approx((share - 1, 1 - share))
    repaired = clustered_mean([1] * 40, range(40), bounds=(-1.0, 1.0))
    assert (repaired.low, repaired.high) == pytest.approx((2 * share - 1, 1))


@pytest.mark.parametrize(("right", "n"), [(1, 10), (50, 100), (99, 100), (0, 12), (12, 12)])
def test_of_single_questions_a_share_has_wilsons_interval_and_a_mean_students(right, n):
    values = [1] * right + [0] * (n - right)
    estimate = clustered_proportion(values, range(n), 0.8)
    oracle = stats.binomtest(right, n).proportion_ci(0.8, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((oracle.low, oracle.high))
    if 0 < right < n:
        estimate, oracle = clustered_mean(values, range(n), 0.8), stats.ttest_1samp(values, 0).confidence_interval(0.8)
        assert (estimate.low, estimate.high) == pytest.approx((oracle.low, oracle.high))


def wilson(share, n, level):
    """The two shares from which the observed one is just z standard errors away, found by bisection."""
    z = stats.norm.ppf(0.5 + level / 2)

    def end(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            near = abs(share - middle) <= z * math.sqrt(middle * (1 - middle) / n)
            inside, outside = (middle, outside) if near else (inside, middle)
        return inside

    return end(share, 0.0) if share else 0.0, end(share, 1.0) if share < 1 else 1.0


def slow_size(values, clusters, level=0.95):
    """The effective sample size, its rule written out once more for one sample of zeros and ones."""
    n, mean, z = len(values), sum(values) / len(values), stats.norm.ppf(0.5 + level / 2)
    sizes = [list(clusters).count(name) for name in set(clusters)]
    weight = sum(size**2 for size in sizes) / n
    events = round(n * min(mean, 1 - mean))
    if not events or len(sizes) < 2:
        return n / weight
    _, variance, dof = textbook(values, clusters)
    design = max(variance / (mean * (1 - mean) / (n - 1)), 1 + 0.1 * 16 / (16 + events**2) * (weight - 1))
    t = stats.t.ppf(0.5 + level / 2, max(dof, 1.0))
    wide = 1 + (t / z) ** 2 * (1 + 0.4 * (n / events - 1) / max(dof, 1.0)) * (design - 1)
    return n / min(wide, max(weight, design))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40), st.sampled_from([0.95, 0.8]))
def test_a_proportion_has_wilsons_interval_at_the_effective_size(rows, level):
    values, clusters = [int(value) for value, _ in rows], [cluster for _, cluster in rows]
    estimate = clustered_proportion(values, clusters, level)
    expected = wilson(sum(values) / len(values), slow_size(values, clusters, level), level)
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=1e-7)
    assert 0 <= estimate.low <= estimate.value + 1e-12
    assert estimate.value <= estimate.high + 1e-12 <= 1 + 1e-12


@pytest.mark.parametrize(
    ("clusters", "worth"), [([0] * 9 + [1, 2, 3], 12**2 / (9**2 + 3)), ([0, 1] * 50, 2), (list(range(200)) * 5, 200)]
)
def test_where_all_are_alike_clusters_count_and_of_different_sizes_fewer(clusters, worth):
    alike = clustered_proportion([1] * len(clusters), clusters)
    assert (alike.value, alike.low, alike.high) == pytest.approx((1.0, *wilson(1.0, worth, 0.95)))


@pytest.mark.parametrize(
    ("values", "clusters", "reason"),
    [
        ([0, 1], [0], r"shape \(2,\) and clusters \(1,\)"),
        ([0, 1], ["a", None], "a cluster is missing"),
        ([0, np.nan], [0, 1], "missing"),
        ([0, 0.5], [0, 1], "zeros and ones, found 0.5"),
    ],
)
def test_what_cannot_be_averaged_is_an_error(values, clusters, reason):
    with pytest.raises(ValueError, match=reason):
        clustered_proportion(values, clusters)


def coverage(clusters, size, interval, datasets=200):
    """How often the interval holds the true share, where a cluster's own share is drawn evenly around it."""
    rng = np.random.default_rng(2)
    labels, hits = np.repeat(np.arange(clusters), size), 0
    for _ in range(datasets):
        shares = rng.beta(2.1, 0.9, clusters)
        estimate = interval((rng.random(clusters * size) < np.repeat(shares, size)).astype(float), labels)
        hits += estimate.low <= 0.7 <= estimate.high
    return hits / datasets


def test_intervals_cover_the_truth_of_clustered_data_as_often_as_they_say():
    # 200 datasets at 95% have a standard error of 1.5 points; `make soak` has 2,000 and many truths.
    assert 0.92 < coverage(6, 10, clustered_proportion) < 0.995
    for interval in (clustered_proportion, clustered_mean):
        assert 0.92 < coverage(40, 10, interval) < 0.98
        ignoring = coverage(40, 10, lambda values, _, interval=interval: interval(values, range(len(values))))
        assert ignoring < 0.85
