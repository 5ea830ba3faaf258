"""The recursion and its closed form; prediction intervals that hold; a warning where rates drift and only there."""

import numpy as np
import pandas as pd
import pytest

from second_looks import chain
from secondlook.diagnosis.forecast import forecast
from secondlook.diagnosis.table import check_table

TWO = [[0.9, 0.1], [0.3, 0.7]]
THREE = [[0.85, 0.1, 0.05], [0.3, 0.65, 0.05], [0.4, 0.2, 0.4]]


def recursion(accuracy, keep, repair, rounds):
    """Acc_0 … Acc_rounds in closed form: Upp − (CL − CS)^t (Upp − Acc_0)."""
    upper = fixed_point(keep, repair)
    return [upper - (keep - repair) ** t * (upper - accuracy) for t in range(rounds + 1)]


def fixed_point(keep, repair):
    return repair / (1 - keep + repair)


def arm_of(frame):
    (arm,) = check_table(frame).arms.values()
    return arm


def test_two_rates_are_the_case_of_two_states():
    arm = arm_of(chain(TWO, [0.5, 0.5], 500, 3, rng=np.random.default_rng(0)))
    found = forecast(arm)
    path = recursion(float(arm.right[:, 0].mean()), found.keep, found.repair, 5)
    assert [line.accuracy for line in found.rounds] == pytest.approx(path[2:])
    assert [line.round for line in found.rounds] == [2, 3, 4, 5]
    assert found.fixed_point.value == pytest.approx(fixed_point(found.keep, found.repair))
    assert [line.measured for line in found.rounds] == [*arm.right[:, 2:].mean(axis=0), None, None]


def test_unparsed_answers_are_a_state_and_may_be_fitted_on_two_steps():
    arm = arm_of(chain(THREE, [0.5, 0.4, 0.1], 100_000, 2, rng=np.random.default_rng(1)))
    found = forecast(arm, steps=2)
    assert found.states == ["right", "wrong", "unparsed"]
    assert np.asarray(found.matrix) == pytest.approx(np.asarray(THREE), abs=0.01)
    stationary = np.linalg.matrix_power(np.asarray(THREE), 200)[0, 0]
    assert found.fixed_point.value == pytest.approx(stationary, abs=0.01)
    assert found.fixed_point.low < stationary < found.fixed_point.high


@pytest.mark.parametrize("matrix", [TWO, THREE])
def test_rounds_two_to_five_lie_in_the_intervals_and_nothing_is_said_to_drift(matrix):
    start = [0.6, 0.4] if matrix is TWO else [0.5, 0.4, 0.1]
    rng, seeds = np.random.default_rng(2), 40
    found = [forecast(arm_of(chain(matrix, start, 1000, 5, templates=100, rng=rng))) for _ in range(seeds)]
    inside = np.asarray([[line.inside for line in one.rounds] for one in found])
    # 95% of 40 is 38; fewer than 34 has a chance below two in a hundred.
    assert inside.sum(axis=0).min() >= 34
    assert sum(one.warning is not None for one in found) <= 6
    assert np.mean([line.high - line.low for one in found for line in one.rounds]) < 0.11


@pytest.mark.soak
@pytest.mark.parametrize(
    ("keep", "repair", "start"), [(0.9, 0.3, 0.6), (0.99, 0.05, 0.5), (0.7, 0.6, 0.9), (0.5, 0.05, 0.9)]
)
@pytest.mark.parametrize(("n", "templates"), [(200, 25), (1000, 1000), (1000, 50)])
def test_prediction_intervals_cover(keep, repair, start, n, templates):
    rng, seeds = np.random.default_rng(9), 400
    matrix = [[keep, 1 - keep], [repair, 1 - repair]]
    tables = [chain(matrix, [start, 1 - start], n, 5, templates=templates, rng=rng) for _ in range(seeds)]
    found = [forecast(arm_of(table)) for table in tables]
    inside = np.asarray([[line.inside for line in one.rounds] for one in found]).mean(axis=0)
    warned = np.mean([one.warning is not None for one in found])
    assert inside.min() >= 0.92
    assert warned <= 0.08


def test_a_subject_whose_samples_are_repairable_or_not_drifts():
    found = forecast(arm_of(chain(TWO, [0.6, 0.4], 1000, 3, rng=np.random.default_rng(4), fixed=True)))
    assert "wrong → right 0." in found.warning
    repair = {rate.rate: rate for rate in found.drift}["wrong → right"]
    assert repair.later < repair.fitted
    assert repair.difference.high < 0


def test_copies_of_a_template_narrow_nothing():
    frame = chain(TWO, [0.6, 0.4], 50, 1, rng=np.random.default_rng(5))
    copies = pd.concat([frame.assign(sample=frame["sample"] + 50 * copy) for copy in range(20)], ignore_index=True)
    together, alone = (forecast(arm_of(of)).rounds[0] for of in (copies, frame))
    assert together.high - together.low == pytest.approx(alone.high - alone.low, abs=0.05)


def test_what_was_never_seen_is_not_forecast():
    frame = chain([[0.8, 0.2], [0.5, 0.5]], [1.0, 0.0], 100, 2, rng=np.random.default_rng(6))
    assert "no transition from 'wrong'" in forecast(arm_of(frame))
    assert "fitted on 2 rounds" in forecast(arm_of(frame[frame["round"] == 0]))
    stopped = frame[(frame["round"] < 2) | (frame["sample"] < 50)]
    assert "50 samples were not asked" in forecast(arm_of(stopped))


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_one_class_alone_may_still_see_the_other(right):
    found = forecast(arm_of(chain(np.eye(2), [right, 1 - right], 100, 1, rng=np.random.default_rng(6))))
    assert (found.keep is None, found.repair is None) == (right == 0, right == 1)
    line = found.rounds[-1]
    assert (line.accuracy, line.low == right, line.high == right) == (right, right == 0, right == 1)
    assert 0.01 < line.high - line.low < 0.5


def test_few_answers_in_a_state_nobody_left_widen_the_interval():
    frame = chain(TWO, [0.6, 0.4], 1000, 1, rng=np.random.default_rng(10))
    few = (frame["round"] == 1) & (frame["sample"] < 15)
    odd = frame.assign(status=frame["status"].mask(few, "unparsed"), correct=frame["correct"].mask(few))
    found, plain = forecast(arm_of(odd)), forecast(arm_of(frame))
    assert found.states == ["right", "wrong", "unparsed"]
    assert found.fixed_point is None
    assert found.rounds[0].high - found.rounds[0].low > plain.rounds[0].high - plain.rounds[0].low


def test_no_point_lies_outside_its_interval():
    """Where nobody left a state, the limit is 0 or 1: an end of every draw's rates, and outside of nearly all."""
    keeps = [[0.9, 0.0, 0.1], [0.3, 0.6, 0.1], [0.0, 0.0, 1.0]]
    for matrix in (keeps, [[1.0, 0.0], [0.3, 0.7]], [[0.9, 0.1], [0.0, 1.0]]):
        start = [1 / len(matrix)] * len(matrix)
        found = forecast(arm_of(chain(matrix, start, 60, 2, rng=np.random.default_rng(7))))
        assert found.fixed_point.value == pytest.approx(0.0 if matrix[0][0] < 1 else 1.0, abs=1e-9)
        for value, low, high in (
            (found.fixed_point.value, found.fixed_point.low, found.fixed_point.high),
            *((line.accuracy, line.low, line.high) for line in found.rounds),
        ):
            assert low <= value <= high


def test_a_subject_that_never_changes_stays_and_one_template_has_no_interval():
    found = forecast(arm_of(chain(np.eye(2), [0.5, 0.5], 200, 2, rng=np.random.default_rng(7))))
    start = found.rounds[0].measured
    assert (found.fixed_point, found.warning) == (None, None)
    assert [line.accuracy for line in found.rounds] == pytest.approx([start] * 4)
    assert found.rounds[0].low < start < found.rounds[0].high
    found = forecast(arm_of(chain(TWO, [0.5, 0.5], 100, 2, templates=1, rng=np.random.default_rng(8))))
    assert (found.rounds[0].low, found.rounds[0].inside, found.drift) == (None, None, [])
