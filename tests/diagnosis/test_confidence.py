"""Probabilities judged by what came: against slow loops and by simulation; and rates that labels correct."""

import numpy as np
import pandas as pd
import pytest

from second_looks import simulate
from secondlook.diagnosis.confidence import auroc, confidence
from secondlook.diagnosis.corrected import corrected_mean
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.labels import read_labels
from secondlook.diagnosis.table import check_table


def test_auroc_brier_and_curve_are_those_of_slow_loops():
    rng = np.random.default_rng(0)
    p, events = rng.integers(0, 8, 90) / 8, rng.random(90) < 0.4
    found = confidence(p, events, np.arange(90) // 3)
    pairs = [(a > b) + 0.5 * (a == b) for a in p[events] for b in p[~events]]
    assert found.auroc.value == pytest.approx(np.mean(pairs))
    assert found.brier.value == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, events, strict=True)) / 90)
    assert found.base == pytest.approx(events.mean() * (1 - events.mean()))
    assert sum(part.observed.n for part in found.curve) == 90
    assert [part.mean for part in found.curve] == sorted(part.mean for part in found.curve)
    assert sum(part.observed.value * part.observed.n for part in found.curve) == pytest.approx(events.sum())


def test_where_there_is_nothing_to_rank_there_is_no_area():
    assert confidence([], [], []) is None
    assert confidence([0.2, 0.9], [True, True], [0, 1]).auroc is None
    assert confidence([0.2, 0.9], [True, False], [0, 0]).auroc.low is None
    perfect = auroc(np.array([0.1, 0.2, 0.8, 0.9]), [False, False, True, True], [0, 1, 2, 3])
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low < 0.5


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_intervals_cover_as_often_as_they_say(shared):
    """Scores and outcomes of a template go together; the truth is that of very many of them."""

    def draw(rng, clusters, size):
        lean = np.repeat(shared * rng.standard_normal(clusters), size)
        signal = rng.standard_normal(clusters * size)
        events = rng.random(signal.size) < 1 / (1 + np.exp(-(signal + lean)))
        return 1 / (1 + np.exp(-(signal + 0.5 * lean))), events, np.repeat(np.arange(clusters), size)

    rng = np.random.default_rng(1)
    p, events, index = draw(np.random.default_rng(2), 40_000, 8)
    truth = auroc(p, events, index).value, float(np.mean((p - events) ** 2))
    covered = np.zeros(2)
    for _ in range(400):
        found = confidence(*draw(rng, 40, 8))
        for place, (estimate, value) in enumerate(zip((found.auroc, found.brier), truth, strict=True)):
            covered[place] += estimate.low <= value <= estimate.high
    assert ((covered >= 0.92 * 400) & (covered <= 0.985 * 400)).all(), covered / 400


@pytest.fixture(scope="module")
def frame():
    return simulate(400, 1, false_alarm=0.1, miss=0.2, critic="self", seed=3, templates=80)


def test_a_diagnosis_judges_the_critic_and_the_first_answer(frame):
    rng = np.random.default_rng(4)
    right = frame["correct"].fillna(False).astype(bool)
    sure = np.clip(0.5 + 0.2 * np.where(right, 1, -1) + 0.3 * rng.standard_normal(len(frame)), 0, 1)
    told = frame.assign(
        p_answer=sure, p_wrong=1 - sure, elicited=np.where(np.arange(len(frame)) % 5 == 0, "logits", None)
    )
    found = diagnose(told)
    first = told[(told["round"] == 0) & told["correct"].notna()]
    outcome, p = first["correct"].astype(bool).to_numpy(), first["p_answer"].to_numpy()
    expected = confidence(p, outcome, first["template"].to_numpy())
    assert found.answer_confidence.auroc.value == pytest.approx(expected.auroc.value)
    assert found.critic_confidence.auroc.value == pytest.approx(expected.auroc.value)  # 1 - p of the reverse
    assert found.critic_confidence.brier.value == pytest.approx(expected.brier.value)
    assert sum(state.elicited for state in found.rounds) == told["elicited"].notna().sum()
    assert diagnose(frame).answer_confidence is None


def test_a_probability_that_is_none_is_named(frame):
    with pytest.raises(ValueError, match=r"p_answer is 1.5 in data row 1; give a probability from 0 to 1"):
        check_table(frame.assign(p_answer=1.5))


def test_labels_correct_accuracy_and_gain(frame, tmp_path):
    """A judge that calls half of the wrong answers right is put right by labels of half of the answers."""
    rng = np.random.default_rng(5)
    truth = frame["correct"].fillna(False).astype(bool)
    judged = frame.assign(correct=truth | (rng.random(len(frame)) < 0.5))
    some = judged["sample"].isin(sorted(judged["sample"].unique())[::2])
    labels = judged[some].assign(correct=truth[some])[["sample", "round", "correct"]]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    plain, found = diagnose(judged), diagnose(judged, labels=read_labels(tmp_path / "labels.csv"))
    last = judged["round"] == 1
    expected = corrected_mean(
        judged["correct"][last].astype(float), truth.astype(float).where(some)[last], judged["template"][last]
    )
    state = found.rounds[1]
    assert state.accuracy == plain.rounds[1].accuracy
    assert state.accuracy_corrected == expected.estimate
    assert state.accuracy_corrected.low < truth[last].mean() < state.accuracy_corrected.high < state.accuracy.value
    assert state.gain_corrected.low < truth[last].mean() - truth[~last].mean() < state.gain_corrected.high
    assert found.rounds[0].gain_corrected is plain.rounds[1].accuracy_corrected is None


def test_a_label_of_a_rejected_answer_says_nothing_of_the_one_in_hand(tmp_path):
    rows = [("a", 0, False, True), ("a", 1, True, True), ("b", 0, True, True), ("b", 1, False, False)]
    judged = pd.DataFrame(rows, columns=["sample", "round", "correct", "kept"])
    judged.drop(columns="kept").to_csv(tmp_path / "labels.csv", index=False)
    first, second = diagnose(judged, labels=read_labels(tmp_path / "labels.csv")).rounds
    # People say what the judge says: a turns right, and b, whose new answer is wrong, keeps its right one.
    assert first.accuracy_corrected.value == first.accuracy.value == 0.5
    assert second.accuracy_corrected.value == second.accuracy.value == 1.0
    assert second.gain_corrected.value == second.gain.value == 0.5


def test_labels_are_read_as_any_file_is(tmp_path):
    written = {
        "labels.csv": " sample;round;label;arm\nNA;;Refused;\nb;1.0;NA;self\n".encode("utf-16"),
        "labels.json": b'[{"sample": "NA", "label": "refused"}, {"sample": "b", "round": 1, "arm": "self"}]',
    }
    for name, held in written.items():
        (tmp_path / name).write_bytes(held)
        assert read_labels(tmp_path / name).by == {(None, "NA", 0): "refused"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"sample": "a", "label": "perhaps"}], "sample 'a', round None, label 'perhaps'"),
        ([{"sample": "a", "label": None}], "hold no label"),
        ([{"sample": "a", "label": "refused"}, {"sample": "a", "label": "complied"}], "two things of sample 'a'"),
        ([{"item": "a", "label": "refused"}], "have the columns item, label"),
    ],
)
def test_labels_that_are_not_in_order_are_named(tmp_path, rows, said):
    file = tmp_path / "labels.jsonl"
    pd.DataFrame(rows).to_json(file, orient="records", lines=True)
    with pytest.raises(ValueError, match=said):
        read_labels(file)


def test_labels_are_of_an_arm_or_of_any(tmp_path):
    file = tmp_path / "labels.jsonl"
    file.write_text(
        '{"arm": "self", "sample": "a", "round": 1, "label": "refused"}\n{"sample": "b", "correct": true}\n'
    )
    labels = read_labels(file)
    assert labels.correct("self", "a", 1, "harmful") is True
    assert labels.correct("self", "a", 1, "benign") is False
    assert labels.correct("none", "a", 1, "harmful") is None
    assert labels.correct("none", "b", 0, None) is True
