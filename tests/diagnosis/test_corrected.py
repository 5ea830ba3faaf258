"""A rate corrected for its judge's errors: against hand-made numbers, and its coverage by simulation."""

import numpy as np
import pytest

from secondlook.diagnosis.corrected import corrected_mean
from secondlook.diagnosis.intervals import clustered_mean

NAN = float("nan")


def test_a_perfect_judge_needs_no_correction_and_labels_alone_are_their_mean():
    truth = np.tile([0.0, 1.0, 1.0], 40)
    some = np.where(np.arange(120) < 60, truth, NAN)
    read = corrected_mean(truth, some, np.arange(120))
    assert read.estimate.value == pytest.approx(2 / 3)
    assert (read.judged, read.labelled) == pytest.approx((2 / 3, 2 / 3))
    everything = corrected_mean(1 - truth, truth, np.arange(120))
    alone = clustered_mean(truth, np.arange(120))
    assert everything.weight == 0.0
    assert everything.estimate.value == pytest.approx(alone.value)
    assert everything.estimate.low == pytest.approx(alone.low, abs=1e-9)


def test_a_judge_that_misses_a_fifth_is_put_right():
    rng = np.random.default_rng(1)
    truth = (rng.random(20_000) < 0.5).astype(float)
    judged = np.where(rng.random(20_000) < 0.2 * truth, 0.0, truth)
    labels = np.where(np.arange(20_000) < 1_000, truth, NAN)
    read = corrected_mean(judged, labels, np.arange(20_000))
    assert read.judged == pytest.approx(0.4, abs=0.01)
    assert read.estimate.low < truth.mean() < read.estimate.high
    alone = clustered_mean(truth[:1_000], np.arange(1_000))
    assert read.estimate.high - read.estimate.low < 0.75 * (alone.high - alone.low)


def test_a_useless_judge_is_not_trusted():
    rng = np.random.default_rng(2)
    truth, judged = (rng.random(4_000) < 0.3).astype(float), (rng.random(4_000) < 0.7).astype(float)
    labels = np.where(np.arange(4_000) < 400, truth, NAN)
    read = corrected_mean(judged, labels, np.arange(4_000))
    alone = clustered_mean(truth[:400], np.arange(400))
    assert read.weight < 0.1
    assert read.estimate.high - read.estimate.low < 1.05 * (alone.high - alone.low)


def test_a_judge_of_no_weight_leaves_the_interval_of_the_labels():
    truth = np.tile([0.0, 1.0, 1.0], 40)
    # The judge says the reverse, and what is not labelled lies in two clusters.
    labels = np.where(np.arange(120) < 90, truth, NAN)
    index = np.where(np.arange(120) < 90, np.arange(120), 90 + np.arange(120) % 2)
    read, alone = corrected_mean(1 - truth, labels, index), clustered_mean(truth[:90], index[:90])
    assert read.weight == 0.0
    assert (read.estimate.low, read.estimate.high) == pytest.approx((alone.low, alone.high))


@pytest.mark.parametrize(("miss", "alarm"), [(0.2, 0.05), (0.0, 0.3), (0.5, 0.5)])
@pytest.mark.parametrize("scatter", [0.0, 0.25])
def test_the_interval_covers_the_truth_as_often_as_it_says(miss, alarm, scatter):
    rng = np.random.default_rng(3)
    covered, trials, clusters, size = 0, 300, 60, 10
    expected = np.clip(0.4 + scatter * np.random.default_rng(4).standard_normal(1_000_000), 0, 1).mean()
    for _ in range(trials):
        rates = np.clip(0.4 + scatter * rng.standard_normal(clusters), 0, 1)
        truth = (rng.random((clusters, size)) < rates[:, None]).astype(float).ravel()
        judged = np.where(rng.random(truth.size) < np.where(truth == 1, miss, alarm), 1 - truth, truth)
        index = np.repeat(np.arange(clusters), size)
        labels = np.where(rng.random(truth.size) < 0.3, truth, NAN)
        read = corrected_mean(judged, labels, index).estimate
        covered += read.low <= expected <= read.high
    # In 300 trials an interval that covers 95% is seen to cover between 91.5% and 98.5%.
    assert 0.915 <= covered / trials <= 0.985


@pytest.mark.parametrize(("label", "bounds", "ends"), [(1, (0, 1), (0.722, 1)), (0, (-1, 1), (-0.278, 0.278))])
def test_labels_that_are_all_alike_do_not_make_it_certain(label, bounds, ends):
    """Ten of ten: by Wilson's interval at least 72.2% are like these; the others may lie anywhere."""
    judged, labels = np.tile([1.0, 0.0], 100), np.full(200, np.nan)
    labels[:10] = label
    found = corrected_mean(judged, labels, np.arange(200), bounds=bounds).estimate
    assert found.value == label
    assert (found.low, found.high) == pytest.approx(ends, abs=5e-4)


def test_labels_whose_clusters_do_not_differ_have_no_interval():
    labels = np.array([1.0, 0.0] * 3 + [np.nan] * 10)
    found = corrected_mean(np.ones(16), labels, np.arange(16) // 2).estimate
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_what_cannot_be_corrected_is_an_error():
    with pytest.raises(ValueError, match=r"labels of at least two clusters \(found 1\)"):
        corrected_mean([0, 1, 1], [1, NAN, NAN], [0, 1, 2])
    with pytest.raises(ValueError, match="a judgement is missing"):
        corrected_mean([0, NAN], [1, 1], [0, 1])
    with pytest.raises(ValueError, match="give one of each per reply"):
        corrected_mean([0, 1], [1], [0, 1])
