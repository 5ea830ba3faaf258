"""Units on a real Ray cluster of two worker nodes: what is lost when a node, a driver or a worker dies: nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from counted_units import COUNTED, all_of, begun, results
from ray_nodes import QUIET, until
from small_sweep import SWEEP, files

from command import finish, records, start


def driver(cluster, folder: Path, count: int, seconds: float) -> subprocess.Popen:
    arguments = [sys.executable, str(COUNTED), cluster.address, str(folder), str(count), str(seconds)]
    return subprocess.Popen(
        arguments, env=os.environ | QUIET, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_units_are_done_once_by_both_nodes(two, tmp_path):
    done = finish(driver(two, tmp_path, 12, 0.3))
    assert (done.code, done.out, done.err) == (0, "told of 12\n", "")
    assert results(tmp_path) == all_of(12)
    assert set(begun(tmp_path).values()) == {1}
    nodes_seen = {line.split()[1] for line in (tmp_path / "journal").read_text().splitlines()}
    assert len(nodes_seen) == 2, "one node did it all"
    assert finish(driver(two, tmp_path, 12, 0.3)).out == "told of 12\n"
    assert set(begun(tmp_path).values()) == {1}


def test_a_node_that_is_killed_loses_nothing_and_repeats_what_it_had_in_hand(two, tmp_path):
    running = driver(two, tmp_path, 14, 1.0)
    until(lambda: len(results(tmp_path)) >= 4)
    two.kill("b")
    done = finish(running)
    two.add("b")
    two.wait(3)
    assert (done.code, done.out) == (0, "told of 14\n"), done.err
    assert results(tmp_path) == all_of(14)
    counts = sorted(begun(tmp_path).values())
    assert counts[-1] <= 2
    assert sum(counts) - 14 <= 1, f"a node of one processor has one unit in hand: {counts}"


def test_a_driver_that_is_killed_leaves_what_is_done_and_its_successor_does_the_rest(two, tmp_path):
    running = driver(two, tmp_path, 12, 0.8)
    until(lambda: len(results(tmp_path)) >= 4)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    kept = results(tmp_path)
    assert len(kept) < 12
    done = finish(driver(two, tmp_path, 12, 0.8))
    assert (done.code, done.out) == (0, "told of 12\n"), done.err
    assert results(tmp_path) == all_of(12)
    counts = begun(tmp_path)
    assert all(counts[number] == 1 for number in kept)
    assert sum(counts.values()) - 12 <= 2, f"two processors have two units in hand: {counts}"


def test_two_drivers_on_one_run_are_one_too_many(two, tmp_path):
    first = driver(two, tmp_path, 4, 2.0)
    until(lambda: begun(tmp_path))
    second = finish(driver(two, tmp_path, 4, 2.0))
    assert second.code == 2
    assert second.err.startswith(f"error: {tmp_path} is being worked on by process {first.pid} of ")
    assert finish(first).out == "told of 4\n"
    assert set(begun(tmp_path).values()) == {1}


def test_a_worker_that_dies_whenever_it_tries_is_one_line_and_stops_no_other(two, tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(COUNTED.parent)!r})
from counted_units import *
from secondlook.cluster.engines import engine
from secondlook.cluster.place import turn
where = Path({str(tmp_path)!r})
units = [Counted(where, 0, fails="dies"), Counted(where, 1), Counted(where, 2, fails="value"), Counted(where, 3)]
with engine({two.address!r}, where) as works, turn(where):
    try:
        works.run(units, lambda unit, part: None)
    except Exception as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | QUIET, capture_output=True, text=True)
    said = done.stdout.strip()
    assert len(said.splitlines()) == 1, done
    assert "number 2 is bad" in said or "a worker died 4 times" in said
    assert "and 1 more; what was done is kept" in said
    assert results(tmp_path) == {1: 1, 3: 9}
    assert begun(tmp_path) == {0: 4, 1: 1, 2: 1, 3: 1}


def test_a_sweep_is_the_same_without_a_cluster_on_one_and_after_a_kill(two, plain, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run = ("lab", "sweep", "sweep.toml", "--out", "killed", "--cluster", two.address)
    running = start(*run, cwd=tmp_path)
    until(lambda: len(list((tmp_path / "killed").glob("*/model.safetensors"))) >= 2)
    running.kill()
    running.communicate()
    again = finish(start(*run, cwd=tmp_path))
    assert (again.code, again.err) == (0, "")
    assert files(tmp_path / "killed") == files(plain)


def test_ctrl_c_leaves_one_line_and_no_unit_goes_on(two, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("steps = 40", "steps = 4000"))
    running = start("lab", "sweep", "sweep.toml", "--out", "out", "--cluster", two.address, cwd=tmp_path)
    until(lambda: list((tmp_path / "out" / "unfinished").glob("*/checkpoint.pt")))
    running.send_signal(signal.SIGINT)
    done = finish(running, timeout=60)
    assert done.code == 130
    assert done.err.strip() == "error: stopped; what was logged is kept, run the same command again to go on"
    saved = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("checkpoint.pt")}
    time.sleep(4)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("checkpoint.pt")} == saved


def test_a_cluster_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    listener = socket.create_server(("127.0.0.1", 0))
    silent = f"127.0.0.1:{listener.getsockname()[1]}"
    for address, says in (
        ("127.0.0.1:9", "nobody listens at 127.0.0.1:9 ("),
        ("nonsense", "cluster 'nonsense' is no address: give local, auto, HOST:PORT, or ray://HOST:PORT"),
        (silent, f"what listens at {silent} does not answer as the head of a Ray cluster; correct it"),
    ):
        done = finish(start("lab", "sweep", "sweep.toml", "--out", "out", "--cluster", address, cwd=tmp_path))
        assert says in done.error
    listener.close()
    assert not list((tmp_path).glob("out/*/model.safetensors"))


def test_more_than_a_node_has_is_one_line(two, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP + "[resources]\ncpus = 1\ngpus = 2\n")
    done = finish(start("lab", "sweep", "sweep.toml", "--out", "out", "--cluster", two.address, cwd=tmp_path))
    assert "no node has the 1 processors and 2 accelerators of a unit (nodes: " in done.error
    assert "lower --cpus or --gpus, or add a node" in done.error


def test_a_folder_that_a_node_does_not_see_is_one_line(two, tmp_path):
    """The driver's mark is taken away under the workers, as if they looked at a disk of their own."""
    out = tmp_path / "out"
    running = driver(two, out, 6, 0.5)
    until(lambda: (out / ".driver.json").exists())
    (out / ".driver.json").unlink()
    done = finish(running)
    assert done.code == 2
    assert "does not see" in done.err
    assert "give --out a folder that all nodes share, or an address of an object store" in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.soak
def test_evaluations_in_shards_equal_the_whole(two, tmp_path):
    evaluation = ["eval", "planted", "--model", "secondlook/planted-0.1m", "--per-category", 3, "--reply-tokens", 16]
    evaluation += ["--critic", "self", "--critic", "none", "--no-diagnose"]
    whole = finish(start(*evaluation, "--out", "whole", cwd=tmp_path))
    assert whole.code == 0, whole.err
    parts = finish(start(*evaluation, "--out", "parts", "--shards", 3, "--cluster", two.address, cwd=tmp_path))
    assert parts.code == 0, parts.err
    assert records(tmp_path / "parts").equals(records(tmp_path / "whole"))
    settings = [json.loads((tmp_path / run / "run.json").read_text()) for run in ("whole", "parts")]
    assert settings[0] == settings[1]


@pytest.mark.parametrize("names", [("T10", "T11"), pytest.param(("L7",), marks=pytest.mark.soak)], ids=" ".join)
def test_claims_gathered_on_a_cluster_are_those_gathered_here(two, tmp_path, names):
    claims = ("reproduce", *names, "--profile", "demo", "--workers", 1, "--out")
    here = finish(start(*claims, "here", cwd=tmp_path))
    assert here.code == 0, here.err
    there = finish(start(*claims, "there", "--cluster", two.address, cwd=tmp_path))
    assert (there.code, there.err) == (0, "")
    took = {"seconds"}
    found = [
        [{name: value for name, value in record.items() if name not in took} for record in json.loads(file.read_text())]
        for file in (tmp_path / "here/claims.json", tmp_path / "there/claims.json")
    ]
    assert [record["evidence"] for record in found[0]] == ["this run"] * len(names)
    assert found[0] == found[1]
    assert {file.name for file in (tmp_path / "there/cache").iterdir()} == {
        file.name for file in (tmp_path / "here/cache").iterdir()
    }
    runs = [{file.name for file in out.glob("work/*/trained/*-s*")} for out in (tmp_path / "here", tmp_path / "there")]
    assert runs[0] == runs[1]
