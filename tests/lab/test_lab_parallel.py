"""Training by workers of a real Ray cluster: the curve of one process, whoever is killed, on however many go on."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from ray_nodes import until as until_within
from rounding import Reference

from command import Done, finish, secondlook, start
from secondlook.cluster.unit import Resources
from secondlook.lab.parallel import DataParallel
from secondlook.lab.run import Run, Shape
from secondlook.lab.store import Store
from secondlook.lab.tasks import Task
from secondlook.lab.train import Options

RUN = Run(
    Task(n=8),
    Shape(depth=1, width=24, heads=2, activation="gelu"),
    objective="pl-squared",
    batch=50,
    steps=600,
    rate=1e-3,
    warmup=5,
)
FIELDS = [
    "task.n=8",
    "shape.depth=1",
    "shape.width=24",
    "shape.heads=2",
    "shape.activation=gelu",
    "objective=pl-squared",
]
FIELDS += ["batch=50", "steps=600", "rate=1e-3", "warmup=5"]
SET = [word for field in FIELDS for word in ("--set", field)]
SAVE = ["--save-every", 20]
until = partial(until_within, seconds=240)


@pytest.fixture(scope="module")
def reference():
    return Reference.of([RUN], Options())


def training(cluster, workers: int, cwd: Path, *more: object):
    """The command in a folder, by so many workers of half a processor."""
    by = ["--cluster", cluster.address, "--workers", workers, "--cpus", 0.5]
    return start("lab", "train", "out", *SET, *SAVE, *by, *more, cwd=cwd)


def workers_of(cluster) -> list[psutil.Process]:
    """Those of Ray Train, on any node."""
    found = []
    for node in cluster.processes.values():
        for process in psutil.Process(node.pid).children(recursive=True):
            try:
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
    return found


def step_saved(folder: Path) -> int:
    """Of the checkpoint; 0 before there is one."""
    for file in (folder / "out" / "unfinished").glob("*/checkpoint.pt"):
        return int(torch.load(file, weights_only=True)["step"])
    return 0


def well_done(done: Done, told: int = 0) -> None:
    """Finished, with so many lines of failures."""
    lines = done.err.splitlines()
    assert (done.code, len(lines)) == (0, told), done
    assert all(line.startswith("a worker failed; what was saved is kept (") for line in lines), done
    assert done.out.startswith(f"{RUN.name}: loss "), done.out
    assert done.out.endswith("weights, configuration and log of each in out\n"), done.out


def test_three_workers_train_what_one_process_does(two, reference, tmp_path):
    """50 problems do not divide by three. Without Ray, what they trained is found and not trained again."""
    done = finish(training(two, 3, tmp_path))
    well_done(done)
    reference.see_that_it_is([Store(tmp_path / "out").load(RUN)])
    files = sorted((tmp_path / "out" / RUN.name).iterdir())
    assert [file.name for file in files] == ["cost.json", "log.jsonl", "model.safetensors", "run.json"]
    written = [file.stat().st_mtime_ns for file in files]
    again = secondlook("lab", "train", tmp_path / "out", *SET)
    assert (again.code, again.out.splitlines()[0]) == (0, done.out.splitlines()[0])
    assert [file.stat().st_mtime_ns for file in files] == written
    assert not list((tmp_path / "out").glob("unfinished/*"))


def test_a_worker_that_is_killed_is_replaced(two, reference, tmp_path):
    running = training(two, 2, tmp_path)
    until(lambda: step_saved(tmp_path) >= 40)
    before = workers_of(two)
    assert len(before) == 2
    before[0].kill()
    assert step_saved(tmp_path) < RUN.steps - 100, "it was killed in the middle"
    well_done(finish(running), told=1)
    reference.see_that_it_is([Store(tmp_path / "out").load(RUN)])


@pytest.mark.soak
def test_a_node_that_is_killed_leaves_the_rest_to_the_other(two, reference, tmp_path):
    """Four workers of half a processor on two nodes of one: two of them are left.

    It comes before drivers are killed: for a while after that Ray Train begins with fewer, and then looks for more.
    """
    running = training(two, 4, tmp_path)
    until(lambda: len(workers_of(two)) == 4)
    until(lambda: step_saved(tmp_path) >= 40)
    two.kill("b")
    try:
        at = step_saved(tmp_path)
        until(lambda: step_saved(tmp_path) > at + 20)
        assert len(workers_of(two)) == 2
        well_done(finish(running), told=1)
    finally:
        two.add("b")
        two.wait(3)
    reference.see_that_it_is([Store(tmp_path / "out").load(RUN)])


@pytest.mark.soak
def test_a_driver_that_is_killed_is_followed_by_one_with_more_workers_and_one_without(two, reference, tmp_path):
    for workers, step in ((1, 40), (3, 200)):
        running = training(two, workers, tmp_path)
        until(lambda step=step: step_saved(tmp_path) >= step)
        assert len(workers_of(two)) == workers
        running.kill()
        running.communicate()
        until(lambda: not workers_of(two))
    assert 200 <= step_saved(tmp_path) < RUN.steps
    well_done(finish(start("lab", "train", "out", *SET, *SAVE, cwd=tmp_path)))
    reference.see_that_it_is([Store(tmp_path / "out").load(RUN)])


def test_ctrl_c_is_one_line_and_leaves_no_worker(two, tmp_path):
    running = training(two, 2, tmp_path)
    until(lambda: step_saved(tmp_path) >= 20)
    running.send_signal(2)
    done = finish(running)
    assert done.code == 130
    assert done.err.strip() == "error: stopped; what was logged is kept, run the same command again to go on"
    until(lambda: not workers_of(two))


def test_an_error_of_a_worker_is_our_line_and_is_not_tried_again(two, tmp_path):
    """Had it been, the line would say how often."""
    done = finish(training(two, 2, tmp_path, "--set", "rate=1e30", "--set", "clip=0", "--set", "warmup=0"))
    assert done.error.startswith("the loss of released-pl-squared-merged-d1-w24-s0-")
    assert done.error.endswith("what was saved is kept; lower its rate of 1e+30")


def test_more_workers_than_there_is_room_for_or_than_problems_is_one_line(two, tmp_path):
    assert finish(training(two, 5, tmp_path)).error == (
        "the cluster has room for 4 workers of 0.5 processors and 0 accelerators, not for 5: lower --workers, --cpus "
        "or --gpus, or add nodes"
    )
    few = finish(training(two, 4, tmp_path, "--set", "batch=3"))
    assert few.error == "batch is 3: 4 workers need a problem each; lower --workers"


def test_workers_without_a_cluster_are_one_line(tmp_path):
    done = secondlook("lab", "train", tmp_path, "--workers", 2)
    assert done.error == "--workers is 2, and workers are a cluster's: give --cluster, too, e.g. local"


def test_parts_of_accelerators_are_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"gpus is 0\.5: workers that train together take whole ones, give 1"):
        DataParallel(tmp_path, Resources(1.0, 0.5))


def test_without_the_extra_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = secondlook("lab", "train", tmp_path, "--cluster", "local")
    assert done.error == "runs on a cluster need Ray: pip install 'secondlook[cluster]'"
    assert not list(tmp_path.iterdir())
