"""A run that is stopped goes on where it was: nothing logged is asked again, and the result is the same."""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter

import pandas as pd
import pytest
from inspect_ai.log import read_eval_log_sample_summaries

from command import finish, records, secondlook, start

CONNECTIONS, BUFFER = 4, 5
SAMPLES = 33
# Each answer is examined by a script that notes its sample, so that what was asked can be counted from outside,
# and waits in the middle of a run that is to be stopped, so that it cannot end before it is.
HOLD, MIDDLE = "hold", 15
SCRIPT = f"""
import json, os, sys, time
with open(sys.argv[1], "a") as notes:
    notes.write(json.load(sys.stdin)["sample"] + "\\n")
hold = os.path.join(os.path.dirname(sys.argv[1]), "{HOLD}")
while os.path.exists(hold) and len(open(sys.argv[1]).readlines()) >= {MIDDLE}:
    time.sleep(0.05)
print("Verdict: biased")
"""


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "critic.py"
    script.write_text(SCRIPT)

    def make(*out):
        return (
            *("eval", "planted", "--model", "secondlook/planted", "--per-category", SAMPLES // 11),
            *("--critic", "tool", "--critic-command", f"{sys.executable} -I -S {script} {tmp_path / 'notes'}"),
            *("--reply-tokens", 16, "--max-connections", CONNECTIONS, "--log-buffer", BUFFER, *out),
        )

    return make


@pytest.fixture
def notes(tmp_path):
    def read():
        file = tmp_path / "notes"
        lines = file.read_text().split() if file.is_file() else []
        file.write_text("")
        return Counter(lines)

    return read


def logged(folder):
    """Samples in the logs below a folder."""
    logs = folder.rglob("tool/*.eval")
    return {summary.id for log in logs for summary in read_eval_log_sample_summaries(str(log)) if not summary.error}


def stop(command, folder, how, enough):
    """Start a run, and send it a signal once enough samples are logged."""
    hold = folder.parent / HOLD
    hold.touch()
    # SIGTERM has to do where Ctrl-C is ignored.
    with start(*command, cwd=folder.parent, background=how == signal.SIGTERM) as process:
        done, deadline = 0, time.monotonic() + 600
        while time.monotonic() < deadline and process.poll() is None:
            # A log that is replaced while it is being read is no log for a moment.
            with contextlib.suppress(ValueError):
                done = len(logged(folder))
            if done >= enough:
                os.kill(process.pid, how)
                try:
                    return finish(process)
                finally:
                    hold.unlink()
            time.sleep(0.02)
        process.kill()
        return pytest.fail(f"nothing to stop: {finish(process)}")


def test_a_run_that_is_stopped_goes_on_and_ends_as_one_that_was_not(tmp_path, monkeypatch, command, notes):
    """Without --out, so that all processes have to give the run the same name."""
    monkeypatch.chdir(tmp_path)
    runs, whole = tmp_path / "runs", tmp_path / "whole"

    # SIGTERM, which goes the way of Ctrl-C: what is finished is logged, and one line says what to do.
    done = stop(command(), runs, signal.SIGTERM, enough=5)
    assert (done.code, done.out) == (130, "")
    assert done.err == "error: stopped; what was finished is kept, run the same command again to go on\n"
    first, kept = notes(), logged(runs)
    assert 5 <= len(kept) < SAMPLES
    assert len(first.keys() - kept) <= CONNECTIONS

    # kill -9: what is in the log stays there.
    done = stop(command(), runs, signal.SIGKILL, enough=len(kept) + BUFFER)
    assert done.code == -signal.SIGKILL
    second, kept_before, kept = notes(), kept, logged(runs)
    assert not second.keys() & kept_before
    assert kept_before < kept
    assert len(kept) < SAMPLES

    # To the end: nothing logged is asked again, and no more than a buffer and what was in flight is asked twice.
    again = secondlook(*command())
    assert again.code == 0, again.err
    third = notes()
    assert not third.keys() & kept
    assert third.keys() | kept == logged(runs)
    assert len(logged(runs)) == SAMPLES
    assert len(third.keys() & second.keys()) <= BUFFER + CONNECTIONS
    assert {*first.values(), *second.values(), *third.values()} == {1}

    # The result is that of a run that was never stopped.
    assert secondlook(*command("--out", whole)).code == 0
    assert len(notes()) == SAMPLES
    (folder,) = runs.iterdir()
    assert records(folder).equals(records(whole))
    assert len(records(whole)) == 2 * SAMPLES

    # Once finished, the same command asks nothing and says the same.
    finished = secondlook(*command())
    assert finished.code == 0
    assert finished.out == again.out
    assert not notes()


@pytest.mark.parametrize(
    ("other", "name", "value"),
    [
        (("--rounds", 2), "rounds", "2"),
        (("--limit", 3), "questions.limit", "3"),
        (("--seed", 4), "seed", "4"),
        (("--temperature", 0.5), "temperature", "0.5"),
        (("--prompt", "bbq/binary"), "prompt", "bbq/binary@"),
        (("--critic", "self", "--noise", 0.5), "noise", "0.5"),
        (("--model", "openai-api/local/m", "--base-url", "http://127.0.0.1:9/v1"), "model", "openai-api/local/m"),
    ],
)
def test_a_folder_of_other_settings_is_refused(tmp_path_factory, other, name, value):
    folder = tmp_path_factory.getbasetemp() / "settings"
    command = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--limit", 2, "--rounds", 0)
    if not folder.exists():
        assert secondlook(*command, "--out", folder).code == 0
    before = sorted(folder.rglob("*"))
    line = secondlook(*command, *other, "--out", folder).error
    assert f"{name} " in line
    assert value in line
    assert "choose another --out" in line
    assert sorted(folder.rglob("*")) == before


def test_questions_that_changed_are_refused(tmp_path):
    command = ("eval", "bbq", "--model", "secondlook/planted", "--data", tmp_path / "data", "--limit", 2, "--rounds", 0)
    assert secondlook("data", "make", "planted", tmp_path / "data", "--per-category", 2).code == 0
    assert secondlook(*command, "--out", tmp_path / "run").code == 0
    assert secondlook("data", "make", "planted", tmp_path / "data", "--per-category", 2, "--seed", 5).code == 0
    assert "hash of the questions" in secondlook(*command, "--out", tmp_path / "run").error


def test_controls_can_be_added_later(tmp_path):
    command = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--limit", 2)
    command = (*command, "--reply-tokens", 12, "--out", tmp_path / "run")
    assert secondlook(*command, "--critic", "self").code == 0
    alone = records(tmp_path / "run", without=())
    both = secondlook(*command, "--critic", "self", "--critic", "none", "--critic", "vote")
    assert both.code == 0, both.err
    assert both.out.index("critic: self") < both.out.index("critic: none") < both.out.index("critic: vote")
    table = records(tmp_path / "run", without=())
    assert set(table["arm"]) == {"self", "none", "vote"}
    # What was there was not asked again: its very seconds are the same. (A column that only another arm fills has
    # another type beside that arm.)
    again = table[table["arm"] == "self"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.dropna(axis=1, how="all"), alone.dropna(axis=1, how="all"), check_dtype=False)
    sampled = table[table["arm"] == "vote"]["decoding"].map(json.loads)
    assert {one["temperature"] for one in sampled} == {0.7}


def test_logs_of_several_runs_are_not_mixed(tmp_path):
    for seed in (0, 1):
        command = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--limit", 2, "--rounds", 0)
        assert secondlook(*command, "--seed", seed, "--out", tmp_path / "runs" / str(seed)).code == 0
    assert "more than one run" in secondlook("report", tmp_path / "runs").error


def test_bytes_that_are_no_log_are_one_line(tmp_path):
    command = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--limit", 2, "--rounds", 0)
    assert secondlook(*command, "--out", tmp_path / "run").code == 0
    (log,) = (tmp_path / "run" / "self").glob("*.eval")
    log.write_bytes(log.read_bytes()[:100])
    for arguments in (("report", tmp_path / "run"), (*command, "--out", tmp_path / "run")):
        line = secondlook(*arguments).error
        assert log.name in line
