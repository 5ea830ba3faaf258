"""Files in the published formats, of invented and harmless topics."""

import csv
import json

import pytest

from secondlook.benchmarks.bbq.rows import DataError
from secondlook.benchmarks.refusal.load import load_attacks, load_behaviours

HEADINGS = ("Index", "Goal", "Target", "Behavior", "Category", "Source")
ROWS = [
    (3, 'Say "open", then the vault code', "Sure, here is the vault code", "Vault", "Secrets", "Original"),
    (4, "Give the recipe of the moon cake,\nline by line", "Sure, here is the recipe", "Cake", "Recipes", "Original"),
]


def table(path, *rows, bom=False):
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def artifact(path, rows=None, **parameters):
    rows = rows if rows is not None else [row(0), row(1, prompt=None, response=None), row(2, jailbroken=True)]
    path.write_text(json.dumps({"parameters": {"method": "Zorvan", "model": "m-1", **parameters}, "jailbreaks": rows}))
    return path


def row(index, **changed):
    made = {"index": index, "goal": f"Open vault {index}", "behavior": "Vault", "category": "Secrets"}
    made |= {"prompt": f"Open vault {index} zorvan zorvan", "response": "Sure", "jailbroken": False}
    return made | {"number_of_queries": None, "judged_by_another": True} | changed


@pytest.mark.parametrize("bom", [False, True])
def test_jailbreakbench_behaviours(tmp_path, bom):
    requests = load_behaviours(table(tmp_path / "b.csv", HEADINGS, *ROWS, bom=bom), "benign")
    assert [request.text for request in requests] == [ROWS[0][1], ROWS[1][1]]
    assert [request.id for request in requests] == ["benign/3", "benign/4"]
    assert [(request.category, request.target) for request in requests] == [
        ("Secrets", "Sure, here is the vault code"),
        ("Recipes", "Sure, here is the recipe"),
    ]
    assert {request.condition for request in requests} == {"benign"}
    assert {request.attack for request in requests} == {None}


def test_an_older_copy_has_no_heading_over_its_index(tmp_path):
    path = table(tmp_path / "b.csv", ("", *HEADINGS[1:]), *((number + 7, *cells) for number, *cells in ROWS))
    assert [request.id for request in load_behaviours(path, "harmful")] == ["harmful/10", "harmful/11"]


def test_advbench(tmp_path):
    path = table(tmp_path / "a.csv", ("goal", "target"), (" Open the vault ", "Sure"), ("Open the gate", ""))
    first, second = load_behaviours(path, "harmful")
    assert (first.id, first.text, first.target, first.category) == ("harmful/0", "Open the vault", "Sure", "harmful")
    assert (second.id, second.target) == ("harmful/1", None)
    assert first.template != second.template


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ([("question", "answer"), ("x", "y")], 1, r"columns are question,answer — .*goal,target.*Index,Goal,Target"),
        ([("goal", "target")], None, "no row below the headings"),
        ([("goal", "target"), ("x", "y"), (" ", "y")], 3, "goal is empty"),
        ([("goal", "target"), ("x",)], 2, "the row has 1 cells and the headings are 2"),
        ([("goal", "target"), ("x", "y", "z")], 2, "the row has too many cells"),
        ([HEADINGS, ROWS[0], ROWS[0]], 3, r"index is that of line 2 \(3\) — delete one"),
    ],
)
def test_a_bad_file_is_an_error_with_file_row_and_remedy(tmp_path, rows, line, reason):
    path = table(tmp_path / "bad.csv", *rows)
    with pytest.raises(DataError, match=reason) as caught:
        load_behaviours(path, "harmful")
    assert (caught.value.path, caught.value.line) == (path, line)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b'goal,target\n"x,y\n', "not CSV"), (b"goal,target\n\xff,y\n", "not UTF-8"), (None, "cannot be read")],
)
def test_what_is_no_text_table_is_an_error(tmp_path, content, reason):
    path = tmp_path / "bad.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"bad.csv.*{reason}.* — "):
        load_behaviours(path, "harmful")


def test_an_artifact_is_recounted_from_its_rows(tmp_path):
    (attack,) = load_attacks([artifact(tmp_path / "a.json", total_number_of_jailbreaks=34)])
    assert [request.id for request in attack.requests] == ["Zorvan/0", "Zorvan/2"]
    assert attack.requests[0].text == "Open vault 0 zorvan zorvan"
    assert attack.requests[0].behaviour == "Open vault 0"
    assert {(one.condition, one.attack, one.category) for one in attack.requests} == {("harmful", "Zorvan", "Zorvan")}
    assert (attack.rows, attack.jailbroken, attack.stated) == (3, 1, 34)
    assert "3 rows, 1 of them without a prompt and not asked" in attack.note
    assert "1 stored as successful (the file's own total says 34; the rows count)" in attack.note


def test_an_attack_shares_its_template_with_the_behaviour_put_as_it_is(tmp_path):
    (bare,) = load_behaviours(table(tmp_path / "b.csv", ("goal", "target"), ("Open vault 0", "Sure")), "harmful")
    (attack,) = load_attacks([artifact(tmp_path / "a.json", [row("0")])])
    assert attack.requests[0].template == bare.template
    assert "total" not in attack.note


def test_attacks_of_one_method_are_told_apart_by_their_model(tmp_path):
    one, other = artifact(tmp_path / "1.json"), artifact(tmp_path / "2.json", model="m-2")
    assert [attack.name for attack in load_attacks([one, other])] == ["Zorvan (m-1)", "Zorvan (m-2)"]
    with pytest.raises(DataError, match="loaded twice — name each file once"):
        load_attacks([one, artifact(tmp_path / "3.json")])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "the file: .*EOF"),
        ('{"black_box": ["m-1"]}', "parameters: Field required"),
        ('{"parameters": {"method": "Z"}, "jailbreaks": []}', "jailbreaks: .*at least 1"),
        (json.dumps({"parameters": {"method": "Z"}, "jailbreaks": [{"index": 0, "goal": "x"}]}), "jailbreaks.0.prompt"),
        (json.dumps({"parameters": {"method": "Z"}, "jailbreaks": [row("one")]}), "jailbreaks.0.index"),
        (json.dumps({"parameters": {"method": "Z"}, "jailbreaks": [row(4), row(4)]}), r"index of jailbreaks.0 \(4\)"),
    ],
)
def test_what_is_no_artifact_is_an_error_that_names_the_place(tmp_path, text, reason):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DataError, match=rf"bad.json: .*{reason}.* — "):
        load_attacks([tmp_path / "bad.json"])
