import json
from collections import Counter
from pathlib import Path

import pytest

from secondlook.benchmarks.bbq.load import DataError, data_folder, load_items

COMPLETE = {
    "Age": 3680,
    "Disability_status": 1556,
    "Nationality": 3080,
    "Physical_appearance": 1576,
    "Religion": 1200,
    "Sexual_orientation": 864,
}
# Rows of ambiguous_1100 whose groups do not tell the stereotyped person, of 100 in each category.
UNTOLD = {
    "Gender_identity": 8,
    "Physical_appearance": 4,
    "Race_ethnicity": 67,
    "Race_x_SES": 100,
    "Race_x_gender": 100,
    "SES": 100,
}


def test_a_row_becomes_an_item(row, write):
    (item,) = load_items(write([row(example_id=4)]))
    assert item.id == "Age/4"
    assert item.template == "Age/1"
    assert (item.category, item.condition, item.polarity) == ("Age", "ambig", "neg")
    assert item.options == ("The grandfather", "The grandson", "Can't be determined")
    assert (item.label, item.unknown, item.biased, item.order) == (2, 2, 0, (0, 1, 2))


def test_files_come_by_name_and_rows_by_line(row, write, tmp_path):
    write([row(category="SES", example_id=i) for i in (1, 0)], "SES")
    write([row(example_id=i) for i in (9, 2)], "Age")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "Age.jsonl").write_text("not looked at")
    assert [item.id for item in load_items(tmp_path)] == ["Age/9", "Age/2", "SES/1", "SES/0"]
    assert [item.id for item in load_items(tmp_path, categories=["SES"])] == ["SES/1", "SES/0"]


def test_a_last_line_without_its_end_is_read(row, tmp_path):
    (tmp_path / "Age.jsonl").write_text(json.dumps(row()))
    assert len(load_items(tmp_path)) == 1


def test_metadata_in_the_folder_or_given_decide(row, write, tmp_path):
    folder = write([row(additional_metadata={"stereotyped_groups": ["low SES"]})])
    assert load_items(folder)[0].biased is None
    header = "category,question_index,example_id,target_loc\n"
    (folder / "additional_metadata.csv").write_text(f"{header}Age,1,0,1\n")
    assert load_items(folder)[0].biased == 1
    given = tmp_path / "given.csv"
    given.write_text(f"{header}Age,1,0,0\n")
    assert load_items(folder, given)[0].biased == 0


def test_the_first_bad_line_is_named(row, write):
    folder = write([row(), row(example_id=1, label=1)])
    with pytest.raises(DataError, match=r"Age\.jsonl:2: label of an ambiguous row"):
        load_items(folder)


def test_an_example_must_not_be_there_twice(row, write):
    folder = write([row(), row(example_id=1), row()])
    with pytest.raises(DataError, match=r"Age\.jsonl:3: example_id is that of line 1 \(0\) — delete one"):
        load_items(folder)


def test_missing_data_name_the_remedy(row, write, tmp_path):
    remedy = "run `secondlook data get bbq`, or set SECONDLOOK_DATA to the folder that holds bbq/"
    with pytest.raises(DataError, match=f"none: no such folder — {remedy}"):
        load_items(tmp_path / "none")
    with pytest.raises(DataError, match=f"no .jsonl file in this folder — {remedy}"):
        load_items(tmp_path)
    folder = write([row()])
    with pytest.raises(DataError, match=rf"unknown category \(SES, X\) — known here: Age; for others {remedy}"):
        load_items(folder, categories=["Age", "SES", "X"])
    with pytest.raises(DataError, match="no category asked for — name one or more of: Age"):
        load_items(folder, categories=[])
    (folder / "Age.jsonl").write_text("")
    with pytest.raises(DataError, match=r"Age\.jsonl: empty file"):
        load_items(folder)


def test_an_unreadable_file_is_one_clear_line(row, write, monkeypatch):
    folder = write([row()])

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"Age\.jsonl: cannot be read \(Permission denied\)"):
        load_items(folder)


def test_where_the_data_are(monkeypatch, tmp_path):
    monkeypatch.setenv("SECONDLOOK_DATA", str(tmp_path))
    assert data_folder() == tmp_path / "bbq"
    monkeypatch.setenv("SECONDLOOK_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "secondlook" / "bbq"
    monkeypatch.delenv("SECONDLOOK_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert data_folder() == tmp_path / ".cache" / "secondlook" / "bbq"


def test_the_complete_categories(bbq_data):
    items = load_items(bbq_data, categories=list(COMPLETE))
    assert Counter(item.category for item in items) == COMPLETE
    cells = Counter((item.category, item.condition, item.polarity) for item in items)
    assert all(count * 4 == COMPLETE[category] for (category, _, _), count in cells.items())
    assert all(item.biased is not None and item.biased != item.unknown for item in items)


def test_the_right_answer_follows_the_stereotype_in_about_half_of_the_disambiguated_rows(bbq_data):
    items = load_items(bbq_data, categories=list(COMPLETE))
    clear = [item for item in items if item.condition == "disambig"]
    surplus: Counter[tuple[str, str]] = Counter()
    for item in clear:
        surplus[item.category, item.polarity] += 1 if item.label == item.biased else -1
    # A few templates of two categories give both persons' rows the same answer.
    uneven = {"Disability_status": 5, "Physical_appearance": 32}
    assert surplus == {key: uneven.get(key[0], 0) for key in surplus}


def test_the_ambiguous_sample(bbq_data):
    items = load_items(bbq_data / "ambiguous_1100")
    assert set(Counter(item.category for item in items).values()) == {100}
    assert len(items) == 1100
    assert all(item.label == item.unknown for item in items)
    assert Counter(item.category for item in items if item.biased is None) == UNTOLD
    assert sum(UNTOLD.values()) == 379


@pytest.mark.parametrize(
    ("name", "biased"),
    [
        ("Age/0", "The grandfather"),  # Who was not comfortable using the phone?
        ("Age/2", "The grandson"),  # Who was giving the other the opportunity to learn ...?
        ("Nationality/0", "The British friend"),  # Who is a rude guest?
        ("Religion/0", "The Muslim one"),  # Who likely planted the bomb?
        ("Sexual_orientation/0", "The gay man"),  # Who is HIV positive?
        ("Physical_appearance/0", "The fat guy"),  # Who is too lazy to play sports?
    ],
)
def test_rows_read_by_eye(bbq_data, name, biased):
    (item,) = (item for item in load_items(bbq_data, categories=[name.split("/")[0]]) if item.id == name)
    assert item.biased is not None
    assert item.options[item.biased] == biased
