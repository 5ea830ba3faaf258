"""`secondlook prove` and `secondlook show` as a user runs them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from command import secondlook
from secondlook.construct import Promise, plackett_luce, prove
from secondlook.construct.prove import grid, temperature
from secondlook.construct.show import render

FIELDS = {"result", "construction", "d", "n", "steps", "dtype", "error", "bound", "passed"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads cost these small matrices more than they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def short():
    """Sweeps of three temperatures, the first without a bound; everything else as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(temperature, "SHARPNESS", (1, 20, 40))
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A page without --out is written to the working directory."""
    monkeypatch.chdir(tmp_path)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def rows_in(file):
    return json.loads(Path(file).read_text("utf-8"), parse_constant=no_constant)


@pytest.fixture(scope="module")
def proven(one_thread, short, tmp_path_factory):
    """A run of all there is, over few sizes."""
    file = tmp_path_factory.mktemp("prove") / "rows.json"
    done = secondlook("prove", "-d", 2, "-n", 2, "--n", 3, "--steps", 1, "--steps", 2, "--json", file)
    return done, rows_in(file), file


def test_everything_passes_and_the_exit_code_says_so(proven):
    done, rows, file = proven
    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[-2] == f"{len(rows)} of {len(rows)} checks passed"
    assert lines[-1] == f"rows in {file}"
    assert all(row["passed"] is True for row in rows)


def test_the_file_holds_every_row_of_every_result(proven):
    _, rows, _ = proven
    assert all(row.keys() >= FIELDS for row in rows)
    assert {row["result"] for row in rows} == {f"T{number}" for number in range(1, 12)}
    assert {row["dtype"] for row in rows} == {"float64", "float32", "bfloat16"}
    stacks = [row for row in rows if row["blocks"] is not None and row["result"] not in ("T9", "T11")]
    assert len(stacks) == 4 * 7 * 2
    assert {(row["d"], row["n"], row["steps"]) for row in stacks} == {(2, n, k) for n in (2, 3) for k in (1, 2)}
    for row in stacks:
        assert 0 <= row["error"] <= row["limit"]
        assert row["error"] <= row["bound"]
        assert (row["result"] == "T6") == (row["steps"] == 2)
    swept = [row for row in rows if row["sharpness"] is not None]
    assert len(swept) == 9 * 3
    assert all((row["bound"] is None) == (row["sharpness"] == 1) for row in swept)


def test_the_tables_fit_the_terminal_and_hold_all_outcomes(proven):
    done, rows, _ = proven
    *tables, _, _ = done.out.splitlines()
    assert max(map(len, tables)) <= 80
    assert "\x1b" not in done.out
    # The worst of each: two numbers for seven constructions, their several steps (InfoNCE is one more name), then
    # T1, T9, T10 and T11.
    checks = [row for row in rows if row["sharpness"] is None and row["result"] in ("T1", "T9", "T10", "T11")]
    assert sum(line.rstrip().endswith("passed") for line in tables) == 2 * 7 + 8 + len(checks)
    for result in range(1, 12):
        assert re.search(rf"^T{result} .*passed *$", done.out, re.MULTILINE), result


SMALL = ("prove", "-d", 2, "-n", 3, "--steps", 1, "--json", "rows.json")


def wrong(factor):
    def build(promise: Promise):
        construction = plackett_luce.build(promise)
        weights = dict(construction.weights)
        weights["read_out.weight"] = factor * weights["read_out.weight"]
        return replace(construction, weights=weights)

    return build


def test_a_construction_that_is_wrong_fails_the_command_and_is_in_the_file(monkeypatch):
    monkeypatch.setattr(grid, "SINGLE", (grid.SINGLE[0], wrong(-1.0), *grid.SINGLE[2:]))
    done = secondlook(*SMALL)
    assert done.code == 1
    assert done.err == ""
    rows = rows_in("rows.json")
    failed = [row for row in rows if not row["passed"]]
    assert [(row["result"], row["construction"]) for row in failed] == [("T3", "Plackett–Luce")] * 2
    assert f"{len(rows) - 2} of {len(rows)} checks passed" in done.out
    assert len(re.findall(r"^T3 .*FAILED *$", done.out, re.MULTILINE)) == done.out.count("FAILED") == 2
    assert done.out.splitlines()[-1] == "rows in rows.json"


def test_an_accuracy_that_is_not_reached_fails_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(grid, "limit_of", lambda promise, gap: 1e-30)
    done = secondlook(*SMALL[:-2])
    assert done.code == 1
    for result in ("T2", "T3", "T5", "T7", "T8"):
        assert re.search(rf"^{result} .*FAILED *$", done.out, re.MULTILINE), result
    assert done.out.splitlines()[-1].endswith("checks passed")
    assert list(tmp_path.iterdir()) == []


def test_a_construction_that_makes_no_numbers_fails_the_command_and_loses_nothing(monkeypatch):
    monkeypatch.setattr(grid, "SINGLE", (grid.SINGLE[0], wrong(float("nan"))))
    done = secondlook(*SMALL)
    assert done.code == 1, done.err
    assert [row["error"] for row in rows_in("rows.json") if row["result"] == "T3"] == [None, None]


def test_all_shows_every_row_and_seed_and_each_are_taken():
    done = secondlook(*SMALL, "--all", "--seed", 3, "--each", 2, "--workers", 1)
    assert done.code == 0
    rows = rows_in("rows.json")
    assert done.out.count("passed") == len(rows) + 1
    assert max(map(len, done.out.splitlines())) <= 80
    assert {row["contexts"] for row in rows if row["result"] in ("T2", "T3", "T4", "T5", "T7", "T8")} == {20}
    mine = [row["error"] for row in rows if row["result"] == "T3"]
    (again,) = grid.prove_grid(prove.Grid((2,), (3,), (1,), each=2, seed=3))
    assert [row.error for row in again if row.result == "T3"] == pytest.approx(mine, abs=1e-14)


@pytest.mark.parametrize(
    ("arguments", "value", "remedy"),
    [
        (("-n", 1), "n is 1", "at least 2"),
        (("-n", 8, "-n", 0), "n is 0", "at least 2"),
        (("--each", 0), "each is 0", "at least one"),
        (("-d", 0), "d is 0", "at least 1"),
        (("--steps", 0), "steps is 0", "at least 1"),
        (("--json", "nowhere/rows.json"), "folder nowhere does not exist", "create it"),
        (("--json", "folder"), "folder", "name a file"),
        (("--workers", 0), "--workers", "--help"),
        (("-d", "wide"), "--d", "--help"),
        (("--seed", 2**80), f"{2**80}", "seed"),
    ],
)
def test_what_cannot_be_proven_is_refused_before_any_work(monkeypatch, tmp_path, arguments, value, remedy):
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(prove, "evidence", lambda *_: pytest.fail("work was done"))
    line = secondlook("prove", *arguments).error
    assert value in line
    assert remedy in line
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_show_writes_a_page(tmp_path):
    done = secondlook("show", "plackett-luce", "--n", 6, "--out", "f.html")
    assert done.code == 0
    assert done.err == ""
    assert done.out == "page in f.html: open it in a browser, arrow keys step\n"
    assert (tmp_path / "f.html").read_text("utf-8") == render("plackett-luce", n=6)
    assert [file.name for file in tmp_path.iterdir()] == ["f.html"]


def test_show_takes_its_settings(tmp_path):
    assert secondlook("show", "causal", "-n", 3, "--steps", 2, "--eta", 0.2, "--seed", 5, "--out", "p.html").code == 0
    assert (tmp_path / "p.html").read_text("utf-8") == render("causal", n=3, steps=2, eta=0.2, seed=5)


@pytest.mark.parametrize("name", ["bradley-terry", "shallow"])
def test_a_page_is_named_after_its_construction(tmp_path, name):
    done = secondlook("show", name)
    assert done.code == 0
    assert f"{name}.html" in done.out
    assert (tmp_path / f"{name}.html").read_text("utf-8") == render(name)


@pytest.mark.parametrize(
    ("arguments", "value", "remedy"),
    [
        (("bradley",), "'bradley'", "bradley-terry, plackett-luce, causal, attention-only, shallow"),
        (("bradley", "--out", "f.html"), "'bradley'", "bradley-terry, plackett-luce"),
        (("plackett-luce", "--n", 1), "n is 1", "2 to 16"),
        (("plackett-luce", "--n", 17, "--out", "f.html"), "n is 17", "2 to 16"),
        (("causal", "--steps", 9), "steps is 9", "1 to 8"),
        (("causal", "--eta", 2), "eta is 2", "up to 1"),
        (("causal", "--eta", "nan"), "eta is nan", "up to 1"),
        (("causal", "--seed", -1), "seed is -1", "whole number"),
        (("causal", "--out", "nowhere/f.html"), "nowhere does not exist", "create it"),
        (("causal", "--out", "."), "is a folder", "name a file"),
        (("causal", "--n", "six"), "--n", "--help"),
        ((), "CONSTRUCTION", "--help"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_leaves_no_file(tmp_path, arguments, value, remedy):
    line = secondlook("show", *arguments).error
    assert value.lower() in line.lower()
    assert remedy in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("prove", "--help"), ("show", "--help")])
def test_help_is_help(words):
    done = secondlook(*words)
    assert done.code == 0
    assert done.out.startswith(f"Usage: secondlook {words[0]}")
    assert done.err == ""
