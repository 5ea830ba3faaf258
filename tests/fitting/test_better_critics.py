import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted_critics import REPAIR, blind_in, draw, fair, follow, silent

from secondlook.correction.critics.recorded import RecordedCritic
from secondlook.diagnosis.columns import ALARM, PASS, SILENT, UNCLEAR
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.paired import paired_change
from secondlook.fitting.critics import (
    best_threshold,
    by_threshold,
    calibrate,
    majority,
    trained,
    vote,
    write_recorded,
)
from secondlook.fitting.examined import examined, judge, predicted
from secondlook.fitting.panel import agreement, panel
from secondlook.fitting.trained import deal, features_of, train

WORDS = {"wrong": ALARM, "right": PASS, "unclear": UNCLEAR}
CELLS = [(was, said) for was in (True, False) for said in (ALARM, PASS)]


def slow_gain(of, verdict):
    """The predicted gain as a walk over the answers."""
    total = 0.0
    for right, said in zip(of.right, verdict, strict=True):
        alike = [
            after
            for was, word, after in zip(of.right, of.verdict, of.after, strict=True)
            if (was, word) == (right, said)
        ]
        total += sum(alike) / len(alike) - right
    return total / len(of)


def test_the_gain_of_the_critic_that_was_asked_is_the_measured_change():
    of = examined(draw({"self": fair(0.7)}, templates=40), "self")
    row = judge(of, "self", of.verdict, 1.0)
    change = paired_change(of.right, of.after, of.templates).estimate
    assert row.gain.value == pytest.approx(change.value)
    assert (row.gain.low, row.gain.high) == pytest.approx((change.low, change.high), abs=0.003)
    assert (row.more_gain.value, row.more_accuracy.value) == (0.0, 0.0)


def test_a_predicted_gain_is_the_walks_and_its_interval_a_bootstraps():
    of = examined(draw({"self": fair(0.7)}, templates=60, each=6), "self")
    rng = np.random.default_rng(3)
    verdict = np.where(rng.random(len(of)) < 0.9, np.where(of.right, PASS, ALARM), of.verdict).astype(np.int8)
    row = judge(of, "better", verdict, None)
    assert row.gain.value == pytest.approx(slow_gain(of, verdict))
    groups = [np.flatnonzero(of.templates == name) for name in of.templates.unique()]
    again = []
    for _ in range(400):
        index = np.concatenate([groups[place] for place in rng.integers(0, 60, 60)])
        right, after = of.right[index], of.after[index]
        gains = [after[(right == was) & (of.verdict[index] == said)].mean() - was for was, said in CELLS]
        shares = [((right == was) & (verdict[index] == said)).mean() for was, said in CELLS]
        again.append(np.dot(shares, gains))
    assert (row.gain.high - row.gain.low) / 2 == pytest.approx(2.0 * np.std(again), rel=0.1)


def test_what_was_never_said_has_no_consequence():
    of = examined(draw({"self": fair(0.7)}, templates=10), "self")
    unclear = np.where(np.arange(len(of)) % 2, UNCLEAR, of.verdict).astype(np.int8)
    assert predicted(of, unclear) == "no right answer was called unclear in arm 'self', so what follows is not known"
    row = judge(of, "half", unclear, None)
    assert (row.gain, row.more_gain, row.unclear) == (None, None, 0.5)
    assert row.accuracy.n == len(of) // 2


def test_a_loop_that_ends_satisfied_keeps_its_answer_and_errors_are_left_out():
    records = draw({"self": fair(0.7)}, templates=10)
    first = records["round"] == 0
    content = set(records.loc[first & (records["verdict"] == "right"), "sample"])
    ended = records[first | ~records["sample"].isin(content)]
    of = examined(ended, "self")
    assert len(of) == 100
    assert (of.after[of.verdict == PASS] == of.right[of.verdict == PASS]).all()
    failed = records.assign(status=np.where((records["sample"] == "s3") & ~first, "error", "ok"))
    failed["correct"] = failed["correct"].astype(object).where(failed["status"] == "ok", None)
    assert "s3" not in set(examined(failed, "self").rows["sample"])
    assert len(examined(failed, "self")) == 99


def test_a_rejected_answer_changes_nothing():
    records = draw({"self": fair(0.7)}, templates=10)
    # A new answer is kept where it is right, as an oracle would have it.
    records["kept"] = (records["round"] == 0) | records["correct"]
    first, second = (records.loc[records["round"] == at, "correct"].to_numpy(bool) for at in (0, 1))
    of = examined(records, "self")
    assert of.after.tolist() == (first | second).tolist()
    gain = judge(of, "self", of.verdict, None).gain.value
    assert gain == pytest.approx((second & ~first).mean()) == pytest.approx(diagnose(records).overall.gain.value)


@pytest.mark.parametrize("step", [1, 35])
def test_the_best_threshold_is_the_best_of_all(step):
    of = examined(draw({"self": fair(0.75)}, templates=30, seed=4), "self")
    score = of.rows["score"].to_numpy(float) // step * step
    score[::7] = np.nan
    threshold, gain = best_threshold(of, score)
    has = ~np.isnan(score)
    measured = {cell: of.after[(of.right == cell[0]) & (of.verdict == cell[1])].mean() - cell[0] for cell in CELLS}

    def gain_at(limit):
        said = np.where(score[has] < limit, ALARM, PASS)
        return np.mean([measured[bool(right), int(word)] for right, word in zip(of.right[has], said, strict=True)])

    every = [gain_at(limit) for limit in (-np.inf, *np.unique(score[has]) + 0.5)]
    assert gain == pytest.approx(max(every)) == pytest.approx(gain_at(threshold))
    assert by_threshold(np.array([1.0, 5.0, np.nan]), 5.0).tolist() == [ALARM, PASS, UNCLEAR]


def test_calibration_is_judged_on_templates_it_was_not_chosen_on():
    def drowsy(right, group, rng):
        # Its scores tell right from wrong well; its own verdicts, at a threshold of 75, cry wolf.
        score = np.where(right, 70, 40) + rng.normal(0, 15, len(right))
        return np.where(score < 75, "wrong", "right"), score

    records = draw({"self": drowsy}, templates=120)
    better = calibrate(records)
    asked, row = better.rows
    assert (asked.answers, row.answers, row.accuracy.clusters, len(better.verdicts)) == (600, 600, 60, 1200)
    assert 40 < float(row.name.split()[2]) < 70
    assert row.more_gain.low > 0
    assert row.accuracy.value > 0.75 > asked.accuracy.value
    assert "chosen on 600 answers" in better.notes[0]
    # Every verdict that is written is by the threshold of the other half.
    of = examined(records, "self")
    score, half = of.rows["score"].to_numpy(float), deal(of.templates, 2, 0)
    for part in (0, 1):
        threshold, _ = best_threshold(of.take(half != part), score[half != part])
        words = np.where(score < threshold, "wrong", "right")[half == part]
        assert better.verdicts["verdict"][half == part].tolist() == words.tolist()


def test_where_alarms_only_harm_the_calibrated_critic_is_silent(monkeypatch):
    monkeypatch.setitem(REPAIR, "wrong", 0.0)
    row = calibrate(draw({"self": fair(0.9)}, templates=100)).rows[-1]
    assert (row.name, row.miss.value) == ("score below -inf is wrong", 1.0)


def test_a_vote_is_the_majority_of_what_can_be_read():
    votes = [
        (ALARM, ALARM, PASS, ALARM),
        (ALARM, PASS, UNCLEAR, UNCLEAR),
        (ALARM, UNCLEAR, UNCLEAR, ALARM),
        (UNCLEAR, UNCLEAR, UNCLEAR, UNCLEAR),
        (PASS, PASS, SILENT, PASS),
    ]
    *given, expected = (np.array(column, dtype=np.int8) for column in zip(*votes, strict=True))
    assert majority(given).tolist() == expected.tolist()


def test_three_critics_are_better_than_one_and_cost_three():
    records = draw({"a": fair(0.7), "b": fair(0.7), "c": fair(0.7), "none": silent}, templates=150)
    asked, b, c, row = vote(records, "a").rows
    assert [asked.name, b.name, c.name, row.name] == ["a", "b", "c", "vote of a, b, c"]
    # Three independent critics of 0.7: 0.7³ + 3 · 0.7² · 0.3.
    assert row.accuracy.low < 0.784 < row.accuracy.high
    assert row.more_accuracy.low > 0
    assert row.more_gain.low > 0
    # An answer of 35 tokens, and 15 a critique.
    assert (asked.tokens, row.tokens) == (50, 35 + 3 * 15)
    without = vote(records[records["arm"] != "none"]).rows[-1]
    assert without.tokens == 150


def test_a_critic_by_a_judges_word_says_so():
    records = draw({"a": fair(0.7), "b": fair(0.7)}, templates=20).assign(judge="openai/grader")
    for make in (vote, calibrate, trained):
        assert "right and wrong are what judge openai/grader says, not the truth" in make(records).notes
        assert not any("not the truth" in note for note in make(records.assign(judge=None)).notes)


@pytest.mark.parametrize("controls", [("always-unknown", "none"), ("none",), ("always-unknown",), ()])
def test_an_answer_of_100_tokens_and_two_critiques_of_50_cost_200(controls):
    drawn = {"a": fair(0.7), "b": fair(0.7)}
    records = draw(drawn | dict.fromkeys(controls, silent), templates=10)
    critic, free = records["arm"].isin([*drawn]), records["arm"] == "always-unknown"
    records["tokens_in"] = np.where(free, 0, np.where(critic, 150, 100))
    records["tokens_out"] = 0
    told = records.assign(tokens_critique=np.where(critic, 50, 0))
    assert vote(told, "a").rows[-1].tokens == 200
    # Where nobody says what a critique took, only an arm that was asked without one shows it.
    assert vote(records, "a").rows[-1].tokens == (200 if "none" in controls else 300)


def test_a_vote_needs_the_same_answers_and_what_knows_the_truth_neither_votes_nor_teaches():
    records = draw({"a": fair(0.7), "b": fair(0.7)}, templates=10)
    other = (records["arm"] == "b") & (records["round"] == 0) & (records["sample"] < "s5")
    records.loc[other, "answer"] = "D"
    better = vote(records)
    assert better.rows[-1].answers == 100 - other.sum()
    assert better.notes[0].startswith(f"{other.sum()} answers were not judged by every critic")
    records = draw({"self": fair(0.7), "b": fair(0.7), "noisy(0.1, oracle)": fair(0.9)}, templates=40)
    hidden = records.assign(critic=records["arm"].replace("b", "oracle"))
    assert vote(records).rows[-1].name == "vote of b, self"
    assert "oracle" not in trained(records).notes[0]
    assert "verdict of b" not in trained(hidden).notes[0]


def test_no_template_is_on_both_sides():
    templates = pd.Series([f"t{number % 7}" for number in range(50)])
    part = deal(templates, 3, seed=0)
    assert all(len(set(part[templates == name])) == 1 for name in templates.unique())
    assert sorted(len(set(templates[part == number])) for number in range(3)) == [2, 2, 3]
    with pytest.raises(ValueError, match="come from 7 templates; at least 8 are needed"):
        deal(templates, 8, seed=0)


def test_a_trained_critic_learns_where_not_to_listen_and_its_forecast_comes_true():
    records = draw({"self": blind_in("body", 0.85)}, templates=300, seed=2)
    better = trained(records)
    _, accurate, useful = better.rows
    assert accurate.more_accuracy.low > 0.05
    assert useful.more_gain.low > 0
    # Asked again with its verdicts, the planted model gains what was predicted.
    of = examined(records, "self")
    rng = np.random.default_rng(9)
    gains = [np.mean(follow(of.right, better.verdicts["verdict"], rng)) - of.right.mean() for _ in range(50)]
    assert useful.gain.low < np.mean(gains) < useful.gain.high
    assert set(better.verdicts.loc[better.verdicts["group"] == "body", "verdict"]) <= {"right", "wrong"}


def test_a_verdict_does_not_depend_on_its_own_templates_truth():
    of = examined(draw({"self": fair(0.8)}, templates=12), "self")
    features = features_of(of, {"self": of.verdict})
    own = (of.templates == 3).to_numpy()
    other = replace(
        of, right=of.right ^ own, after=of.after ^ own, verdict=np.where(own, PASS, of.verdict).astype(np.int8)
    )
    before, after = (train(answers, features) for answers in (of, other))
    assert (before.wrong[own] == after.wrong[own]).all()
    assert (before.useful[own] == after.useful[own]).all()
    assert (before.wrong[~own] != after.wrong[~own]).any()
    # An alarm that only repairs is raised on everything, one that only harms on nothing: by what other templates show.
    for next_, said in ((of.right | (of.verdict == ALARM), ALARM), (of.verdict == PASS, PASS)):
        alone = replace(of, after=np.where(own, ~next_, next_))
        assert set(train(alone, features).useful[own]) == {said}


def test_agreement_is_the_share_of_other_arms_that_answered_alike():
    records = draw({"self": fair(0.7), "b": silent, "c": silent}, templates=2, each=2)
    records.loc[(records["arm"] == "b") & (records["sample"] == "s1"), "answer"] = "Z"
    of = examined(records, "self")
    share = agreement(panel(records, of), of)
    assert share.tolist() == [1.0, 0.5, 1.0, 1.0]
    assert ("agreement" in features_of(of, {}, share), "agreement" in features_of(of, {}, np.ones(4))) == (True, False)
    alike = records[records["arm"] != "b"]
    assert agreement(panel(alike, of), of) is None


def test_verdicts_are_written_as_a_recorded_critic(tmp_path):
    better = trained(draw({"self": fair(0.8)}, templates=20))
    file = tmp_path / "critic.jsonl"
    assert write_recorded(file, better.verdicts) == 200
    read = RecordedCritic.load(file).records
    assert {key: WORDS[record.verdict] for key, record in read.items()} == {
        (row.sample, 0): WORDS[row.verdict] for row in better.verdicts.itertuples()
    }
    write_recorded(file, better.verdicts, answers=True)
    assert json.loads(file.read_text().splitlines()[0])["answer"] in "ABC"


def test_what_the_records_do_not_hold_is_an_error():
    records = draw({"self": fair(0.7), "none": silent, "all": fair(0.9)}, templates=10)
    assert trained(records).rows[0].name == "self"
    records = records[records["arm"] != "all"]
    right_first = records.assign(correct=records["correct"] | (records["round"] == 0))
    but_one = right_first.assign(correct=right_first["correct"] & (records["template"] != 3))
    for ask, reason in (
        (lambda: trained(records.drop(columns="verdict")), "no column 'verdict'"),
        (lambda: trained(records.assign(verdict=None)), "the table has no verdict"),
        (lambda: trained(records[records["round"] == 0]), "no first answer of arm 'self' was examined and followed"),
        (lambda: trained(right_first), "the answers are all right or all wrong"),
        (
            lambda: trained(but_one),
            "the answers outside one of the 5 folds are all right or all wrong; .* more questions",
        ),
        (lambda: trained(pd.concat([records, records])), "two rows for sample 's0'"),
        (lambda: trained(records, "other"), "no arm 'other'; the table has none, self"),
        (lambda: trained(records, without=["context"]), "no feature 'context' to leave out; there are verdict of self"),
        (lambda: vote(records), "only one critic judged these answers"),
        (lambda: calibrate(records.drop(columns="score")), "no column 'score'"),
    ):
        with pytest.raises(ValueError, match=reason):
            ask()
