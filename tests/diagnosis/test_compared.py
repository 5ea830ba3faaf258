"""Logs compared: what is paired, what is left out and said, what is refused; and its test beside known ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from command import secondlook
from secondlook.diagnosis.compared import compare
from secondlook.diagnosis.paired import holm, paired_change
from secondlook.diagnosis.sample_files import read_scored

LM_EVAL = Path(__file__).parent / "org__dummy"
RIGHT = {"first": 0.5, "better": 0.8, "alike": 0.5}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Three models on 120 questions of 12 templates, as tables."""
    folder, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(3)
    for name, rate in RIGHT.items():
        rows = [
            {
                "sample": f"q{i}",
                "template": f"t{i % 12}",
                "correct": bool(rng.random() < rate),
                "model": name,
                "task": "sums",
            }
            for i in range(120)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def changed(tables, tmp_path, name="better", **columns):
    """A table with other values in some columns; a function is given the row's number."""
    frame = pd.read_json(tables / f"{name}.jsonl", lines=True)
    for column, value in columns.items():
        frame[column] = [value(i) for i in range(len(frame))] if callable(value) else value
    frame.to_json(tmp_path / "changed.jsonl", orient="records", lines=True)
    return tmp_path / "changed.jsonl"


def test_each_log_against_the_first_is_the_paired_change_after_holm(tables):
    logs = [read_scored(tables / f"{name}.jsonl", cluster="template") for name in RIGHT]
    found = compare(logs, cluster="template")
    before, *others = (log.answers.score for log in logs)
    clusters = logs[0].answers.cluster
    known = [paired_change(before, after, clusters) for after in others]
    assert [one.change for one in found.against] == [one.estimate for one in known]
    assert [one.p for one in found.against] == [one.p for one in known]
    assert [one.adjusted for one in found.against] == holm([one.p for one in known])
    assert [one.standing for one in found.against] == ["better", "undecided"]
    worse = compare(logs, cluster="template", lower_is_better=True)
    assert [one.standing for one in worse.against] == ["worse", "undecided"]
    assert found.against[0].change.clusters == 12


def test_what_one_log_does_not_have_is_left_out_and_counted(tables, tmp_path):
    file = changed(tables, tmp_path, correct=lambda i: None if i < 10 else i % 2 == 0)
    file.write_text("".join(file.read_text("utf-8").splitlines(keepends=True)[:-30]), encoding="utf-8")
    first = read_scored(tables / "first.jsonl")
    (one,) = compare([first, read_scored(file)]).against
    assert (one.change.n, one.alone, one.failed, one.unpaired) == (80, (30, 0), (0, 10), 10)
    assert one.theirs == first.answers.score[10:90].mean()
    assert "80 of 120 samples are compared" in one.notes[0]
    (wrong,) = compare([first, read_scored(file)], failed_wrong=True).against
    assert (wrong.change.n, wrong.unpaired) == (90, 0)
    assert wrong.mine == one.mine * 80 / 90


def test_epochs_are_repeats_of_their_sample():
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 200)) < np.array([[0.4], [0.6]])
    template = np.arange(200) % 20
    once = paired_change(before, after, template).estimate
    # The same answer again tells nothing new, and four answers of a chance tell more than one.
    again = paired_change(before, after, template, repeats=4).estimate
    assert again.value == once.value
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.15)
    x, y = (rng.binomial(4, np.full(200, rate)) / 4 for rate in (0.4, 0.6))
    four = paired_change(x, y, template, repeats=4).estimate
    assert four.value == pytest.approx(y.mean() - x.mean())
    assert four.high - four.low < 0.75 * (once.high - once.low)


def test_scores_that_are_no_shares_have_the_paired_t_test(tables, tmp_path):
    rng = np.random.default_rng(1)
    scores = rng.normal(5, 2, (2, 120))
    files = []
    for name, values in zip(("a", "b"), scores, strict=True):
        (tmp_path / name).mkdir()
        files.append(changed(tables, tmp_path / name, correct=values.tolist().__getitem__))
    (one,) = compare([read_scored(file, scorer="correct") for file in files]).against
    known = stats.ttest_rel(scores[1], scores[0])
    assert one.p == pytest.approx(known.pvalue)
    assert (one.change.low, one.change.high) == pytest.approx(tuple(known.confidence_interval()))
    assert one.flips is None


@pytest.mark.parametrize(
    ("task", "scorer"),
    [("sums", "acc"), ("sums", "acc_norm"), ("gensums", "strict-match"), ("gensums", "exact_match,flexible-extract")],
)
def test_lm_evals_samples_have_the_scores_of_its_own_results(task, scorer):
    """Written by lm-eval itself, with its dummy model on questions of ours."""
    (file,) = LM_EVAL.glob(f"samples_{task}_*.jsonl")
    log = read_scored(file, scorer, cluster="subject")
    assert (log.model, log.task, log.answers.cluster.nunique()) == ("org/dummy", task, 4)
    results = json.loads((LM_EVAL / "results.json").read_text("utf-8"))["results"][task]
    assert log.answers.score.mean() == pytest.approx(results[log.scorer if "," in log.scorer else f"{scorer},none"])
    with pytest.raises(ValueError, match="has several scores"):
        read_scored(file)


def test_the_exit_codes_are_those_of_the_help(tables, tmp_path):
    first, better, alike = (tables / f"{name}.jsonl" for name in RIGHT)
    by = ("--cluster", "template")
    assert secondlook("compare", better, first, *by).code == 0
    assert secondlook("compare", first, better, *by, "--fail-if", "worse").code == 0
    assert secondlook("compare", better, first, *by, "--fail-if", "worse").code == 1
    assert secondlook("compare", first, better, alike, *by, "--fail-if", "not-better").code == 1
    single = changed(tables, tmp_path, name="first", template="one")
    other = changed(tables, tables, template="one")
    assert secondlook("compare", single, other, *by, "--fail-if", "worse").code == 3


def test_one_screen_and_one_page(tables, tmp_path):
    logs = [tables / f"{name}.jsonl" for name in RIGHT]
    done = secondlook("compare", *logs, "--cluster", "template", "--page", tmp_path / "page.html")
    assert done.code == 0, done.err
    found = json.loads(secondlook("compare", *logs, "--cluster", "template", "--json").out)
    assert "B (better) is better than A (first)." in done.out
    page = (tmp_path / "page.html").read_text("utf-8")
    for one in found["against"]:
        shown = f"{100 * one['change']['value']:+.1f} [{100 * one['change']['low']:+.1f}, "
        assert shown in done.out
        assert shown in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("columns", "arguments", "said"),
    [
        ({"task": "other"}, (), "has task 'other', "),
        ({"sample": lambda i: f"x{i}"}, (), "have no sample in common ('x0' …, 'q0' …)"),
        ({"sample": "q1"}, (), "sample 'q1' stands there twice in epoch 1; keep one"),
        ({"template": lambda i: f"t{i % 7}"}, ("--cluster", "template"), "has another cluster in"),
        (
            {"sample": lambda i: f"q{i // 2}", "epoch": lambda i: 1 + i % 2},
            ("--cluster", "template"),
            "changed.jsonl: sample 'q0' is in several clusters; give --cluster a field that is the sample's own",
        ),
        ({"other": 1}, (), "has several scores (correct, other); choose one, e.g. --scorer correct"),
        ({"correct": "good"}, ("--scorer", "correct"), "sample 'q0' has the correct 'good'; a score is a number"),
        ({}, ("--scorer", "f1"), "--scorer 'f1' is none of its scores; it has correct"),
        (
            {},
            ("--cluster", "topic"),
            "sample 'q0' has no 'topic' for --cluster; its fields: template, correct",
        ),
        ({"correct": None}, ("--scorer", "correct"), "have no sample that both scored; look at their errors"),
        ({"model": lambda i: f"m{i % 2}"}, (), "holds several models (m0, m1); give each a file"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tables, tmp_path, columns, arguments, said):
    file = changed(tables, tmp_path, **columns)
    done = secondlook("compare", tables / "first.jsonl", file, *arguments)
    assert said in done.error


def test_files_that_are_no_logs_are_one_line(tables, tmp_path):
    first = tables / "first.jsonl"
    (tmp_path / "log.eval").write_bytes(b"PK")
    (tmp_path / "words.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    for file, said in (
        (tmp_path, "is a folder; give log files"),
        (tmp_path / "none.eval", "is not there"),
        (tmp_path / "log.eval", "is no log of Inspect's that can be read"),
        (tmp_path / "words.jsonl", "has neither doc_id (lm-eval) nor a sample in a row; that has 'text'"),
    ):
        assert said in secondlook("compare", first, file).error
    assert "is one log; give two or more" in secondlook("compare", first).error
