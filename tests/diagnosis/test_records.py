import pandas as pd
import pytest

from secondlook.diagnosis.records import COLUMNS, Record, to_frame


def record(**changes):
    valid = {
        "run": "planted",
        "arm": "self",
        "critic": "self",
        "variant": "self",
        "noise_p": 0.0,
        "sample": "Zor/0",
        "template": "Zor/1",
        "group": "Zor",
        "context": "ambig",
        "round": 0,
        "answer": "A",
        "correct": True,
        "status": "ok",
        "verdict": "right",
        "tokens_in": 20,
        "tokens_out": 3,
        "tokens_cached": 0,
        "seconds": 0.5,
        "model": "secondlook/planted",
        "revision": None,
        "prompt": "bbq/binary-cot@0",
        "chat_template": None,
        "decoding": "{}",
    }
    return Record(**valid | changes)


def test_rows_are_sorted_and_nothing_is_lost():
    records = [
        record(sample="b", round=1),
        record(sample="b", round=0, correct=False, verdict="wrong"),
        record(sample="a", arm="none", round=0, verdict=None),
        record(sample="a", round=0, correct=None, status="unparsed", answer="hm", verdict="unclear"),
    ]
    table = to_frame(iter(records))
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["arm"], table["sample"], table["round"], strict=True)) == [
        ("none", "a", 0),
        ("self", "a", 0),
        ("self", "b", 0),
        ("self", "b", 1),
    ]
    assert table["correct"].tolist() == [True, pd.NA, False, True]
    assert table["verdict"].isna().tolist() == [True, False, False, False]


def test_correct_stays_a_nullable_boolean_whatever_is_in_it():
    for values in ([True, False], [None, None], [True, None], []):
        table = to_frame(record(sample=str(index), correct=value) for index, value in enumerate(values))
        assert str(table["correct"].dtype) == "boolean"
        assert table["correct"].isna().sum() == values.count(None)


def test_a_sample_has_one_row_a_round():
    with pytest.raises(ValueError, match=r"two rows for .*'sample': 'Zor/0', 'round': 0"):
        to_frame([record(), record(answer="B")])
    assert len(to_frame([record(), record(run="other"), record(arm="none"), record(round=1)])) == 4


@pytest.mark.parametrize(("field", "value"), [("status", "fine"), ("verdict", "biased")])
def test_what_is_unknown_is_an_error_that_lists_the_known(field, value):
    with pytest.raises(ValueError, match=f"unknown {field} '{value}'; known: (ok|wrong), "):
        to_frame([record(**{field: value})])
