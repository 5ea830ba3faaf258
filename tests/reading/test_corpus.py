"""The corpus of real replies is what its README says it is, and quotes no data set.

The data lie in `$SECONDLOOK_DATA`, by default `../shared/data` seen from the project; where they are not there, nobody
looks for quotations.
"""

import csv
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
KINDS = ("answer", "verdict", "number", "choice", "exact", "refusal")
LEAST = {"answer": 200, "verdict": 150, "number": 100, "choice": 60, "refusal": 60}
LABELS = {
    "answer": set("ABC"),
    "choice": set("ABCD"),
    "verdict": {"wrong", "right"},
    "refusal": {"complied", "refused", "partial"},
}


def replies() -> list[dict]:
    return [json.loads(line) for kind in KINDS for line in (CORPUS / f"{kind}.jsonl").read_text("utf-8").splitlines()]


def held() -> list[dict]:
    files = [CORPUS.parent / "held" / f"{name}.jsonl" for name in ("replies", "again", "third")]
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def words(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", " ", text.lower().replace("\u2019", "'").replace("'", "")).split()


def runs(text: str, length: int) -> set[str]:
    said = words(text)
    return {" ".join(said[at : at + length]) for at in range(len(said) - length + 1)}


def test_it_is_as_large_as_asked_and_each_reply_is_there_once():
    corpus = replies()
    assert len({reply["id"] for reply in corpus}) == len(corpus) >= 600
    assert len({reply["model"] for reply in corpus}) >= 2
    sizes = Counter(reply["kind"] for reply in corpus)
    assert all(sizes[kind] >= least for kind, least in LEAST.items()), sizes
    assert sum("label_second" in reply for reply in corpus) >= len(corpus) / 2


def test_labels_are_of_their_kind():
    for reply in [*replies(), *held()]:
        readings = [reply[name] for name in ("label", "label_second", "settled") if name in reply]
        for label in readings:
            if reply["kind"] in LABELS:
                assert label is None or label in LABELS[reply["kind"]], reply
        if reply["kind"] in ("number", "exact"):
            kind = str if reply["kind"] == "exact" else (int, float)
            assert all(label is None or isinstance(label, kind) for label in readings), reply


def test_replies_that_were_held_back_are_others():
    known = {reply["id"] for reply in replies()}
    assert len(held()) == len({reply["id"] for reply in held()} - known) >= 700


def test_what_the_two_readings_differ_in_is_settled():
    for reply in replies():
        if "label_second" in reply:
            assert ("settled" in reply) == (reply["label"] != reply["label_second"]), reply


def test_the_readme_counts_what_is_there():
    corpus = replies()
    models = sorted({reply["model"] for reply in corpus})
    heads = ["kind", *models, "cannot be read", "read twice", "differ"]
    rows = [heads, ["---"] * len(heads)]
    for kind in KINDS:
        of_kind = [reply for reply in corpus if reply["kind"] == kind]
        by_model = Counter(reply["model"] for reply in of_kind)
        unread = sum(reply.get("settled", reply["label"]) is None for reply in of_kind)
        twice, differ = (sum(name in reply for reply in of_kind) for name in ("label_second", "settled"))
        rows.append([kind, *(str(count) for count in (*map(by_model.get, models), unread, twice, differ))])
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    assert table in (CORPUS / "README.md").read_text("utf-8"), table


@pytest.fixture(scope="module")
def data():
    folder = Path(os.environ.get("SECONDLOOK_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "gsm8k").is_dir():
        pytest.skip(f"{folder} holds no gsm8k/: set SECONDLOOK_DATA to the folder of the data sets")
    return folder


def test_no_reply_quotes_a_data_set(data):
    texts = []
    for path in (data / "bbq").rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        texts += [row[name] for row in rows for name in ("context", "question")]
    rows = [json.loads(line) for line in (data / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    texts += [re.sub("<<.*?>>", "", row[name]) for row in rows for name in ("question", "answer")]
    long = {run for text in texts for run in runs(text, 6)}
    with (data / "xstest" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = [row["prompt"] for row in csv.DictReader(file)]
    short = {run for prompt in prompts for run in runs(prompt, min(5, len(words(prompt))))}
    by_length = {size: {run for run in short if run.count(" ") == size - 1} for size in range(1, 6)}
    for reply in [*replies(), *held()]:
        text = " ".join(words(reply["reply"].replace("[...]", " GAP ")))
        for number, option in enumerate(reply.get("options") or ()):
            text = text.replace(" ".join(words(option)), f"OPTION{number}")
        assert not runs(text, 6) & long, reply["id"]
        assert not any(runs(text, size) & found for size, found in by_length.items()), reply["id"]
