"""`secondlook lab`: trains, goes on, runs experiments, and says in one line what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from command import finish, secondlook, start
from secondlook.lab import judged
from secondlook.lab.profile import PROFILES, LabProfile
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task

SMALL = (
    "--set",
    "batch=8",
    "--set",
    "steps=6",
    "--set",
    "shape.depth=1",
    "--set",
    "shape.width=12",
    "--set",
    "task.n=5",
)


def test_train_writes_weights_configuration_and_log(tmp_path):
    done = secondlook("lab", "train", tmp_path / "out", *SMALL, "--set", "task.p=0.5", "--seeds", 2)
    assert done.code == 0, done.err
    folders = sorted(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert len(folders) == 2
    for seed, folder in enumerate(folders):
        run = Run.of(json.loads((folder / "run.json").read_text()))
        assert (run.seed, run.steps, run.shape.depth, run.task.p) == (seed, 6, 1, 0.5)
        assert folder.name == run.name
        assert {path.name for path in folder.iterdir()} == {"run.json", "log.jsonl", "cost.json", "model.safetensors"}
        assert [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()] == [0, 6]
        assert f"{run.name}: loss " in done.out


def test_a_configuration_file_is_taken_and_settings_go_before_it(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"task": {"n": 5}, "shape": {"depth": 1, "width": 12}, "batch": 8, "steps": 9}))
    assert secondlook("lab", "train", tmp_path / "out", "--config", file, "--set", "steps=3").code == 0
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    run = Run.of(json.loads((folder / "run.json").read_text()))
    assert (run.steps, run.batch, run.task.n) == (3, 8, 5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "out", "--set", "stepps=3"), "run has no field 'stepps'; known: task, shape"),
        (("train", "out", "--set", "shape.deep=3"), "shape has no field 'deep'; known: layout"),
        (("train", "out", "--set", "rate.x=3"), "only task and shape have parts"),
        (("train", "out", "--set", "steps"), "setting 'steps' is not name=value"),
        (("train", "out", "--config", "none.json"), "none.json"),
        (("train", "out", "--set", "shape=3", "--set", "shape.depth=4"), "shape is 3; give a table of its fields"),
        (("train", "out", "--set", "shape.depth=2.5"), "depth is 2.5: give a whole number"),
        (("train", "out", "--set", "steps=1", "--device", "cuda"), "device 'cuda' is not here: torch "),
        (("run", "L12"), "experiment 'L12' is unknown; known: L1"),
        (("run", "L1", "--profile", "huge"), "profile 'huge' is unknown; known: demo, quick"),
    ],
)
def test_an_error_is_one_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in secondlook("lab", *arguments).error
    assert not list(tmp_path.iterdir())


def test_a_rate_that_explodes_is_one_line(tmp_path):
    settings = ("--set", "rate=1e30", "--set", "warmup=0", "--set", "clip=0")
    line = secondlook("lab", "train", tmp_path, *SMALL, *settings).error
    assert "what was saved is kept; lower its rate of 1e+30" in line


def test_memory_that_is_not_there_is_one_line(tmp_path):
    """A real process that may have 4 GB, and a batch of 200 million problems."""
    limited = f"ulimit -v 4000000; {sys.executable} -m secondlook.cli lab train out --set batch=200000000"
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if not line.startswith("training: ")]  # how far it was
    assert [line.partition(" (")[0] for line in said] == [
        "error: out of memory; what was saved is kept. Take smaller batches, or fewer at a time"
    ]


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    """A real process, kill -9 in the middle, the same command again: weights and log are the same, bit for bit."""
    many = (
        "--set",
        "batch=64",
        "--set",
        "steps=200",
        "--set",
        "shape.depth=1",
        "--set",
        "task.n=8",
        "--save-every",
        20,
    )
    with start("lab", "train", tmp_path / "cut", *many, cwd=tmp_path) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "cut").glob("unfinished/*/checkpoint.pt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        assert finish(process).code == -signal.SIGKILL
    assert not list((tmp_path / "cut").glob("*/model.safetensors"))
    for folder in ("cut", "whole"):
        with start("lab", "train", tmp_path / folder, *many, cwd=tmp_path) as process:
            done = finish(process)
            assert done.code == 0, done.err
    (cut,), (whole,) = (list((tmp_path / name).glob("released*")) for name in ("cut", "whole"))
    for name in ("model.safetensors", "log.jsonl", "run.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_run_reports_a_claim_and_writes_its_files(tmp_path, monkeypatch):
    base = Run(Task(n=16, dx=3, dy=3), Shape(depth=1, width=12, heads=2), batch=8, steps=4, warmup=1)
    monkeypatch.setitem(PROFILES, "tiny", LabProfile("tiny", base, 2, 40, (1,), (), (1, 2)))
    done = secondlook("lab", "run", "l7", "L1", "l7", "--profile", "tiny", "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err
    assert done.out.count("L7 ") == done.out.count("L1 ") == 1
    assert "supported" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if str(tmp_path) not in line)
    for name in ("L1", "L7"):
        result = json.loads((tmp_path / "tiny" / name / "result.json").read_text())
        assert result["command"] == f"secondlook lab run {name} --profile tiny"
        assert (tmp_path / "tiny" / name / "figure.png").exists()
    assert len(list((tmp_path / "trained").glob("released*"))) == 2


def test_a_sweep_explains_its_columns_and_its_judge_says_what_a_base_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(judged, "EXAM", 32)
    file = tmp_path / "mine.toml"
    file.write_text(
        'profile = "demo"\n[run]\nsteps = 2\nbatch = 8\n"task.n" = 6\n"shape.depth" = 2\n'
        '[[variants]]\nname = "shallow"\n"shape.depth" = 1\n'
    )
    done = secondlook("lab", "sweep", file, "--out", tmp_path / "runs", "--workers", 1)
    assert "excess: loss above the least there is, in nats" in " ".join(done.out.split())
    done = secondlook("lab", "judge", file, "--trained", tmp_path / "runs", "--out", tmp_path / "judged")
    assert "shallow: base not trained\n" in done.out
    record = json.loads((tmp_path / "judged" / "mine" / "result.json").read_text())
    excess = record["variants"][0]["seeds"][0]["excess"]
    assert f"The base ended {excess:.2f} nats above the optimum at best" in done.out
    assert "Train longer: give more steps." in done.out


def test_demo_is_quick_made_smaller():
    demo, quick = PROFILES["demo"].base, PROFILES["quick"].base
    assert replace(demo, steps=quick.steps, batch=quick.batch) == quick
