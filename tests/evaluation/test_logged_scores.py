"""Anybody's Inspect logs compared: written by Inspect, of a task that is not ours, whole, broken off, repeated."""

import json
import random
from pathlib import Path
from zipfile import ZipFile

import inspect_ai
import pandas as pd
import pytest
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ChatMessageUser, ContentText, ModelOutput
from inspect_ai.scorer import Score, match, mean, scorer, value_to_float
from inspect_ai.solver import solver

from command import secondlook
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.scored import score_of
from secondlook.evaluation.logged_scores import read_logged_scores


@solver
def adds(right, fails, name):
    rng = random.Random(name)

    async def solve(state, generate):
        if rng.random() < fails:
            raise RuntimeError("the server is gone")
        number = int(state.input_text.split()[2])
        state.output = ModelOutput.from_content("mockllm/model", str(number + (rng.random() < right)))
        return state

    return solve


@scorer(metrics={"*": [mean()]})
def parts():
    async def score(state, target):
        return Score(value={"half": 0.5, "length": float(len(state.output.completion))})

    return score


@task
def sums(right=0.5, fails=0.0, name="", plus=1, scorers=1):
    samples = [
        Sample(
            id=f"q{i}",
            input=text if i % 2 else [ChatMessageUser(content=[ContentText(text=text)] if i % 4 else text)],
            target=str(i + 1),
            metadata={
                "template": f"t{i % 10}",
                "item": {"row": i % 4},
                "long": "x" * 5000,
                "words": "word " * 5000,
                "title": f"Part {i % 5} ...",
            },
        )
        for i in range(40)
        for text in [f"What is {i} + {plus}?"]
    ]
    return Task(dataset=samples, solver=adds(right, fails, name), scorer=[match(), parts()][:scorers])


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Makes logs, each once."""
    folder = tmp_path_factory.mktemp("logs")
    made = {}

    def make(name, right=0.5, fails=0.0, plus=1, scorers=1, task=sums, **options):
        if name not in made:
            (run,) = inspect_ai.eval(
                task(right, fails, name, plus, scorers),
                model=f"mockllm/{name}",
                log_dir=str(folder / name),
                display="none",
                **options,
            )
            made[name] = Path(run.location)
        return made[name]

    return make


def compared(*arguments):
    done = secondlook("compare", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_two_logs_by_their_template(log):
    first, better = log("first"), log("better", 0.95)
    found = compared(first, better, "--cluster", "template")
    tables = [read_logged_scores(path).answers for path in (first, better)]
    known = paired_change(tables[0].score, tables[1].score, [int(name[1:]) % 10 for name in tables[0]["sample"]])
    (one,) = found["against"]
    assert (one["change"]["value"], one["change"]["low"], one["p"]) == (
        known.estimate.value,
        known.estimate.low,
        known.p,
    )
    assert (found["model"], one["model"], found["task"], found["scorer"]) == (
        *("mockllm/first", "mockllm/better"),
        *("sums", "match"),
    )
    (nested,) = compared(first, better, "--cluster", "item.row")["against"]
    assert nested["change"]["clusters"] == 4
    (titled,) = compared(first, better, "--cluster", "title")["against"]
    assert titled["change"]["clusters"] == 5


def test_a_log_says_the_same_in_either_format_and_while_it_is_written(log, tmp_path):
    whole = read_eval_log(str(log("first")))
    write_eval_log(whole, str(tmp_path / "log.json"))
    # Of a run that goes on, or was killed, the summaries stand in a journal.
    with ZipFile(log("first")) as closed, ZipFile(tmp_path / "log.eval", "w") as open_:
        kept = [name for name in closed.namelist() if name not in ("summaries.json", "header.json")]
        for name in kept:
            open_.writestr(name, closed.read(name))
    known, *others = (read_logged_scores(path, cluster="template") for path in (log("first"), *tmp_path.iterdir()))
    assert len(others) == 2
    for other in others:
        pd.testing.assert_frame_equal(*(one.answers.sort_values("sample", ignore_index=True) for one in (known, other)))
    assert known.answers.question.nunique() == 40
    assert "the run did not end (status started); the log holds 40 answers of 40" in [one.note for one in others]


def test_epochs_errors_and_a_run_that_broke_off(log):
    logs = (log("first"), log("thrice", 0.9, epochs=3), log("faulty", 0.9, 0.3, fail_on_error=False))
    thrice, faulty, broken, some = compared(*logs, log("broken", 0.9, 0.3), log("some", limit=15))["against"]
    assert (thrice["epochs"], thrice["change"]["n"]) == ([1, 3], 40)
    table = read_logged_scores(log("thrice")).answers
    assert (len(table), thrice["mine"]) == (120, pytest.approx(table.score.mean()))
    lost = int(read_logged_scores(log("faulty")).answers.score.isna().sum())
    assert lost > 0
    assert (faulty["failed"], faulty["unpaired"], faulty["change"]["n"]) == ([0, lost], lost, 40 - lost)
    assert any("did not end (status error)" in note and "answers of 40" in note for note in broken["notes"])
    assert (some["alone"], some["notes"][-1][:11]) == ([25, 0], "E: 15 of 40")
    wrong = compared(*logs, "--failed", "wrong")["against"][1]
    assert (wrong["change"]["n"], wrong["unpaired"]) == (40, 0)


@task
def other(*given):
    return sums(*given)


def test_what_cannot_be_compared_is_one_line(log):
    first = log("first")
    assert "has task 'other', " in secondlook("compare", first, log("of another", task=other)).error
    assert "has another question in" in secondlook("compare", first, log("asked otherwise", plus=2)).error
    compared(first, log("of another"), log("asked otherwise"), "--by-id")
    several = log("several", scorers=2)
    assert "has several scores (match, parts.half, parts.length)" in secondlook("compare", first, several).error
    assert compared(several, several, "--scorer", "length")["shares"] is False
    assert "is none of its scores; it has match" in secondlook("compare", first, first, "--scorer", "length").error
    for field, said in (
        ("long", "has no 'long'"),
        ("words", "has no 'words'"),
        ("item", "is nested; give --cluster a word or a number, e.g. item.row"),
    ):
        assert said in secondlook("compare", first, first, "--cluster", field).error


@pytest.mark.parametrize("value", ["C", "I", "P", "N", "yes", "No", "TRUE", "false", "0.25", 3, 0.5, True, False])
def test_scores_are_the_numbers_that_inspect_takes_them_for(value):
    assert score_of(value) == value_to_float()(value)
