"""A table in order is read as it stands; one that is not is refused in one line that helps."""

import json

import numpy as np
import pandas as pd
import pytest

from secondlook.diagnosis.columns import RIGHT, UNPARSED, WRONG
from secondlook.diagnosis.diagnose import diagnose
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
    assert "equal cost (tokens are missing in 1 rows)" in " ".join(check_table(changed(tokens=None)).cannot)


def test_tokens_that_are_missing_in_one_arm_are_known_in_the_others():
    told = pd.DataFrame(GOOD).assign(arm="told")
    table = check_table(pd.concat([told, changed(tokens=None).assign(arm="gap"), told.assign(arm="zero", tokens=0)]))
    assert table.arms["told"].tokens.tolist() == [[5, 6], [7, 8]]
    assert table.arms["gap"].tokens is table.arms["zero"].tokens is None
    said = " ".join(table.cannot)
    assert "costs and comparisons at equal cost of gap, zero (tokens are missing in 5 rows)" in said
    assert "the price of a look" in said  # of the arm that has tokens


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
        (pd.DataFrame(GOOD).assign(keep="best"), "'best' in data row 1", "new, preferred, confirmed"),
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


@pytest.mark.parametrize(
    ("columns", "keep"),
    [
        ({}, "new"),
        ({"kept": [True, True, True, True]}, "new"),
        ({"kept": [True, False, True, True]}, "unknown"),
        ({"kept": [True, False, True, True], "keep": "confirmed"}, "confirmed"),
        ({"kept": [True, False, True, True], "keep": ["new", "new", "preferred", "new"]}, "unknown"),
        ({"kept": [True, False, True, True], "keep": None}, "unknown"),
        ({"kept": [True, False, True, True], "critic": "accept-reject"}, "preferred"),
    ],
)
def test_an_arm_says_which_answers_it_kept(columns, keep):
    (arm,) = check_table(pd.DataFrame(GOOD).assign(**columns)).arms.values()
    assert arm.keep == keep


def test_a_refused_call_that_leaves_the_earlier_answer_rejects_none():
    rows = [{**row, "status": "ok" if row["correct"] is not None else "unparsed", "kept": True} for row in GOOD]
    rows[1] |= {"correct": None, "status": "refused", "kept": False}
    assert check_table(pd.DataFrame(rows)).arms["unnamed"].keep == "new"


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


def test_a_run_that_has_not_ended_is_called_so(tmp_path):
    with pytest.raises(ValueError, match="folder has no records"):
        read_tables([tmp_path])
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="its run has not ended; end it with the command that began it"):
        read_tables([tmp_path])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "no such file"),
        ("table.txt", "a", "'.txt'"),
        ("empty.csv", "", "no rows"),
        ("empty.jsonl", "", "no rows"),
        ("torn.jsonl", '{"sample": 1', "not JSON"),
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


BASE = """sample,group,round,correct,verdict,tokens
NA,NA,0,False,wrong,4
NA,NA,1,True,,9
7,b,0,True,,4
7,b,1,True,,8
"""
HEADING, *LINES = BASE.split()
ROWS = [dict(zip(HEADING.split(","), line.split(","), strict=True)) for line in LINES]
TOLD = [
    {**row, "round": int(row["round"]), "correct": row["correct"] == "True", "tokens": int(row["tokens"])}
    | {"verdict": row["verdict"] or None}
    for row in ROWS
]
OBJECTS = "".join(json.dumps(row) + "\n" for row in TOLD)


def lines(heading, row):
    """The table with another heading and other lines, made of the number of each and itself."""
    return "".join([f"{heading(HEADING)}\n", *(f"{row(number, line)}\n" for number, line in enumerate(LINES))])


WAYS = {
    "plain.csv": BASE,
    "bom.csv": "\ufeff" + BASE,
    "crlf.CSV": BASE.replace("\n", "\r\n"),
    "semicolon.csv": BASE.replace(",", ";"),
    "tab.tsv": BASE.replace(",", "\t"),
    "pipe.csv": BASE.replace(",", "|"),
    "spaces.csv": BASE.replace(",", " , "),
    "capitals.csv": lines(str.title, lambda _, line: line.replace("wrong", "Wrong")),
    "index.csv": lines(lambda heading: f",{heading}", lambda number, line: f"{number},{line}"),
    "r.csv": lines(str, lambda number, line: f"{number + 1},{line}"),
    "ends.csv": lines(str, lambda _, line: f"{line},"),
    "empty-lines.csv": BASE + "\n,,,,,\n",
    "breaks.csv": lines(lambda heading: f'"a\nnote",{heading}', lambda number, line: f'{number + 1},"x\ny",{line}'),
    "long.csv": lines(lambda heading: f"{heading},note", lambda _, line: f"{line},{'x' * 200_000}"),
    "lines.jsonl": "\ufeff" + OBJECTS,
    "lines.ndjson": OBJECTS,
    "list.json": json.dumps(TOLD),
    "list.jsonl": json.dumps(TOLD, indent=1),
}


@pytest.mark.parametrize("way", [*WAYS, "utf16.csv", "utf32.csv", "index.parquet"])
def test_a_table_is_read_however_it_is_written(way, tmp_path):
    file = tmp_path / way
    if way == "index.parquet":
        pd.DataFrame(TOLD).set_index(["sample", "round"]).to_parquet(file)
    else:
        code = {"utf16.csv": "utf-16", "utf32.csv": "utf-32"}.get(way, "utf-8")
        file.write_bytes(WAYS.get(way, BASE).encode(code))
    table = check_table(read_tables([file]))
    (arm,) = table.arms.values()
    assert (table.samples, table.groups) == (["7", "NA"], ["NA", "b"])
    assert arm.right.tolist() == [[True, True], [False, True]]
    assert arm.verdict.tolist() == [[0, 0], [1, 0]]
    assert arm.tokens.tolist() == [[4, 8], [4, 9]]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,turn,right\n1,0,True\n", "none of the columns sample, round and correct; it has 'id', 'turn'"),
        ("a.csv", "Sample,SAMPLE,round,correct\n1,1,0,True\n", "columns 'Sample', 'SAMPLE', all for 'sample'"),
        ("a.csv", "sample,sample,round\n1,1,0\n", "two columns 'sample'; rename one"),
        ("a.jsonl", '{"round": 0, " round": 1}\n', "a.jsonl:1: has two columns 'round', alike but for spaces"),
        ("a.csv", "sample,round,correct\n1,0,True\n2,0,True,7\n", "a.csv:3: has 4 cells, the heading 3 .*quote cells"),
        ("a.jsonl", '{"sample": ["a"], "round": 0, "correct": true}\n', r"sample in data row 1 is nested \(a list\)"),
        ("a.jsonl", '{"sample": "a", "round": 0, "correct": true}\n7\n', "a.jsonl:2: is a int"),
        ("a.csv", "sample;round\n\xff".encode("latin-1"), "not UTF-8 .* at byte 13.*; save it as UTF-8"),
        ("a.xlsx", "x", r"ends in '\.xlsx'; give \.jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_was_found_and_what_to_do(name, text, said, tmp_path):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=said) as error:
        read_tables([tmp_path / name])
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_no_tokens_at_all_are_unknown_tokens():
    frame = pd.DataFrame(GOOD).assign(tokens=0)
    table = check_table(frame)
    assert table.arms["unnamed"].tokens is None
    assert any("equal cost" in sentence for sentence in table.cannot)
    free = check_table(frame.assign(arm="always-unknown")).arms["always-unknown"]
    assert not free.tokens.any()
    priced = diagnose(frame, price=2)
    assert priced.recommendation.options == []
    assert any("worth their price" in sentence for sentence in priced.cannot)


def test_noise_in_percent_is_refused_and_a_critic_that_is_not_named_is_the_arm():
    row = {"sample": "a", "round": 0, "correct": True, "arm": "one", "critic": None, "noise_p": 50}
    with pytest.raises(ValueError, match="noise_p is 50 in data row 1; give a probability from 0 to 1"):
        check_table(pd.DataFrame([row]))
    (arm,) = check_table(pd.DataFrame([{**row, "noise_p": 0.5}])).arms.values()
    assert (arm.critic, arm.noise) == ("one", 0.5)


def test_a_critique_that_confirms_the_last_answer_is_paid_for_with_it():
    """An answer of 100, its critique of 200, an answer of 300, a confirming critique of 1000: 1600 for one look."""
    rows = [
        {
            "sample": sample,
            "round": round_,
            "correct": True,
            "verdict": "right",
            "tokens": all_,
            "tokens_critique": part,
        }
        for sample in "ab"
        for round_, all_, part in ((0, 300, 200), (1, 1300, 1000))
    ]
    (arm,) = check_table(pd.DataFrame(rows)).arms.values()
    assert arm.spent.tolist() == [[100, 1600]] * 2
    (alone,) = check_table(pd.DataFrame(rows[::2])).arms.values()  # nobody looked again: the answer is all there is
    assert alone.spent.tolist() == [[100]] * 2
