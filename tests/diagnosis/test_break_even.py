"""The accuracy a critic needs: the closed form, the line it lies on, and an interval that covers it."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from second_looks import simulate
from secondlook.diagnosis.break_even import Line, break_even
from secondlook.diagnosis.table import check_table
from secondlook.diagnosis.transitions import transitions

HARM, REPAIR, RIGHT = 0.6, 0.7, 0.6


def symmetric(accuracy, harm, repair):
    """Where (1 − A) a r = A (1 − a) h."""
    return accuracy * harm / (accuracy * harm + (1 - accuracy) * repair)


def found(n=2000, rounds=1, **rates):
    planted = {"harm": HARM, "repair": REPAIR, "accuracy": RIGHT}
    (arm,) = check_table(simulate(n, rounds, **planted | rates)).arms.values()
    return break_even(arm)


def test_the_line_is_the_gain_of_what_it_was_made_of():
    found_ = found(100_000, seed=1)
    by_hand = (1 - RIGHT) * 0.7 * REPAIR - RIGHT * 0.2 * HARM
    assert found_.expected_gain == pytest.approx(by_hand, abs=0.004)
    # Nothing happens without an alarm here, so the general answer is the symmetric one.
    assert found_.general == pytest.approx(found_.accuracy.value, abs=1e-9)
    for point in found_.curve:
        miss = 1 - RIGHT * point.false_alarm * HARM / ((1 - RIGHT) * REPAIR)
        assert point.miss == pytest.approx(miss, abs=0.02) if miss >= 0 else (point.miss, point.gains) == (None, False)


def test_the_gain_is_that_of_the_step_whatever_follows_a_verdict():
    frame = simulate(3000, 1, seed=2)
    rng = np.random.default_rng(0)
    late = frame["round"] == 1
    frame.loc[late, "correct"] ^= rng.random(late.sum()) < 0.1  # answers also change without an alarm
    frame.loc[~late & (rng.random(len(frame)) < 0.15), "verdict"] = "unclear"
    (arm,) = check_table(frame).arms.values()
    change = arm.right[:, 1].mean() - arm.right[:, 0].mean()
    assert break_even(arm).expected_gain == pytest.approx(change, abs=1e-12)


def test_misses_and_accuracy_at_break_even_are_on_the_line():
    line = Line(0.2, 0.5, 0.3)
    assert line.gain(0.1, line.point(0.1).miss) == pytest.approx(0)
    assert line.gain(1 - line.symmetric(), 1 - line.symmetric()) == pytest.approx(0)
    assert (Line(0.1, 0.1, 0.0).point(0.5).miss, Line(0.1, 0.1, 0.0).point(0.5).gains) == (None, True)
    assert Line(0.1, 0.0, 0.0).symmetric() is None


def test_the_interval_covers():
    truth = symmetric(RIGHT, HARM, REPAIR)
    many = [found(400, templates=50, seed=seed).accuracy for seed in range(50)]
    assert sum(one.low < truth < one.high for one in many) >= 43
    assert all(0 < one.low < one.high < 1 for one in many)


def test_alarms_have_to_be_true_more_often_than_harm_over_harm_and_repair():
    """The gain through alarms has the sign of precision less what is needed; both have intervals that cover."""
    truth = HARM / (HARM + REPAIR)
    precise = (1 - RIGHT) * 0.7 / ((1 - RIGHT) * 0.7 + RIGHT * 0.2)  # misses 30%, false alarms 20%
    many = [found(400, templates=50, seed=seed).alarms for seed in range(50)]
    assert sum(one.needed.low < truth < one.needed.high for one in many) >= 43
    assert sum(one.precision.low < precise < one.precision.high for one in many) >= 43
    for accuracy in (0.2, 0.9):
        one = found(20_000, accuracy=accuracy, seed=1)
        assert (one.alarms.precision.value > one.alarms.needed.value) == (one.expected_gain > 0)
        assert "of its alarms are true" in one.sentence
    even = found(20_000, harm=0.5, repair=0.5, seed=2).alarms.needed
    assert even.low < 0.5 < even.high


def test_the_interval_is_that_of_leaving_out_templates():
    # Obedience is a trait of the template: harm and repair rise together, and their ratio hardly moves.
    obedient = simulate(1500, 1, seed=0, harm=0.9, repair=0.9, templates=30)
    other = simulate(1500, 1, seed=1, harm=0.3, repair=0.3, templates=30)
    other[["sample", "template"]] += "x"
    (arm,) = check_table(pd.concat([obedient, other], ignore_index=True)).arms.values()
    whole = break_even(arm).accuracy
    templates = np.unique(arm.cluster)
    left = [special.logit(break_even(arm.take(arm.cluster != one)).accuracy.value) for one in templates]
    count = len(templates)
    jackknife = np.sqrt((count - 1) / count * ((left - np.mean(left)) ** 2).sum())
    half = (special.logit(whole.high) - special.logit(whole.low)) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, count - 1) * jackknife, rel=0.05)


@pytest.mark.parametrize(
    ("rounds", "rates", "said"),
    [
        (1, {"accuracy": 1.0}, "all examined answers were right"),
        (1, {"accuracy": 0.0}, "all examined answers were wrong"),
        (1, {"false_alarm": 0.0}, "no false alarm"),
        (1, {"miss": 1.0}, "no true alarm"),
        (0, {}, "asked again"),
    ],
)
def test_what_was_never_seen_has_no_break_even(rounds, rates, said):
    assert said in found(100, rounds, **rates)


def test_where_alarms_harm_nothing_there_is_no_interval():
    assert (found(200, harm=0.0).accuracy.value, found(200, harm=0.0).accuracy.low) == (0.0, None)
    inert = found(200, harm=0.0, repair=0.0)
    assert inert.accuracy is None
    assert "does not matter" in inert.sentence


def passing(**names):
    """A table of 180 right answers with 60 alarms, 6 harmed, and of 20 wrong ones with 18 alarms, 9 repaired."""
    kinds = {(True, "wrong"): (6, 54), (True, "right"): (0, 120), (False, "wrong"): (9, 9), (False, "right"): (0, 2)}
    answers = [(right, said, at < changed) for (right, said), (changed, stays) in kinds.items()
               for at in range(changed + stays)]  # fmt: skip
    rows = []
    for sample, (right, said, changed) in enumerate(answers):
        about = {"sample": sample, "template": sample % 50, "group": "xy"[said == "right"], **names}
        rows.append({**about, "round": 0, "correct": right, "verdict": said})
        rows.append({**about, "round": 1, "correct": right != changed, "verdict": None})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("stop", [{}, {"stop": "satisfied"}, {"stop": "gate"}])
def test_an_answer_that_a_satisfied_critic_passed_is_unchanged(stop):
    """Whether the loop ended with it or the model gave it again tells the same of the critic."""
    every = passing(stop="fixed")
    passed = every.loc[every["verdict"] == "right", "sample"]
    early = every[(every["round"] == 0) | ~every["sample"].isin(passed)].drop(columns="stop").assign(**stop)
    full, short = (next(iter(check_table(frame).arms.values())) for frame in (every, early))
    assert break_even(short) == break_even(full)
    # By hand: A h / (A h + (1 - A) r), with A = 0.9, h = 6/60 and r = 9/18; verdicts are right on 120 + 18 of 200.
    found = break_even(short)
    assert found.accuracy.value == pytest.approx(0.09 / 0.14)
    assert found.expected_gain == pytest.approx(3 / 200)
    assert found.sentence.startswith("The critic is right on 69% ")
    (step,), (ended,) = transitions(full), transitions(short)
    assert (ended.keep, ended.repair, ended.responses) == (step.keep, step.repair, step.responses)
    assert (ended.keep.value, ended.repair.value) == (pytest.approx(174 / 180), pytest.approx(9 / 20))
    assert (step.ended, ended.ended) == (0, 122)


def test_a_group_of_passed_answers_alone_stands_where_the_stop_rule_is_known():
    early = passing(stop="satisfied")
    early = early[(early["round"] == 0) | (early["group"] == "x")]
    (arm,) = check_table(early).arms.values()
    (step,) = transitions(arm.take(arm.group == 1))
    assert (step.n, step.keep.value, step.repair.value) == (122, 1.0, 0.0)


def test_where_a_gate_ended_the_loop_at_other_answers_too_there_is_no_break_even():
    every = passing(stop="gate")
    some = every["sample"] % 3 == 0
    (arm,) = check_table(every[(every["round"] == 0) | ~some]).arms.values()
    assert (
        break_even(arm) == "a gate ended the loop at 67 examined answers, and not because the critic called them right"
    )


def test_a_verdict_on_a_rejected_answer_is_not_of_the_answer_in_hand():
    frame = simulate(400, 2, seed=5)
    rejected = frame["sample"].isin([f"s{index}" for index in range(0, 400, 3)])
    arm, without = (
        check_table(part).arms["self"]
        for part in (frame.assign(kept=~rejected | (frame["round"] != 1)), frame[~rejected])
    )
    assert break_even(arm, 1) == break_even(without, 1)
