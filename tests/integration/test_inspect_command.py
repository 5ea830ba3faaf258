"""Inspect's own command finds our tasks, our model and our scorer by their entry point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log

from command import secondlook


def inspect(*arguments, cwd, **environment):
    command = [str(Path(sys.executable).with_name("inspect")), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def logs(bbq_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "bbq").mkdir()
    (folder / "bbq" / "Age.jsonl").symlink_to(bbq_data / "Age.jsonl")  # one category of eleven is read sooner
    done = inspect(
        *("eval", "secondlook/bbq", "--model", "secondlook/planted", "--limit", 4, "--max-tokens", 16),
        *("-T", "critic=oracle", "-T", "rounds=2", "--log-dir", folder / "logs", "--display", "plain"),
        cwd=folder,
        SECONDLOOK_DATA=str(folder),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "logs"


def test_inspect_eval_runs_our_task_with_our_model(logs):
    (info,) = list_eval_logs(str(logs))
    log = read_eval_log(info)
    assert log.status == "success"
    assert (log.eval.task, log.eval.model) == ("bbq", "secondlook/planted")
    assert log.eval.task_args["critic"] == "oracle"
    assert len(log.samples) == 4
    assert {score.name: sorted(score.metrics) for score in log.results.scores} == {
        name: ["mean", "stderr"] for name in ("first", "last", "change", "unparsed")
    }
    for sample in log.samples:
        (score,) = sample.scores.values()
        assert score.value["change"] == score.value["last"] - score.value["first"]


def test_our_report_reads_inspects_logs(logs):
    done = secondlook("report", logs)
    assert done.code == 0, done.err
    assert "critic: oracle" in done.out
    assert "round 2" in done.out
