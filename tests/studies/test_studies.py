"""The studies S1 to S8 on real planted subjects, small: numbers recomputed from records, nothing asked twice."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from command import TIMES, secondlook
from secondlook.evidence.experiment import conduct, find
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.evidence.result import judged
from secondlook.studies.experiments import EXPERIMENTS
from secondlook.studies.experiments.critic_accuracy import _fisher
from secondlook.studies.pairs import arms_of, change, estimate
from secondlook.studies.planted import PlantedBench
from secondlook.studies.profile import StudyProfile

SMALL = StudyProfile("small", "planted", "planted-0.5m", ("planted-0.1m", "planted-0.5m"), 6, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def results(folder):
    """Every study at a size that takes seconds."""
    return {
        name: conduct(experiment, PlantedBench(SMALL, folder / "asked"), folder / name, f"secondlook study run {name}")
        for name, experiment in EXPERIMENTS.items()
    }


def number(result, name):
    (part,) = [part for part in result["parts"] if part["name"] == name]
    return part["value"]


def test_every_claim_is_judged_on_all_its_parts_and_called_planted(results):
    assert list(results) == [f"S{index}" for index in range(1, 9)]
    for name, result in results.items():
        assert result["planted"]
        # A planted subject is no server: its seconds are of a whole batch.
        assert [part["name"] for part in result["parts"]] == [
            part.name for part in EXPERIMENTS[name].parts if part.name != "seconds"
        ]
        assert result["outcome"] in ("supported", "undecided", "refuted", "not estimated")
        assert "no real model is" in result["notes"][-1]
        assert "secondlook eval" in result["real"]
        json.dumps(result, allow_nan=False)


def test_files_and_figures_are_written(results, folder):
    for name, result in results.items():
        written = json.loads((folder / name / "result.json").read_text("utf-8"))
        assert written == json.loads(json.dumps(result))
        assert (folder / name / "figure.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / name / "figure.svg").read_text("utf-8")


def test_a_panel_names_as_many_kinds_as_its_curves_have(results):
    for result in results.values():
        for panel in result["panels"]:
            for curve in result["curves"]:
                if panel["ticks"] and curve["panel"] == panel["name"]:
                    assert curve["x"] == [float(index + 1) for index in range(len(panel["ticks"]))]


def test_what_was_asked_is_not_asked_again(results, folder):
    said = []
    for name in ("S1", "S7"):
        again = conduct(EXPERIMENTS[name], PlantedBench(SMALL, folder / "asked", said.append), folder / "again", "x")
        assert again["parts"] == results[name]["parts"]
        # The time that it took is told, not the time of looking it up.
        assert again["seconds"] > 0.5 * results[name]["seconds"]
    assert said == []


def test_an_evaluation_that_was_stopped_is_asked_again(results, folder, tmp_path):
    bench = PlantedBench(SMALL, tmp_path)
    first = bench.questions("none")
    (kept,) = tmp_path.glob("*/seconds.txt")
    kept.unlink()
    (kept.parent / "records.csv").write_text("half a ta")
    pd.testing.assert_frame_equal(bench.questions("none").drop(columns=[*TIMES]), first.drop(columns=[*TIMES]))


def test_the_gain_is_the_plain_difference(results, folder):
    """S1 from the records by hand: share of right answers after and before, and against the controls."""
    (file,) = [path for path in (folder / "asked").glob("*/records.csv") if "vote" in set(pd.read_csv(path)["arm"])]
    records = pd.read_csv(file)
    right = records.assign(correct=records["correct"].fillna(value=False).astype(bool))
    share = right.groupby(["arm", "round"])["correct"].mean()
    assert number(results["S1"], "gain") == pytest.approx(share["self", 1] - share["self", 0])
    assert number(results["S1"], "beyond") == pytest.approx(share["self", 1] - share["none", 1])
    spent = (records["tokens_in"] + records["tokens_out"]).groupby([records["arm"], records["round"]]).sum()
    paid = int((spent["vote"].cumsum() <= spent["self"].sum()).sum()) - 1
    assert number(results["S1"], "beyond a vote") == pytest.approx(share["self", 1] - share["vote", paid])
    assert f"majority of {paid + 1} answers" in " ".join(results["S1"]["notes"])


def test_flipping_every_verdict_of_the_truth_hurts(results):
    assert number(results["S3"], "slope") < -0.2


def test_a_self_check_sees_through_the_triggers(results):
    assert number(results["S7"], "fewer attacks") < -0.3
    assert number(results["S7"], "fewer attacks") <= number(results["S7"], "than shown refusals")


def test_a_cache_saves_what_it_holds(results):
    curves = {curve["label"]: curve["value"] for curve in results["S8"]["curves"]}
    assert all(np.array(curves["with a prefix cache"]) < np.array(curves["without"]))
    assert 0 < number(results["S8"], "added") < number(results["S8"], "saved") < 1


def test_a_look_is_a_critique_and_the_answer_after_it(results, folder):
    """By hand: a row of records is an answer and the critique of it, and a bare answer is the price of a first one."""
    tables = [pd.read_csv(path) for path in (folder / "asked").glob("planted-*/records.csv")]
    (records,) = [table for table in tables if "diverse" in set(table["variant"])]
    answers, looks = [], []
    for _, rows in records.sort_values("round").groupby("sample"):
        asked = [row for _, row in rows.iterrows()]
        assert [row["round"] for row in asked] == [0, 1, 2, 3]
        answers.append(asked[0]["tokens_in"] + asked[0]["tokens_out"] - asked[0]["tokens_critique"])
        for before, after in itertools.pairwise(asked):
            critique = before["tokens_critique"] - before["tokens_critique_cached"]
            whole = after["tokens_in"] - after["tokens_cached"] + after["tokens_out"]
            looks.append(critique + whole - (after["tokens_critique"] - after["tokens_critique_cached"]))
    assert number(results["S8"], "added") == pytest.approx(np.mean(looks) / np.mean(answers))


def test_a_category_without_a_readable_verdict_is_left_out_of_the_correlation(tmp_path):
    class Unread(PlantedBench):
        def questions(self, *critics, **study):
            records = super().questions(*critics, **study)
            first = records["group"] == records["group"].iloc[0]
            return records.assign(verdict=records["verdict"].where(~first | records["verdict"].isna(), "unclear"))

    bench = Unread(SMALL, tmp_path / "asked")
    result = conduct(EXPERIMENTS["S2"], bench, tmp_path / "S2", "study")
    assert "Categories left out, since no verdict there could be read: 1." in " ".join(result["notes"])
    groups = bench.questions("self")["group"].nunique()
    assert [part["n"] for part in result["parts"]] == [groups - 1] * 2
    json.dumps(result, allow_nan=False)


def test_a_part_that_no_place_may_leave_out_has_a_number():
    parts = (Part("a", "one", above=0.0), Part("b", "other", above=0.0, optional=True))
    numbers = {"a": ClaimEstimate(1.0, 0.5, 1.5, 3)}
    assert judged(parts, numbers)["outcome"] == "supported"
    with pytest.raises(KeyError, match="a"):
        judged(parts, {"b": numbers["a"]})


def test_fishers_interval_is_scipys():
    x, y = np.random.default_rng(0).normal(size=(2, 11))
    correlation = scipy.stats.pearsonr(x, x + y)
    found, interval = _fisher(correlation.statistic, 11), correlation.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


@pytest.mark.parametrize("r", [1.0, -1.0, 1.0000000000000002])
def test_on_a_line_fishers_interval_says_nothing(r):
    """Scipy's has no width there, as if a few categories told everything."""
    assert (_fisher(r, 4).low, _fisher(r, 4).high) == (-1, 1)
    assert math.isnan(_fisher(math.nan, 4).low)


@pytest.mark.parametrize(("study", "asks"), [("R1", "word problems"), ("R2", "GSM8K"), ("R3", "HumanEval")])
def test_what_a_planted_subject_is_not_asked_is_named(study, asks):
    assert asks in secondlook("study", "run", study).error


def test_a_change_takes_the_samples_both_arms_have():
    rows = [
        {
            "arm": arm,
            "sample": f"s{index}",
            "template": f"s{index}",
            "round": round_,
            "correct": (index + round_) % 3 > 0,
        }
        for arm, samples in (("a", range(9)), ("b", range(3, 12)))
        for index in samples
        for round_ in (0, 1)
    ]
    arms = arms_of(pd.DataFrame(rows))
    found = change(arms["a"], arms["b"], first=0)
    by_hand = np.mean([((i + 1) % 3 > 0) - (i % 3 > 0) for i in range(3, 9)])
    assert (found.value, found.n) == (pytest.approx(by_hand), 6)


def test_nothing_is_concluded_from_nothing():
    nothing = estimate(None)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.n) == (-math.inf, math.inf, 0)
    for experiment in EXPERIMENTS.values():
        for part in experiment.parts:
            assert part.judge(nothing) in ("not estimated", "undecided")
            assert part.judge(ClaimEstimate(0.0, -1e9, 1e9, 3)) == "undecided"


def test_names():
    assert [experiment.id for experiment in find(["all"], EXPERIMENTS, "study")] == list(EXPERIMENTS)
    assert [experiment.id for experiment in find(["s3"], EXPERIMENTS, "study")] == ["S3"]
    with pytest.raises(ValueError, match="'S9' is unknown; known: S1, S2"):
        find(["S9"], EXPERIMENTS, "study")


def test_the_command_says_what_it_found_and_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = secondlook("study", "run", "S8", "--profile", "demo", "--out", "runs")
    assert done.code == 0, done.err
    assert "refuted at profile demo" in done.out
    assert (tmp_path / "runs/demo/S8/result.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("S8", "--profile", "huge"), "profile 'huge' is unknown; known: demo, quick"),
        (("all", "--profile", "huge"), "profile 'huge' is unknown; known: demo, quick"),
        (("all", "--model", "smolm2"), "smolm2"),
        (("all", "--model", "smolm2", "--dry-run"), "smolm2"),
        (("S1", "--per-category", "20"), "--per-category needs --model"),
        (("S1", "--base-url", "http://127.0.0.1:9/v1"), "--base-url needs --model"),
        (("S1", "--dry-run"), "--dry-run needs --model"),
        (("S1", "--model", "x/y", "--profile", "demo"), "with --model, --profile has no effect"),
    ],
)
def test_what_can_be_told_before_anybody_is_asked_ends_every_study(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in secondlook("study", "run", *words).error
    assert not [*tmp_path.iterdir()]


def test_of_several_studies_those_that_cannot_be_run_are_told_and_counted(tmp_path, monkeypatch):
    """Their data are not here: the next is tried, and the exit code says that not all was done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDLOOK_DATA", str(tmp_path / "nowhere"))
    done = secondlook("study", "run", "S1", "S7", "R2", "--model", "openai/some", "--dry-run")
    assert done.code == 1
    said = " ".join(done.err.split())
    for study in ("S1", "S7", "R2"):
        assert f"{study} is not run: " in said
    assert "Age.jsonl is not there: run `secondlook data get bbq`" in said
    assert "xstest_prompts.csv is not there: put it there as its authors" in said
    assert "Errno" not in said
