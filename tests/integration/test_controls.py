"""The controls of a second look, on a real model: a vote at equal cost, always unknown, and every token in some row."""

import pandas as pd
import pytest

from command import CACHED, TIMES
from secondlook.diagnosis.diagnose import diagnose
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import report_folder, run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.fast import run_arms
from secondlook.evaluation.logs import read_logged

ENDPOINT = Endpoint(model="secondlook/planted", max_tokens=16)
CONTROLS = ("self", "none", "vote", "always-unknown")


def evaluation(*critics, **study):
    return Evaluation(
        benchmark="planted",
        endpoint=ENDPOINT,
        arms=critics,
        study={"rounds": 1, "votes": None, **study},
        questions={"per_category": 4},
        seed=3,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    run_evaluation(evaluation(*CONTROLS), folder, quiet=True)
    return folder


@pytest.fixture(scope="module")
def records(folder):
    return pd.read_csv(folder / "records.csv")


def test_every_arm_answers_every_question(records):
    assert records.groupby("arm", sort=False)["sample"].nunique().to_dict() == dict.fromkeys(CONTROLS, 44)
    assert records.groupby("arm", sort=False)["round"].max().to_dict() == dict(zip(CONTROLS, (1, 1, 5, 0), strict=True))


def test_always_unknown_is_right_where_nothing_can_be_told_and_costs_nothing(records):
    unknown = records[records["arm"] == "always-unknown"]
    assert ((unknown["correct"].astype(bool)) == (unknown["context"] == "ambig")).all()
    assert (unknown[["tokens_in", "tokens_out", "seconds"]] == 0).all(axis=None)
    assert (unknown["bias"] == 0).all()


def test_votes_are_counted_from_answers_that_differ(folder, records):
    vote = records[records["arm"] == "vote"].set_index(["sample", "round"])
    transcripts = {one.item.id: one.transcript for one in read_logged(folder) if one.arm == "vote"}
    differing = sum(len({round_.answer for round_ in one.rounds}) > 1 for one in transcripts.values())
    assert differing > 10  # the planted subject's noise is drawn anew for each answer: a vote has something to count
    for name, transcript in transcripts.items():
        assert vote.loc[name, "tokens_in"].tolist() == [round_.usage.input for round_ in transcript.rounds]


def test_the_diagnosis_compares_with_each_at_no_higher_cost(records):
    found = diagnose(records, arm="self")
    against = {part.against: part for part in found.overall.comparisons}
    assert set(against) == {"first answer", "none", "always-unknown", "vote"}
    assert against["always-unknown"].tokens_against == 0
    assert 0.5 * against["vote"].tokens < against["vote"].tokens_against <= against["vote"].tokens
    assert [round_.round for round_ in found.bias] == [0, 1]


def test_a_second_report_is_the_same(folder, records):
    report_folder(folder)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "records.csv"), records)


def test_the_fast_path_gives_the_same_records(tmp_path, records):
    run_evaluation(evaluation(*CONTROLS), tmp_path, quiet=True, arms=run_arms)
    fast = pd.read_csv(tmp_path / "records.csv")
    same = [name for name in records.columns if name not in (*TIMES, *CACHED)]
    pd.testing.assert_frame_equal(fast[same], records[same], atol=1e-5)


@pytest.mark.parametrize("fast", [False, True], ids=["inspect", "fast"])
def test_every_token_of_a_shared_history_is_in_the_records(tmp_path, fast):
    """The history's calls are made once, for all samples: without them the sum falls short."""
    arms = run_arms if fast else None
    run_evaluation(evaluation("self", variant="diverse", history=2), tmp_path, quiet=True, arms=arms)
    records = pd.read_csv(tmp_path / "records.csv")
    first = records[records["round"] == 0]
    extra = first["tokens_in"] - first["tokens_in"].median()
    # Prompts differ by a few tokens; the history's own calls, three an exchange, stand out in the row that paid.
    assert (extra > 100).sum() == 1


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="'always-unknown' is a control of benchmarks with an option that says so"):
        evaluation("always-unknown")
