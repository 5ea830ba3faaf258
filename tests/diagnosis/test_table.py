"""A table in order is read as it stands; one that is not is refused in one line that helps."""

import json

import numpy as np
import pandas as pd
import pytest

from secondlook.diagnosis.columns import RIGHT, UNPARSED, WRONG
from secondlook.diagnosis.reading import read_tables
from secondlook.diagnosis.table import check_table

GOOD = [
    {"sample": "a", "group": "x", "round": 0, "correct": True, "verdict": "wrong", "tokens": 5},
    {"sample": "a", "group": "x", "round": 1, "correct": False, "verdict": None, "tokens": 6},
    {"sample": "b", "group": "y", "round": 0, "correct": None, "verdict": "unclear", "tokens": 7},
    {"sample": "b", "group": "y", "round": 1, "correct": True, "verdict": None, "tokens": 8},
]


def changed(row=0, **values):
    return pd.DataFrame([{**line, **(values if index == row else {})} for index, line in enumerate(GOOD)])


def test_a_minimal_table_is_read_as_it_stands():
    table = check_table(pd.DataFrame(GOOD))
    arm = table.arms["unnamed"]
    assert (table.samples, table.groups, table.contexts) == (["a", "b"], ["x", "y"], [])
    assert (table.model, table.rows) == (None, 4)
    assert arm.state.tolist() == [[RIGHT, WRONG], [UNPARSED, RIGHT]]
    assert arm.verdict.tolist() == [[1, 0], [3, 0]]
    assert arm.tokens.tolist() == [[5, 6], [7, 8]]
    lacking = [sentence.split(" (")[0] for sentence in table.cannot]
    assert lacking == [
        "refused answers and failed calls",
        "the price of a look",
        "dependence within question templates",
    ]


def test_what_is_missing_is_said():
    said = " ".join(check_table(pd.DataFrame(GOOD)[["sample", "round", "correct"]]).cannot)
    assert all(column in said for column in ("status", "template", "group", "tokens", "verdict"))
    assert "tokens are missing in 1 rows" in " ".join(check_table(changed(tokens=None)).cannot)


@pytest.mark.parametrize(
    ("frame", "value", "remedy"),
    [
        (pd.DataFrame(GOOD).drop(columns="correct"), "'correct'", "sample, round and correct"),
        (pd.DataFrame(GOOD[:0], columns=list(GOOD[0])), "no rows", "one row per sample"),
        (pd.DataFrame([*GOOD, GOOD[0]]), "two rows for sample 'a', round 0", "make names unique"),
        (pd.DataFrame(GOOD[1:]), "sample 'a'", "no round 0"),
        (changed(1, round=2), "sample 'a'", "no round 1"),
        (changed(sample=None), "sample is missing in data row 1", "needs one"),
        (changed(2, group=np.nan), "group is missing in data row 3", "needs one"),
        (changed(1, group="y"), "'a' has two values of group", "name of its own"),
        (changed(round=np.nan), "round is nan in data row 1", "whole number"),
        (changed(round=-1), "-1", "0 or more"),
        (changed(round=10**9), "1e+09", "at most 100"),
        (changed(verdict="biased"), "'biased' in data row 1", "wrong, right, unclear"),
        (changed(correct="maybe"), "'maybe' in data row 1", "true, false or missing"),
        (changed(tokens=-3), "-3", "0 or more"),
        (changed(tokens=np.inf), "inf", "number"),
        (pd.DataFrame(GOOD).assign(status="fine"), "'fine'", "ok, unparsed, refused, error"),
        (pd.DataFrame(GOOD).assign(status="ok"), "'ok' in data row 3 and correct is missing", "has it"),
        (pd.DataFrame(GOOD).assign(status="error"), "'error' in data row 1 and correct is given", "has not"),
        (pd.DataFrame(GOOD).assign(bias=0.5), "0.5", "1, -1, 0 or missing"),
        (pd.DataFrame(GOOD).assign(model=["m", "m", "n", "n"]), "m, n", "one at a time"),
        (pd.DataFrame(GOOD).assign(noise_p=[0, 0, 0.5, 0.5]), "(0, 0.5)", "name an arm for each"),
        (pd.DataFrame(GOOD).assign(sample=["1", "1", 1, 1]), "read alike", "as text"),
    ],
)
def test_garbage_is_refused_in_one_line(frame, value, remedy):
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as error:
        check_table(frame)
    assert value in str(error.value)
    assert remedy in str(error.value)


def test_a_failed_call_keeps_the_answer_in_hand_and_its_tokens():
    rows = [{**row, "status": "ok" if row["correct"] is not None else "unparsed"} for row in GOOD]
    rows[1] |= {"correct": None, "status": "error"}
    arm = check_table(pd.DataFrame(rows)).arms["unnamed"]
    assert arm.state.tolist() == [[RIGHT, RIGHT], [UNPARSED, RIGHT]]
    assert arm.answered.tolist() == [[True, False], [True, True]]
    assert arm.failed.tolist() == [[False, True], [False, False]]
    assert arm.tokens.sum() == 26


def test_arms_are_told_apart_and_noise_is_read_from_its_critic():
    critics = {"a": "noisy(0.25, oracle)", "b": "none"}
    both = [pd.DataFrame(GOOD).assign(arm=arm, critic=critic) for arm, critic in critics.items()]
    arms = check_table(pd.concat(both)).arms
    assert [(arm.name, arm.critic, arm.noise) for arm in arms.values()] == [("a", "oracle", 0.25), ("b", "none", None)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_files_give_the_same_table(form, tmp_path):
    frame = pd.DataFrame(GOOD).assign(sample=["007", "007", "7", "7"], other="unused")
    file = tmp_path / f"records.{form}"
    lines = "".join(json.dumps(row) + "\n" for row in frame.to_dict("records"))
    file.write_text(frame.to_csv(index=False) if form == "csv" else lines, encoding="utf-8")
    table = check_table(read_tables([file]))
    assert table.samples == ["007", "7"]
    expected, found = check_table(frame).arms["unnamed"], table.arms["unnamed"]
    for part in ("state", "verdict", "tokens", "group"):
        assert (getattr(found, part) == getattr(expected, part)).all()
    assert len(read_tables([file, file])) == 2 * len(frame)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "no such file"),
        ("table.txt", "a", "'.txt'"),
        ("empty.csv", "", "cannot be read"),
        ("empty.jsonl", "", "no rows"),
        ("torn.jsonl", '{"sample": 1', "cannot be read"),
        ("header.csv", "sample,round,correct\n", "no rows"),
        ("table.parquet", "no parquet", "pyarrow|cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(name, text, said, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said) as error:
        read_tables([tmp_path / name])
    assert name in str(error.value)
    with pytest.raises(ValueError, match=r"no records\.csv"):
        read_tables([tmp_path])
