"""`secondlook reproduce` as a process: killed in the middle and run again; its exit code; what it writes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from secondlook import cli
from secondlook.construct.prove import Grid
from secondlook.construct.prove import grid as prove_grid
from secondlook.reproduce import theory

IDS = ["T1", "T10", "T11"]


def run(*words):
    return CliRunner().invoke(cli.app, ["reproduce", *map(str, words)])


def records(out):
    return [{**record, "seconds": 0} for record in json.loads((out / "claims.json").read_text("utf-8"))]


def test_killed_in_the_middle_and_run_again_it_says_the_same(tmp_path):
    command = [sys.executable, "-m", "secondlook.cli", "reproduce", *IDS, "--out", str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("killed/cache/theory-shift-*.json")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed" / "claims.json").exists()
    (kept,) = (tmp_path / "killed" / "cache").glob("theory-shift-*.json")
    before = kept.stat().st_mtime_ns
    assert run(*IDS, "--out", tmp_path / "killed").exit_code == 0
    assert kept.stat().st_mtime_ns == before
    assert run(*IDS, "--out", tmp_path / "whole").exit_code == 0
    assert records(tmp_path / "killed") == records(tmp_path / "whole")
    assert [record["id"] for record in records(tmp_path / "whole")] == IDS


def test_a_broken_claim_turns_the_exit_code(tmp_path, monkeypatch):
    monkeypatch.setitem(theory.GRIDS, "demo", Grid((2,), (2, 3), (1,)))
    held = run("T8", "--workers", 1, "--out", tmp_path / "good")
    assert (held.exit_code, "verified" in held.output) == (0, True)
    # The sign of the shallow construction's every step, flipped.
    build = prove_grid.SINGLE[-1]
    monkeypatch.setattr(prove_grid, "SINGLE", (lambda promise: _flipped(build(promise)),))
    expected = ["--expected", tmp_path / "good" / "claims.json"]
    broken = run("T8", "--workers", 1, "--out", tmp_path / "bad", *expected)
    assert broken.exit_code == 1
    assert "T8 had held (verified, " in broken.output
    assert records(tmp_path / "bad")[0]["outcome"] == "refuted"


def _flipped(built):
    built.weights["read_out.weight"].neg_()
    return built


def test_it_writes_figures_in_three_formats_and_the_size_of_a_paper(tmp_path):
    assert run("L3", "L4", "--out", tmp_path).exit_code == 0
    for name in ("L3", "L4"):
        assert {file.suffix for file in (tmp_path / "figures").glob(f"{name}.*")} == {".png", ".svg", ".pdf"}
        width = (tmp_path / "figures" / f"{name}.pdf").read_bytes().partition(b"/MediaBox [ 0 0 ")[2].split()[0]
        assert float(width) / 72 == pytest.approx(6.75)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "committed earlier" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_planted_outcome_stands_beside_those_of_real_models(tmp_path):
    said = run("S1", "--out", tmp_path).output
    again = "again: secondlook study run S1 --model smollm2-135m "
    assert f"S1: SmolLM2-135M-Instruct: undecided, committed; {again}" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["T99"], "known: T1"),
        (["T1", "--profile", "huge"], "known: demo, quick"),
        (["T1", "--expected", "results/claim.json"], "'results/claim.json' is not there, so nothing could be compared"),
        (["S1", "--dry-run"], "--dry-run needs --model"),
        (["S1", "--base-url", "http://127.0.0.1:9/v1", "--per-category", "2"], "--base-url, --per-category needs"),
        (["S1", "--model", "x/y", "--workers", "2"], "with --model, --workers has no effect"),
    ],
)
def test_what_is_unknown_is_one_line(tmp_path, words, said):
    result = run(*words, "--out", tmp_path)
    assert isinstance(result.exception, ValueError)
    assert said in str(result.exception)
