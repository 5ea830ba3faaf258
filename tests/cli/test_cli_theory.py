"""`secondlook prove` and `secondlook show` as a user runs them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from command import secondlook
from secondlook.construct import plackett_luce, prove
from secondlook.construct.prove import grid, temperature
from secondlook.construct.show import render

SMALL = ("prove", "-d", 2, "-n", 3, "--steps", 1, "--json", "rows.json")


@pytest.fixture(autouse=True, scope="module")
def short():
    """One thread, as more cost these small matrices more than they save; sweeps of three temperatures."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(temperature, "SHARPNESS", (1, 20, 40))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A page without --out is written to the working directory."""
    monkeypatch.chdir(tmp_path)


def rows_in(file):
    return json.loads(Path(file).read_text("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_everything_passes_is_in_the_file_and_in_tables_that_fit_the_terminal(tmp_path):
    """A run of all there is, over few sizes."""
    done = secondlook("prove", "-d", 2, "-n", 2, "--n", 3, "--steps", 1, "--steps", 2, "--json", "rows.json")
    rows = rows_in("rows.json")
    assert (done.code, done.err) == (0, "")
    *tables, passed, file = done.out.splitlines()
    assert passed == f"{len(rows)} of {len(rows)} checks passed"
    assert file == "rows in rows.json"
    assert all(row["passed"] is True for row in rows)
    assert {row["result"] for row in rows} == {f"T{number}" for number in range(1, 14)}
    assert {row["dtype"] for row in rows} == {"float64", "float32", "bfloat16"}
    stacks = [row for row in rows if row["blocks"] is not None and row["result"] not in ("T9", "T11", "T12")]
    assert len(stacks) == 4 * 7 * 2
    assert {(row["d"], row["n"], row["steps"]) for row in stacks} == {(2, n, k) for n in (2, 3) for k in (1, 2)}
    assert all(0 <= row["error"] <= min(row["limit"], row["bound"]) for row in stacks)
    swept = [row for row in rows if row["sharpness"] is not None]
    assert len(swept) == 9 * 3
    assert all((row["bound"] is None) == (row["sharpness"] == 1) for row in swept)
    assert max(map(len, tables)) <= 80
    assert "\x1b" not in done.out
    # The worst of each: two numbers for seven constructions, their several steps (InfoNCE is one more name), then
    # T1, T9 to T13: of T12's layers the worst for each number of answers.
    said = ("T1", "T9", "T10", "T11", "T12", "T13")
    checks = [row for row in rows if row["sharpness"] is None and row["result"] in said]
    judged = [row for row in checks if row["result"] == "T12" and row["blocks"]]
    checks = [row for row in checks if row not in judged] + sorted({row["n"] for row in judged})
    assert sum(line.rstrip().endswith("passed") for line in tables) == 2 * 7 + 8 + len(checks)
    for result in range(1, 14):
        assert re.search(rf"^T{result} .*passed *$", done.out, re.MULTILINE), result


@pytest.mark.parametrize("factor", [-1.0, float("nan")])
def test_a_construction_that_is_wrong_fails_the_command_and_is_in_the_file(monkeypatch, factor):
    def wrong(promise):
        construction = plackett_luce.build(promise)
        read_out = {"read_out.weight": factor * construction.weights["read_out.weight"]}
        return replace(construction, weights=construction.weights | read_out)

    monkeypatch.setattr(grid, "SINGLE", (grid.SINGLE[0], wrong))
    done = secondlook(*SMALL)
    assert (done.code, done.err) == (1, "")
    rows = rows_in("rows.json")
    failed = [row for row in rows if not row["passed"]]
    assert [(row["result"], row["construction"]) for row in failed] == [("T3", "Plackett–Luce")] * 2
    assert all((row["error"] is None) == (factor != -1.0) for row in failed)
    assert f"{len(rows) - 2} of {len(rows)} checks passed" in done.out
    assert len(re.findall(r"^T3 .*FAILED *$", done.out, re.MULTILINE)) == done.out.count("FAILED") == 2


def test_an_accuracy_that_is_not_reached_fails_the_command_and_all_seed_and_each_are_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(grid, "limit_of", lambda n, steps, gap, evenly=False: 1e-30)
    done = secondlook(*SMALL[:-2], "--all", "--seed", 3, "--each", 2, "--workers", 1)
    assert done.code == 1
    (rows,) = grid.prove_grid(prove.Grid((2,), (3,), (1,), each=2, seed=3))
    assert {row.contexts for row in rows} == {24}
    assert done.out.count("FAILED") == sum(not row.passed for row in rows)
    for row in rows:
        assert re.search(rf"^{row.result} .* {row.error:.0e} .*FAILED *$", done.out, re.MULTILINE), row
    assert max(map(len, done.out.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "value", "remedy"),
    [
        (("prove", "-n", 8, "-n", 0), "n is 0", "at least 2"),
        (("prove", "T14"), "claim 'T14' is unknown", "known: T1, T2"),
        (("prove", "--each", 0), "each is 0", "at least one"),
        (("prove", "--json", "nowhere/rows.json"), "folder nowhere does not exist", "create it"),
        (("prove", "--json", "."), "is a folder", "name a file"),
        (("prove", "--workers", 0), "--workers", "--help"),
        (("prove", "-d", "wide"), "--d", "--help"),
        (("prove", "--seed", 2**80), f"{2**80}", "seed"),
        (
            ("show", "bradley"),
            "'bradley'",
            "bradley-terry (T2), plackett-luce (T3), causal (T5), attention-only (T7), shallow",
        ),
        (("show", "T4"), "'T4' is unknown", "verdicts (T12)"),
        (("show", "plackett-luce", "--n", 17, "--out", "f.html"), "n is 17", "2 to 16"),
        (("show", "causal", "--eta", "nan"), "eta is nan", "up to 1"),
        (("show", "causal", "--out", "nowhere/f.html"), "nowhere does not exist", "create it"),
        (("show", "causal", "--out", "."), "is a folder", "name a file"),
        (("show", "causal", "--n", "six"), "--n", "--help"),
        (("show",), "CONSTRUCTION", "--help"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work_and_leaves_no_file(
    monkeypatch, tmp_path, arguments, value, remedy
):
    monkeypatch.setattr(prove, "evidence", lambda *_: pytest.fail("work was done"))
    line = secondlook(*arguments).error
    assert value.lower() in line.lower()
    assert remedy in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "file", "settings"),
    [
        (("plackett-luce", "--n", 6, "--out", "f.html"), "f.html", {}),
        (
            ("causal", "-n", 3, "--steps", 2, "--eta", 0.2, "--seed", 5),
            "causal.html",
            {"n": 3, "steps": 2, "eta": 0.2, "seed": 5},
        ),
    ],
)
def test_show_writes_a_page_named_after_its_construction_or_as_asked(tmp_path, arguments, file, settings):
    done = secondlook("show", *arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"page in {file}: open it in a browser, arrow keys step\n"
    assert (tmp_path / file).read_text("utf-8") == render(arguments[0], **settings)
    assert [found.name for found in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    ("said", "name", "way"), [("t2", "bradley-terry", "arrow keys step"), ("T12", "verdicts", "move the sliders")]
)
def test_show_takes_a_claim_and_says_how_its_page_is_used(tmp_path, said, name, way):
    done = secondlook("show", said)
    assert done.out == f"page in {name}.html: open it in a browser, {way}\n"
    assert (tmp_path / f"{name}.html").read_text("utf-8") == render(name)
