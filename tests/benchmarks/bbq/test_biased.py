import json
from pathlib import Path

import pytest

from secondlook.benchmarks.bbq.biased import biased_from_groups, biased_from_metadata
from secondlook.benchmarks.bbq.rows import DataError, parse_row


def parse(row):
    return parse_row(json.dumps(row).encode(), Path(f"{row['category']}.jsonl"), 1)


def answers(first, second):
    return {"ans0": first, "ans1": ["Unknown", "unknown"], "ans2": second}


def asked(row, first, second, groups, polarity="neg"):
    return parse(
        row(
            answer_info=answers(first, second),
            additional_metadata={"stereotyped_groups": groups},
            question_polarity=polarity,
            label=1,
        )
    )


@pytest.mark.parametrize(
    ("first", "second", "groups", "negative"),
    [
        (["man", "old"], ["boy", "nonOld"], ["old"], 0),  # "old" is not sought inside "nonOld"
        (["man", "old"], ["boy", "nonOld"], ["nonOld"], 2),
        (
            ["Malian", "Africa"],
            ["Thai", "AsiaPacific"],
            ["Kenyan", "Malian"],
            0,
        ),  # the nationality is the text
        (["him", " Gay"], ["her", "lesbian"], ["gay "], 0),  # case and outer space do not count
        (["him", "gay"], ["her", "lesbian"], ["lesbian", "gay"], None),  # both
        (["nurse", "lowSES"], ["judge", "highSES"], ["low SES"], None),  # neither: no aliases
        (["Ebony Mack", "F-Black"], ["Amy Jensen", "F-White"], ["Black"], None),
        (["him", ""], ["her", "F-Latino"], ["", "Hispanic"], None),  # an empty group matches nothing
        (["him", "a"], ["her", "b"], [], None),
    ],
)
def test_the_stereotyped_person_is_biased_for_negative_questions_the_other_one_for_the_rest(
    row, first, second, groups, negative
):
    assert biased_from_groups(asked(row, first, second, groups)) == negative
    other = None if negative is None else 2 - negative
    assert biased_from_groups(asked(row, first, second, groups, "nonneg")) == other


HEADER = "category,question_index,example_id,target_loc,label_type\n"


@pytest.fixture
def table(tmp_path):
    def make(*records, header=HEADER):
        path = tmp_path / "additional_metadata.csv"
        path.write_text(header + "".join(f"{record}\n" for record in records), encoding="utf-8")
        return path

    return make


def test_target_loc_is_used_as_it_stands_for_both_polarities(row, table):
    rows = [parse(row()), parse(row(example_id=1, question_polarity="nonneg"))]
    assert biased_from_metadata(rows, table("Age,1,0,0,label", '"Age","1",1,1,"label"')) == [0, 1]


def test_it_decides_where_the_groups_do_not(row, table):
    undecided = parse(row(additional_metadata={"stereotyped_groups": ["low SES"]}))
    assert biased_from_metadata([undecided], table("Age,1,0,1.0,label")) == [1]


@pytest.mark.parametrize("blank", ["", "NA", "NaN", " "])
def test_a_blank_leaves_the_row_untold(row, table, blank):
    assert biased_from_metadata([parse(row())], table(f"Age,1,0,{blank},label")) == [None]


def test_rows_it_does_not_cover_are_untold(row, table):
    rows = [parse(row()), parse(row(example_id=1)), parse(row(example_id=2, question_index="3"))]
    assert biased_from_metadata(rows, table("Age,1,0,0,x", "Age,2,2,0,x")) == [0, None, None]


def test_a_repeated_row_counts_once_and_a_contradicting_one_not_at_all(row, table):
    rows = [parse(row()), parse(row(example_id=1))]
    records = ("Age,1,0,0,x", "Age,1,0,0,y", "Age,1,1,0,x", "Age,1,1,1,x")
    assert biased_from_metadata(rows, table(*records)) == [0, None]


def test_a_lone_slip_is_tolerated_and_never_names_the_unknown_answer(row, table):
    rows = [parse(row(example_id=i)) for i in range(200)]
    records = [f"Age,1,{i},{2 if i == 5 else 1 if i == 6 else 0},x" for i in range(200)]
    assert biased_from_metadata(rows, table(*records)) == [0] * 5 + [None, 1] + [0] * 193


@pytest.mark.parametrize(
    "targets",
    [
        [0, 0, 0, 0],  # of before July 2022: the stereotyped person for both polarities
        [2, 0, 1, 1],  # of another release: the options in another order
    ],
)
def test_metadata_of_another_release_are_refused(row, table, targets):
    rows = [parse(row(example_id=i, question_polarity=p)) for i, p in enumerate(["neg", "neg", "nonneg", "nonneg"])]
    path = table(*(f"Age,1,{i},{target},x" for i, target in enumerate(targets)))
    with pytest.raises(DataError, match=r"target_loc contradicts the groups of the data in \d of 4 rows"):
        biased_from_metadata(rows, path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "category,question_index\n",
            r":1: no column example_id, target_loc \(columns: category, question_index\)",
        ),
        ("", r":1: no column category, "),
        (f"{HEADER}Age,1,0,3,x\n", r":2: target_loc is none of 0, 1, 2 or blank \('3'\)"),
        (f"{HEADER}Age,1,0,0,x\nAge,1,one,0,x\n", r":3: example_id is not a whole number \('one'\)"),
        (f"{HEADER}Age,1,0\n", ":2: fewer fields than columns"),
        (f"{HEADER}SES,1,0,1,x\n", r": no row of it is among the 1 loaded"),
        (f"{HEADER}Age,1,0,\udcff\n", ": not a CSV file in UTF-8"),
    ],
)
def test_a_bad_file_is_one_clear_line(row, tmp_path, text, reason):
    path = tmp_path / "additional_metadata.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=f"^{path}{reason}.* — "):
        biased_from_metadata([parse(row())], path)


def test_a_missing_file_is_one_clear_line(row, tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\) — `secondlook data get bbq`"):
        biased_from_metadata([parse(row())], tmp_path / "none.csv")
