import json
import pickle
from pathlib import Path

import pytest

from secondlook.benchmarks.bbq.rows import DataError, parse_row

AGE = Path("data/Age.jsonl")


def parse(row):
    return parse_row(json.dumps(row).encode(), AGE, 7)


def test_a_valid_row_says_who_is_a_person_and_who_is_not(row):
    parsed = parse(row())
    assert parsed.unknowns == [2]
    assert parsed.persons == [0, 1]
    assert parsed.info[1] == ("grandson", "nonOld")


def test_a_windows_line_end_is_no_fault(row):
    assert parse_row(json.dumps(row()).encode() + b"\r", AGE, 7).label == 2


ANSWERS = {"ans0": ["a", "old"], "ans1": ["b", "nonOld"], "ans2": ["c", "unknown"]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"example_id": "0"}, "example_id should be a valid integer ('0')"),
        ({"example_id": -1}, "example_id should be greater than or equal to 0 (-1)"),
        ({"question_index": 1}, "question_index should be a valid string (1)"),
        ({"question_polarity": "pos"}, "question_polarity should be 'neg' or 'nonneg' ('pos')"),
        ({"context_condition": "clear"}, "context_condition should be 'ambig' or 'disambig' ('clear')"),
        ({"label": 3}, "label should be less than or equal to 2 (3)"),
        ({"label": True}, "label should be a valid integer (True)"),
        ({"context": ""}, "context"),
        ({"ans1": None}, "ans1 should be a valid string (None)"),
        ({"ans3": "x"}, "unknown key (ans3; known: example_id, "),
        ({"additional_metadata": {"version": "a"}}, "missing key (additional_metadata.stereotyped_groups)"),
        ({"answer_info": ANSWERS | {"ans0": ["a"]}}, "missing key (answer_info.ans0.1)"),
        ({"answer_info": ANSWERS | {"ans0": ["a", "b", "c" * 99]}}, "answer_info.ans0 "),
        ({"category": "SES"}, "category is not that of the file ('SES' in Age.jsonl)"),
        (
            {"answer_info": ANSWERS | {"ans2": ["c", "old"]}},
            "not exactly one answer's group is 'unknown' ('old', ",
        ),
        (
            {"answer_info": ANSWERS | {"ans1": ["c", "Unknown"]}},
            "not exactly one answer's group is 'unknown'",
        ),
        ({"label": 0}, "label of an ambiguous row is not its unknown answer (0, unknown is 2)"),
        ({"context_condition": "disambig"}, "label of a disambiguated row is its unknown answer (2)"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_reason(row, changes, reason):
    with pytest.raises(DataError) as error:
        parse(row(**changes))
    message = str(error.value)
    assert message.startswith(f"data/Age.jsonl:7: {reason}")
    assert message.endswith("`secondlook data get bbq`")
    assert "\n" not in message
    assert len(message) < 400
    assert (error.value.path, error.value.line) == (AGE, 7)


def test_a_missing_key_is_named(row):
    incomplete = row()
    del incomplete["question"]
    with pytest.raises(DataError, match=r"Age\.jsonl:7: missing key \(question\) — correct the line"):
        parse(incomplete)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty line — delete it"),
        (b"  \r", "empty line — delete it"),
        (b'{"example_id": 0', "not JSON \\(EOF while parsing"),
        (b"\xff\xfe", "not JSON \\("),
        (b"[1]", "the line should be an object \\(\\[1\\]\\)"),
    ],
)
def test_a_line_that_is_no_row(line, reason):
    with pytest.raises(DataError, match=f"^data/Age.jsonl:3: {reason}"):
        parse_row(line, AGE, 3)


def test_the_error_survives_pickling():
    error = DataError(AGE, None, "no such folder")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "data/Age.jsonl: no such folder"
    assert isinstance(error, ValueError)
