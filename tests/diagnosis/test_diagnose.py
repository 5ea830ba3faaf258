"""The whole diagnosis: what its parts say in one place, as a file others can rely on."""

import json
import re
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from second_looks import simulate
from secondlook.diagnosis.answer import advised
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.forecast import forecast
from secondlook.diagnosis.form import from_json, schema_text, to_json
from secondlook.diagnosis.recommend import recommend_rounds
from secondlook.diagnosis.table import check_table

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "diagnosis.schema.json"


@pytest.fixture(scope="module")
def frame():
    """An arm that helps, a control, and an arm whose verdicts are all flipped."""
    planted = {"seed": 1, "templates": 100, "model": "a/model"}
    helped = simulate(600, 3, false_alarm=0.05, miss=0.1, critic="self", noise_p=0.0, **planted)
    again = simulate(600, 3, false_alarm=0.0, miss=1.0, critic="none", noise_p=0.0, arm="none", **planted)
    noisy = {"critic": "noisy(1, self)", "arm": "noisy(1, self)", "noise_p": 1.0}
    return pd.concat(
        [helped, again.assign(verdict=None), simulate(600, 1, false_alarm=0.95, miss=0.9, **noisy, **planted)]
    )


@pytest.fixture(scope="module")
def diagnosis(frame):
    return diagnose(frame, price=1.0)


def test_the_parts_agree(frame, diagnosis):
    arm = check_table(frame).arms["self"]
    overall = diagnosis.overall
    assert (diagnosis.model, diagnosis.arm, diagnosis.critic, diagnosis.round) == ("a/model", "self", "self", 3)
    assert (overall.finding, overall.n, overall.group) == ("helps", 600, "all")
    assert overall.gain == overall.comparisons[0].change == diagnosis.rounds[3].gain
    assert overall.gain.value == pytest.approx(arm.right[:, 3].mean() - arm.right[:, 0].mean())
    assert [part.against for part in overall.comparisons] == ["first answer", "none"]
    assert overall.keep == diagnosis.steps[0].keep
    assert diagnosis.forecast == overall.forecast == forecast(arm)
    assert [state.accuracy.value for state in diagnosis.rounds] == pytest.approx(list(arm.right.mean(axis=0)))
    assert [state.tokens for state in diagnosis.rounds] == [100, 210, 330, 460]
    assert [group.group for group in diagnosis.groups] == ["g0", "g1", "g2", "g3"]
    assert sum(group.n for group in diagnosis.groups) == 600
    assert overall.recommended_rounds == diagnosis.recommendation.rounds > 0
    assert [dose.noise for dose in diagnosis.dose.doses] == [0.0, 1.0]
    assert (diagnosis.dose.slope.value < 0, diagnosis.correlation.groups) == (True, 4)
    assert "helps this model" in diagnosis.sentence


def test_a_diagnosis_survives_json_and_obeys_its_published_schema(diagnosis):
    text = to_json(diagnosis)
    assert from_json(text) == diagnosis
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(json.loads(text))
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "write the schema again: see docs/diagnosis.md"


def test_what_is_advised_is_one_sentence_whatever_is_known_of_costs(frame, diagnosis):
    looks = diagnosis.overall.recommended_rounds
    said = advised(diagnosis)
    assert said.startswith(f"Recommended second looks: {looks}, for ")
    # A share beside 100% says little without its interval, measured or forecast.
    low, high = map(float, re.search(r"% right \[([\d.]+), ([\d.]+)\] \((?:measured|forecast)\)", said).groups())
    assert low < 100 * diagnosis.recommendation.options[looks].accuracy < high
    free = diagnose(frame.drop(columns=["tokens", "tokens_critique"]), price=1.0)
    assert free.overall.finding == "helps"
    assert advised(free) == "Recommended second looks: 0, as it is not known what a look costs."


def test_the_advice_says_half_of_the_interval_that_is_printed(frame):
    few = diagnose(frame[frame["sample"].isin(sorted(frame["sample"].unique())[:40])])
    gain = few.overall.gain
    assert few.advice[0].endswith(f"these 40 give ±{50 * (gain.high - gain.low):.1f}.")
    alone = diagnose(frame.assign(template="one"))
    assert alone.overall.gain.low is None
    assert not [advice for advice in alone.advice if "points for the gain" in advice]


def test_where_nothing_was_right_or_wrong_nothing_is_forecast():
    rows = [
        {"sample": f"q{n}", "round": round_, "correct": None, "status": "unparsed"}
        for n in range(8)
        for round_ in range(2)
    ]
    found = diagnose(pd.DataFrame(rows))
    assert found.forecast is None
    assert "the forecast (no answer that was followed was right or wrong)" in found.cannot


def test_an_arm_and_a_round_can_be_chosen(frame):
    found = diagnose(frame, arm="none", round_=1)
    assert (found.arm, found.round) == ("none", 1)
    assert (found.overall.finding, found.overall.recommended_rounds) == ("undecided", 0)
    assert "none" not in [part.against for part in found.overall.comparisons]
    # Nothing is recommended that is not shown to help, whatever it would be worth.
    half = diagnose(frame.assign(context="ambig"))
    assert (half.overall.finding, half.overall.recommended_rounds) == ("undecided", 0)
    assert half.recommendation.rounds > 0
    with pytest.raises(ValueError, match="no arm 'other'; the table has noisy"):
        diagnose(frame, arm="other")
    with pytest.raises(ValueError, match=r"round is 4; arm 'self' has rounds 0 to 3"):
        diagnose(frame, round_=4)


@pytest.mark.parametrize(
    ("rates", "here", "missing"),
    [
        ({"accuracy": 1.0, "false_alarm": 0.0}, "right", "CS = P(wrong → right) (no first answer was wrong)"),
        ({"accuracy": 0.0, "miss": 1.0}, "wrong", "CL = P(right → right) (no first answer was right)"),
    ],
)
def test_one_class_alone_is_said_to_estimate_nothing_of_the_other(rates, here, missing):
    found = diagnose(simulate(100, 2, **rates))
    assert missing in found.cannot
    assert f"all examined answers were {here}" in "; ".join(found.cannot)
    assert (found.overall.finding, found.break_even) == ("undecided", None)
    jsonschema.validate(json.loads(to_json(found)), json.loads(schema_text()))


def test_first_answers_alone_are_diagnosed_as_far_as_they_go():
    found = diagnose(simulate(100, 0))
    assert (found.overall.finding, found.overall.reason) == ("undecided", "The model was not asked again.")
    assert (found.steps, found.forecast, found.overall.recommended_rounds) == ([], None, 0)


def test_failed_calls_are_counted_and_paid_and_without_an_answer_there_is_no_diagnosis():
    def failing(lost):
        correct = frame["correct"].astype("boolean").mask(lost)
        return frame.assign(
            status=frame["status"].mask(lost, "error"), verdict=frame["verdict"].mask(lost), correct=correct
        )

    frame = simulate(100, 1, seed=2)
    found = diagnose(failing(frame["sample"].isin([f"s{index}" for index in range(0, 40, 4)])))  # of group g0
    assert [(state.samples, state.failed, state.tokens) for state in found.rounds] == [(90, 10, 100), (90, 10, 210)]
    assert (found.overall.n, [group.n for group in found.groups]) == (90, [15, 25, 25, 25])
    none = failing(frame["group"] == "g0")
    assert (diagnose(none).groups[0].n, diagnose(none).groups[0].finding) == (0, "undecided")
    with pytest.raises(ValueError, match="every call failed"):
        diagnose(none[none["group"] == "g0"])


def test_rounds_are_recommended_by_what_their_tokens_bring():
    accuracies, tokens = [0.5, 0.6, 0.65, 0.65], [100, 300, 600, 900]
    worth = {0.0: 2, 10.0: 2, 30.0: 1, 60.0: 0}
    assert {price: recommend_rounds(accuracies, tokens, None, price).rounds for price in worth} == worth
    options = recommend_rounds(accuracies, tokens, None, 10.0).options
    assert [option.value for option in options] == pytest.approx([49.0, 57.0, 59.0, 56.0])
    assert recommend_rounds(accuracies, None, None).rounds == 2
    for price, given in ((-1.0, tokens), (1.0, None)):
        with pytest.raises(ValueError, match="price is"):
            recommend_rounds(accuracies, given, None, price)
