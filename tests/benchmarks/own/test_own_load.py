"""Questions out of every format are the same; what is wrong with a row is said with its line and the remedy."""

import json
import sys
from importlib.resources import files

import pandas as pd
import pytest

from secondlook.benchmarks.bbq.rows import DataError
from secondlook.benchmarks.benchmark import find
from secondlook.benchmarks.own.load import load_questions
from secondlook.evaluation.task import build_task

ROWS = [
    {"prompt": "One?", "answer": "1", "group": "a", "n": 1},
    {"prompt": 'Two, "more"\nlines?', "answer": "2", "group": "b", "n": 2},
]


def write(folder, kind, rows):
    path = folder / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows), "utf-8")
    elif kind == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        import datasets

        path = folder / "data"
        datasets.Dataset.from_list(rows).save_to_disk(path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "dataset"])
def test_every_format_holds_the_same_questions(tmp_path, kind):
    one, two = load_questions(write(tmp_path, kind, ROWS), "exact")
    assert (one.text, one.category, one.condition, one.grader) == ("One?", "a", None, "exact")
    assert (two.text, two.category, str(two.row["answer"])) == ('Two, "more"\nlines?', "b", "2")
    assert one.template == one.id != two.id
    assert str(two.row["n"]) == "2"


def test_columns_of_other_names(tmp_path):
    rows = [{"question": "One?", "solution": 7, "topic": "x", "uid": "k1", "family": "f", "level": "easy"}]
    fields = {
        "prompt": "question", "answer": "solution", "group": "topic", "id": "uid", "template": "family",
        "condition": "level",
    }  # fmt: skip
    (one,) = load_questions(write(tmp_path, "jsonl", rows), "number", fields=fields)
    assert (one.id, one.text, one.category, one.template, one.condition) == ("k1", "One?", "x", "f", "easy")
    assert one.row["answer"] == 7
    assert "solution" not in one.row


def test_what_may_be_missing_has_a_stated_stand_in(tmp_path):
    path = write(tmp_path, "jsonl", [{"prompt": "One?"}, {"prompt": "Two?"}])
    one, two = load_questions(path, "operator:contains")
    assert [(each.id, each.category, each.template) for each in (one, two)] == [("1", "data", "1"), ("2", "data", "2")]


def test_splits_of_a_dataset(tmp_path):
    import datasets

    both = {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:1])}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "d")
    assert len(load_questions(tmp_path / "d", "exact", split="test")) == 1
    for split, said in ((None, "has the splits train, test; name one with --split"), ("dev", "has no split 'dev'")):
        with pytest.raises(DataError, match=said):
            load_questions(tmp_path / "d", "exact", split=split)
    with pytest.raises(DataError, match="has no splits, but split is 'test'"):
        load_questions(write(tmp_path, "dataset", ROWS), "exact", split="test")


@pytest.mark.parametrize("kind", ["dataset", "parquet"])
def test_without_the_extra_one_line_says_which_to_install(tmp_path, monkeypatch, kind):
    path = write(tmp_path, kind, ROWS)
    monkeypatch.setitem(sys.modules, "datasets" if kind == "dataset" else "pyarrow", None)
    with pytest.raises(DataError, match=r"install it: pip install 'secondlook\[data\]'"):
        load_questions(path, "exact")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": "One?"}', r"data.jsonl:1: answer is None, but grader 'exact' compares with it"),
        ('{"prompt": "a", "answer": 1}\n{"prompt": " ", "answer": 1}', "data.jsonl:2: prompt is ' ', but a question"),
        ('{"question": "a", "answer": 1}', "it has question, answer: name one with --field prompt=COLUMN"),
        ('{"prompt": "a", "answer": 1}\n{"prompt"', r"data.jsonl:2: not JSON"),
        ("[1]", "data.jsonl:1: is a list, not an object"),
        ('{"prompt": "a", "answer": 1, "id": "x"}\n{"prompt": "b", "answer": 1, "id": "x"}', "id 'x' is that of row 1"),
        ("", "there is no row; give at least one question"),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, said):
    path = tmp_path / "data.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        load_questions(path, "exact")


def test_bad_files_are_named(tmp_path):
    for name, content, said in (
        ("a.xlsx", b"x", "ends in '.xlsx'; give .jsonl"),
        ("a.jsonl", b"\xff", "not UTF-8"),
        ("a.json", b"{}", "holds a dict; give a list"),
        ("a.json", b"[", "not JSON"),
        ("a.csv", b"prompt,answer\na,b,c\n", "has 3 cells, the heading 2 .*quote cells"),
        ("a.parquet", b"no", "cannot be read"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said) as caught:
            load_questions(tmp_path / name, "exact")
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        load_questions(tmp_path / "none.jsonl", "exact")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is no dataset saved with save_to_disk"):
        load_questions(tmp_path / "empty", "exact")


def test_what_the_options_contradict(tmp_path):
    path = write(tmp_path, "jsonl", ROWS)
    with pytest.raises(DataError, match="there is no column 'question' for prompt; it has prompt, answer"):
        load_questions(path, "exact", fields={"prompt": "question"})
    with pytest.raises(ValueError, match="unknown field 'truth'; a question has prompt, answer"):
        load_questions(path, "exact", fields={"truth": "answer"})
    with pytest.raises(DataError, match="a file has no splits"):
        load_questions(path, "exact", split="test")
    with pytest.raises(DataError, match="answer is 'one', but grader 'number' needs a number"):
        load_questions(write(tmp_path, "json", [{"prompt": "a", "answer": "one"}]), "number")


def test_a_sample_is_nested_and_takes_of_each_group(tmp_path):
    rows = [{"prompt": f"{i}?", "answer": 1, "group": "ab"[i % 2]} for i in range(40)]
    path = str(write(tmp_path, "jsonl", rows))

    def names(**options):
        return [sample.id for sample in build_task("own", data=path, **options).dataset]

    assert len(names()) == 40
    small, large = names(limit=5, seed=1), names(limit=20, seed=1)
    assert len(small) == 5
    assert set(small) < set(large)
    assert names(limit=5, seed=1) == small != names(limit=5, seed=2)
    even = names(per_category=3)
    assert sorted(int(name) % 2 for name in even) == [0, 0, 0, 1, 1, 1]
    for options, said in (({"limit": 0}, "limit is 0"), ({"per_category": 0}, "per-category is 0")):
        with pytest.raises(ValueError, match=said):
            build_task("own", data=path, **options)
    with pytest.raises(ValueError, match="give --data FILE"):
        build_task("own")


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("a.jsonl", b'{"prompt": "a", "answer": 1, "group": "NA"}', {"answer": 1, "group": "NA"}),
        ("a.jsonl", b'\xef\xbb\xbf{"Prompt ": "a", "ANSWER": 1, "note": NaN}', {"answer": 1, "note": None}),
        ("a.csv", b"prompt;answer\na;1,5\n", {"answer": "1,5"}),
        ("a.tsv", b"Prompt\tAnswer\na\t1\n", {"answer": "1"}),
        ("a.csv", "prompt,answer\na,ü\n".encode("utf-16"), {"answer": "ü"}),
        ("a.csv", b"prompt,answer\na," + b"x" * 200_000 + b"\n", {"answer": "x" * 200_000}),
        ("a.jsonl", b'{"prompt": "a", "answer": ["1", {"b": "\\ud83d"}]}', {"answer": ["1", {"b": "\ufffd"}]}),
    ],
)
def test_however_it_is_written(tmp_path, name, content, row):
    (tmp_path / name).write_bytes(content)
    (question,) = load_questions(tmp_path / name, "exact")
    assert question.text == "a"
    assert {field: question.row[field] for field in row} == row


def test_a_character_that_is_lost_is_told_and_not_whose_fault_it_is(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"prompt": "a \\ud83d", "answer": 1}\n{"prompt": "b", "answer": 1}\n{"prompt": "\\ufffd", "answer": 1}'
    )
    (note,) = find("own").questions(find("own").given({"data": str(file)}), 0).notes
    assert note == "Questions with U+FFFD, as the data have it or for half a surrogate pair: 1, 3."


def test_a_row_that_lacks_a_column_of_the_prompt_is_found_before_the_run(tmp_path):
    """Objects of JSON Lines need not have the same columns."""
    text = (files("secondlook.prompts") / "own/binary.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("{prompt}", "{topic} {prompt}"))
    rows = [{"prompt": f"{i}?", "answer": 1, "topic": "t"} for i in range(6)]
    about = {"data": str(write(tmp_path, "jsonl", rows)), "prompt": str(tmp_path / "mine.toml")}
    assert len(build_task("own", **about).dataset) == 6
    del rows[4]["topic"]
    write(tmp_path, "jsonl", rows)
    with pytest.raises(ValueError, match="has a field 'topic' that question '5' does not fill; choose one of own/"):
        build_task("own", **about)
    # A question that is shown before others is asked too.
    (drawn,) = build_task("own", **{**about, "prompt": "own/binary"}, limit=1).dataset
    for missing in range(6):
        given = [{**row, "topic": "t"} for row in rows]
        del given[missing]["topic"]
        write(tmp_path, "jsonl", given)
        shown = {**about, "limit": 1, "variant": "diverse", "history": 5}
        with pytest.raises(ValueError, match="has a field 'topic'"):
            build_task("own", **shown)
        if str(missing + 1) != drawn.id:
            assert build_task("own", **about, limit=1).dataset
