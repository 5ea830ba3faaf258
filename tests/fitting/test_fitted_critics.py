"""Fitted critics: plain data that says what scikit-learn's own models say, answer by answer and over a table."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from planted_critics import blind_in, draw, fair, silent
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from command import secondlook
from secondlook.diagnosis.columns import ALARM, PASS
from secondlook.fitted import Fitted, Input, Votes
from secondlook.fitting.critic_file import read_critic
from secondlook.fitting.critics import calibrate, trained, vote
from secondlook.fitting.learn import design, inputs_of, isotonic, logistic, probabilities, trees
from secondlook.fitting.trained import deal


def numbers(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, rng.random(n) < 1 / (1 + np.exp(-(x @ [1.0, -2.0, 0.0] + 0.5)))


def test_each_form_says_what_scikit_learn_says():
    x, y = numbers()
    regression = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(x, y)
    assert probabilities(logistic(x, y, 2.0), x) == pytest.approx(regression.predict_proba(x)[:, 1], abs=1e-12)
    boosted = GradientBoostingClassifier(max_depth=2, min_samples_leaf=10, random_state=3).fit(x, y)
    assert probabilities(trees(x, y, 3), x) == pytest.approx(boosted.predict_proba(x)[:, 1], abs=1e-12)
    for sign in (1, -1):
        one = sign * x[:, :1]
        steps = IsotonicRegression(y_min=0, y_max=1, increasing="auto", out_of_bounds="clip").fit(one[:, 0], y)
        new = np.linspace(-5, 5, 501)
        assert probabilities(isotonic(one, y), new[:, None]) == pytest.approx(steps.predict(new), abs=1e-12)


def test_a_table_is_read_as_its_answers_are_one_by_one():
    rng = np.random.default_rng(2)
    features = pd.DataFrame(
        {
            "verdict of self": rng.choice(["wrong", "right", "unclear", "none"], 200),
            "p_wrong of self": np.where(rng.random(200) < 0.2, np.nan, rng.random(200)),
            "p_answer": rng.random(200),
        }
    )
    inputs = inputs_of(features, np.arange(200) < 150)
    assert [(each.name, each.level) for each in inputs] == [
        *(("verdict of self", level) for level in ("right", "unclear", "wrong")),
        ("p_wrong of self", None),
        ("p_answer", None),
    ]
    table = design(features, inputs)
    for row, known in zip(table, features.to_dict("records"), strict=True):
        assert [each.read(known) for each in inputs] == pytest.approx(row.tolist())


def test_a_vote_and_what_is_not_known():
    critic = Fitted(
        [Input(f"verdict of {name}", word) for name in "abc" for word in ("wrong", "right")], Votes("vote"), 0.5
    )
    for verdicts, said, wrong in (
        (("wrong", "wrong", "right"), "wrong", 2 / 3),
        (("wrong", "right", "unclear"), "unclear", 0.5),
        (("right", "unclear", None), "right", 0.0),
        (("unclear", None, None), "unclear", None),
        ((None, None, None), "unclear", None),
    ):
        known = {f"verdict of {name}": verdict for name, verdict in zip("abc", verdicts, strict=True)}
        assert (critic.verdict(known), critic.wrong(known)) == (said, wrong)


def drowsy(right, group, rng):
    """Its scores tell right from wrong well; its own verdicts, at a threshold of 75, cry wolf."""
    score = np.where(right, 70, 40) + rng.normal(0, 15, len(right))
    return np.where(score < 75, "wrong", "right"), score


def judged(better):
    """The answers that the critic was not fitted on, and the verdicts on them."""
    return better.verdicts[deal(better.verdicts["template"], 2, 0) == 1].itertuples()


@pytest.mark.parametrize("to", ["limit", "platt", "isotonic"])
def test_a_calibrated_critic_says_of_each_answer_what_was_judged(to):
    better = calibrate(draw({"self": drowsy}, templates=120), to=to)
    assert better.rows[1].more_gain.low > 0
    for row in judged(better):
        assert better.fitted.verdict({"score of self": row.score}) == row.verdict
    assert better.fitted.verdict({}) == "unclear"


def test_platts_probability_is_calibrated_where_the_score_is_not():
    better = calibrate(draw({"self": drowsy}, templates=400), to="platt")
    wrong = np.asarray([better.fitted.wrong({"score of self": score}) for score in better.verdicts["score"]])
    truth = ~better.verdicts["correct"].to_numpy(bool)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        at = (wrong >= low) & (wrong < low + 0.2)
        assert abs(truth[at].mean() - wrong[at].mean()) < 0.08, low


def test_a_probability_is_calibrated_where_there_is_no_score():
    records = draw({"self": drowsy}, templates=120)
    records["p_wrong"] = 1 / (1 + np.exp((records["score"] - 55) / 10))
    better = calibrate(records.drop(columns="score"))
    assert better.rows[1].name.startswith("p_wrong above ")
    for row in judged(better):
        assert better.fitted.verdict({"p_wrong of self": row.p_wrong}) == row.verdict
    with pytest.raises(ValueError, match="no column 'score'"):
        calibrate(records.drop(columns="score"), on="score")


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_a_critic_trained_to_be_served_knows_only_what_is_known_there(kind):
    records = draw({"self": drowsy, "b": fair(0.8), "none": silent}, templates=200)
    better = trained(records, kind=kind, asked=("self", "b"))
    assert {each.name for each in better.fitted.inputs} == {
        "verdict of self",
        "verdict of b",
        "score of self",
        "score of b",
    }
    assert better.asks == ("b", "self")
    accurate = better.rows[1]
    assert accurate.more_accuracy.low > 0
    everything = trained(records, kind=kind)
    assert everything.fitted is None
    alone = trained(records, kind=kind, asked=("self",))
    assert {each.name for each in alone.fitted.inputs} == {"verdict of self", "score of self"}


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_a_word_it_was_not_fitted_on_gives_no_probability(kind):
    records = draw({"self": fair(0.7), "b": fair(0.7)}, templates=40)
    fitted = trained(records, kind=kind, asked=("self",)).fitted
    heard = {word: {"verdict of self": word, "score of self": 60.0} for word in ("right", "wrong", "unclear", None)}
    assert fitted.wrong(heard["right"]) < fitted.wrong(heard["wrong"])
    for word in ("unclear", None):
        assert (fitted.wrong(heard[word]), fitted.verdict(heard[word])) == (None, "unclear")
    # Where the records hold answers on which a critic was silent, silence is a word too.
    silent_at = (records["arm"] == "self") & (records["template"] % 4 == 0)
    silence = trained(records.assign(verdict=records["verdict"].mask(silent_at)), "b", kind=kind, asked=("self", "b"))
    assert silence.fitted.wrong(heard[None] | {"verdict of b": "wrong"}) is not None


def test_what_differs_in_nothing_teaches_no_critic_and_is_one_line():
    """A critic that always says wrong: judged, it said what most answers are; served, it was unclear of all."""
    records = draw({"self": lambda right, group, rng: (np.full(len(right), "wrong"), np.nan)}, templates=20)
    for asked in (("self",), ()):
        with pytest.raises(ValueError, match=r"no feature differs between the answers .*: give records of further"):
            trained(records, asked=asked)


def test_an_answer_of_which_nothing_is_known_is_judged_as_it_is_served():
    records = draw({"self": fair(0.8)}, templates=40).drop(columns="score")
    likely = np.where(records["correct"], 0.9, 0.4) + np.random.default_rng(1).normal(0, 0.05, len(records))
    unknown = records["sample"].str[1:].astype(int) % 4 == 0
    better = trained(records.assign(p_answer=np.where(unknown, np.nan, likely.clip(0, 1))), asked=())
    assert {one.name for one in better.fitted.inputs} == {"p_answer"}
    assert better.fitted.verdict({"p_answer": None}) == "unclear"
    missing = better.verdicts["p_answer"].isna()
    assert missing.sum() == 100
    assert {*better.verdicts.loc[missing, "verdict"]} == {"unclear"}
    assert "unclear" not in {*better.verdicts.loc[~missing, "verdict"]}


def test_trees_find_what_a_line_cannot():
    # Wrong where two critics disagree: no weights of theirs tell it.
    rng = np.random.default_rng(5)
    x = rng.choice([0.0, 1.0], (600, 2))
    y = rng.random(600) < np.where(x[:, 0] != x[:, 1], 0.9, 0.1)
    straight, curved = (np.mean((probabilities(form, x) > 0.5) == y) for form in (logistic(x, y), trees(x, y)))
    assert curved > 0.85 > 0.65 > straight


def test_a_vote_is_served_as_it_was_judged():
    better = vote(draw({"a": fair(0.7), "b": fair(0.7), "c": fair(0.7)}, templates=40), "a")
    assert better.asks == ("a", "b", "c")
    assert better.fitted.threshold == 0.5
    assert len(better.fitted.inputs) == 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder as an evaluation leaves it: the model itself and a tool on the same answers, and none."""
    folder = tmp_path_factory.mktemp("run")
    critics = {"self": blind_in("body", 0.8), "tool": fair(0.7), "none": silent}
    records = draw(critics, templates=120)
    records.assign(critic=records["arm"], model="m").to_csv(folder / "records.csv", index=False)
    settings = {"settings": {"elicit": "auto", "max_tokens": 64}, "arms": {"tool": {"critic_command": "sh check.sh"}}}
    (folder / "run.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    "how",
    [
        ("calibrate", "--to", "platt"),
        ("calibrate", "--to", "isotonic"),
        ("vote",),
        ("train",),
        ("train", "--model", "trees"),
    ],
)
def test_the_command_writes_a_critic_that_is_served(run, tmp_path, how):
    file = tmp_path / "critic.json"
    done = secondlook("critic", how[0], run, *how[1:], "--out", file)
    assert done.code == 0, done.err
    assert f"--critic fitted:{file}" in done.out
    found = read_critic(file)
    assert (found.made.model, found.made.elicit) == ("m", "auto")
    assert set(found.critics) == ({"self"} if how[0] == "calibrate" else {"self", "tool"})
    if "tool" in found.critics:
        assert found.critics["tool"].command == "sh check.sh"
    known = {"verdict of self": "wrong", "verdict of tool": "wrong", "score of self": 10.0, "score of tool": 10.0}
    assert found.fitted.verdict(known) == "wrong"
    assert found.fitted.wrong({}) is None


def test_what_cannot_be_served_is_one_line(run, tmp_path):
    records = pd.read_csv(run / "records.csv")
    other = tmp_path / "mine.csv"
    records.to_csv(other, index=False)
    file = tmp_path / "critic.json"
    for arguments, said in (
        (("vote", other), "arm 'tool' is of critic 'tool' and no run.json says which"),
        (("calibrate", run, "--to", "log"), "cannot be calibrated to 'log'; choose one of limit, platt, isotonic"),
        (("train", run, "--model", "deep"), "model is 'deep'; choose one of logistic, trees"),
    ):
        assert said in secondlook("critic", *arguments, "--out", file).error
    assert not file.exists()


def test_a_threshold_weighs_repair_against_harm():
    better = trained(draw({"self": fair(0.7)}, templates=200), asked=("self",))
    # By the planted rates an alarm repairs 0.55 and harms 0.28 more than a pass does.
    assert better.fitted.threshold == pytest.approx(0.28 / (0.28 + 0.55), abs=0.08)
    verdicts = np.where(better.verdicts["verdict"] == "wrong", ALARM, PASS)
    assert math.isclose(np.mean(verdicts == ALARM), 0.46, abs_tol=0.06)
