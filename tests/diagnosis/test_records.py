"""Records as a table: nothing is lost, nothing is double, nothing is unknown."""

import pandas as pd
import pytest

from secondlook.diagnosis.records import COLUMNS, Record, to_frame

PLAIN = {"run": "planted", "arm": "self", "critic": "self", "variant": "self", "noise_p": 0.0, "sample": "Zor/0"}
PLAIN |= {"template": "Zor/1", "group": "Zor", "context": "ambig", "round": 0, "answer": "A", "correct": True}
PLAIN |= {"status": "ok", "verdict": "right", "tokens_in": 20, "tokens_out": 3, "tokens_cached": 0, "seconds": 0.5}
PLAIN |= {"model": "m", "revision": None, "prompt": "bbq/binary-cot@0", "chat_template": None, "decoding": "{}"}


def record(**changes):
    return Record(**PLAIN | changes)


def test_rows_are_sorted_and_nothing_is_lost():
    records = [
        record(sample="b", round=1),
        record(sample="b", round=0, correct=False, verdict="wrong"),
        record(sample="a", arm="none", round=0, verdict=None),
        record(sample="a", round=0, correct=None, status="unparsed", answer="hm", verdict="unclear"),
    ]
    table = to_frame(iter(records))
    assert tuple(table.columns) == COLUMNS
    keys = list(zip(table["arm"], table["sample"], table["round"], strict=True))
    assert keys == [("none", "a", 0), ("self", "a", 0), ("self", "b", 0), ("self", "b", 1)]
    assert table["correct"].tolist() == [True, pd.NA, False, True]
    assert table["verdict"].isna().tolist() == [True, False, False, False]
    for values in ([True, False], [None, None], []):
        alike = to_frame(record(sample=str(index), correct=value) for index, value in enumerate(values))
        assert (str(alike["correct"].dtype), alike["correct"].isna().sum()) == ("boolean", values.count(None))


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{}, {"answer": "B"}], r"two rows for .*'sample': 'Zor/0', 'round': 0"),
        ([{"status": "fine"}], "unknown status 'fine'; known: ok, "),
        ([{"verdict": "biased"}], "unknown verdict 'biased'; known: wrong, "),
    ],
)
def test_what_is_double_or_unknown_is_an_error(records, said):
    with pytest.raises(ValueError, match=said):
        to_frame(record(**changes) for changes in records)
    assert len(to_frame([record(), record(run="other"), record(arm="none"), record(round=1)])) == 4
