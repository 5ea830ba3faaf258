"""A run that is stopped goes on where it was: nothing logged is asked again, and the result is the same."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from inspect_ai.log import read_eval_log_sample_summaries

from command import finish, records, secondlook, start
from secondlook.benchmarks.evaluate import Evaluation
from secondlook.benchmarks.harness.run import Endpoint

CONNECTIONS, BUFFER = 4, 5
SAMPLES = 33
# Each answer is examined by a script that notes its sample, so that what was asked can be counted from outside,
# and takes its time, so that there is a middle in which to be stopped.
SCRIPT = """
import json, sys, time
with open(sys.argv[1], "a") as notes:
    notes.write(json.load(sys.stdin)["sample"] + "\\n")
time.sleep(0.15)
print("Verdict: biased")
"""


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "critic.py"
    script.write_text(SCRIPT)

    def make(out):
        return (
            *("eval", "planted", "--model", "secondlook/planted", "--per-category", SAMPLES // 11),
            *("--critic", "tool", "--critic-command", f"{sys.executable} -I -S {script} {tmp_path / 'notes'}"),
            *("--reply-tokens", 16, "--max-connections", CONNECTIONS, "--log-buffer", BUFFER, "--out", out),
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
    """Samples in the logs of a folder."""
    logs = (folder / "tool").glob("*.eval")
    return {summary.id for log in logs for summary in read_eval_log_sample_summaries(str(log)) if not summary.error}


def stop(command, folder, how, enough=10):
    """Start a run, and send it a signal once enough samples are logged."""
    with start(*command, cwd=folder.parent) as process:
        done, deadline = 0, time.monotonic() + 600
        while time.monotonic() < deadline and process.poll() is None:
            # A log that is replaced while it is being read is no log for a moment.
            with contextlib.suppress(ValueError):
                done = len(logged(folder))
            if done >= enough:
                os.kill(process.pid, how)
                return finish(process)
            time.sleep(0.02)
        process.kill()
        return pytest.fail(f"nothing to stop: {finish(process)}")


def test_a_killed_run_goes_on_and_ends_as_one_that_was_never_stopped(tmp_path, command, notes):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    killed = stop(command(stopped), stopped, signal.SIGKILL)
    assert killed.code == -signal.SIGKILL
    kept, before = logged(stopped), notes()
    assert 10 <= len(kept) < SAMPLES
    assert max(before.values()) == 1

    again = secondlook(*command(stopped))
    assert again.code == 0, again.err
    after = notes()
    assert not after.keys() & kept
    assert after.keys() | kept == logged(stopped)
    assert len(logged(stopped)) == SAMPLES
    repeated = after.keys() & before.keys()
    assert len(repeated) <= BUFFER + CONNECTIONS

    assert secondlook(*command(whole)).code == 0
    assert len(notes()) == SAMPLES
    assert records(stopped).equals(records(whole))
    assert len(records(whole)) == 2 * SAMPLES

    finished = secondlook(*command(stopped))
    assert finished.code == 0
    assert finished.out == again.out
    assert not notes()


def test_ctrl_c_is_one_line_and_the_run_goes_on(tmp_path, command, notes):
    folder = tmp_path / "run"
    done = stop(command(folder), folder, signal.SIGINT)
    assert done.code == 130
    assert done.out == ""
    assert done.err == "error: stopped; what was logged is kept, run the same command again to go on\n"
    kept = logged(folder)
    notes()
    assert secondlook(*command(folder)).code == 0
    assert not notes().keys() & kept
    assert len(records(folder)) == 2 * SAMPLES


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


def test_an_arm_can_be_added_later(tmp_path):
    command = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--limit", 2)
    assert secondlook(*command, "--critic", "oracle", "--out", tmp_path / "run").code == 0
    both = secondlook(*command, "--critic", "none", "--out", tmp_path / "run")
    assert both.code == 0
    assert both.out.index("critic: oracle") < both.out.index("critic: none")
    assert set(records(tmp_path / "run")["arm"]) == {"oracle", "none"}


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


def test_another_process_gives_a_run_the_same_name():
    code = (
        "from secondlook.benchmarks.evaluate import Evaluation\n"
        "from secondlook.benchmarks.harness.run import Endpoint\n"
        "print(Evaluation(benchmark='planted', endpoint=Endpoint(model='a/b'), study={'rounds': 2}).name)"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == Evaluation(benchmark="planted", endpoint=Endpoint(model="a/b"), study={"rounds": 2}).name
