"""Units on a real Ray cluster of two worker nodes: what is lost when a node, a driver or a worker dies: nothing."""

from __future__ import annotations

import json
import signal
import socket

import psutil
import pytest
from counted_units import GO, all_of, begun, driver, journal, results
from ray_nodes import until
from small_sweep import SWEEP, files

from command import finish, secondlook, start


def test_units_are_done_once_and_a_node_that_is_killed_repeats_what_it_had_in_hand(two, tmp_path):
    two.add("c")
    running = driver(two, tmp_path, 9, free=3)
    until(lambda: len(results(tmp_path)) == 3 and len(begun(tmp_path)) == 6)
    two.kill("c")
    (tmp_path / GO).touch()
    done = finish(running)
    assert (done.code, done.out) == (0, "told of 9\n"), done.err
    assert done.err.count(" is gone; ") <= 1
    assert results(tmp_path) == all_of(9)
    assert sum(begun(tmp_path).values()) == 9 + 1
    assert len({node for _, node, _ in journal(tmp_path)}) == 3, "a node did nothing"
    assert finish(driver(two, tmp_path, 9, free=9)).out == "told of 9\n"
    assert sum(begun(tmp_path).values()) == 9 + 1


def test_a_driver_lets_no_other_in_and_when_it_is_killed_its_successor_does_the_rest(two, tmp_path):
    first = driver(two, tmp_path, 8, free=3)
    until(lambda: len(results(tmp_path)) == 3 and len(begun(tmp_path)) == 5)
    second = finish(driver(two, tmp_path, 8, free=8))
    assert second.code == 2
    assert second.err.startswith(f"error: {tmp_path} is being worked on by process {first.pid} of ")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / GO).touch()
    done = finish(driver(two, tmp_path, 8, free=8))
    assert (done.code, done.out) == (0, "told of 8\n"), done.err
    assert results(tmp_path) == all_of(8)
    counts = begun(tmp_path)
    assert all(counts[number] == 1 for number in range(3))
    assert sum(counts.values()) <= 8 + 2, "two processors have two units in hand"


def test_a_worker_that_dies_whenever_it_tries_is_one_line_and_stops_no_other(two, tmp_path):
    done = finish(driver(two, tmp_path, 4, 4, "0=dies", "2=value"))
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert "number 2 is bad" in last or "a worker died 4 times" in last
    assert "and 1 more; what was done is kept" in last
    assert results(tmp_path) == {1: 1, 3: 9}
    assert begun(tmp_path) == {0: 4, 1: 1, 2: 1, 3: 1}


def test_a_folder_that_a_node_does_not_see_is_one_line(two, tmp_path):
    """The driver's mark is taken away under the workers, as if they looked at a disk of their own."""
    running = driver(two, tmp_path, 6, free=0)
    until(lambda: len(begun(tmp_path)) == 2)
    (tmp_path / ".driver.json").unlink()
    (tmp_path / GO).touch()
    done = finish(running)
    assert done.code == 2
    assert "does not see" in done.err
    assert "give --out a folder that all nodes share, or an address of an object store" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_sweep_that_is_killed_and_goes_on_is_the_one_without_a_cluster(two, plain, sweep):
    run = ("lab", "sweep", sweep, "--out", sweep.parent / "out", "--cluster", two.address)
    running = start(*run, cwd=sweep.parent)
    until(lambda: len(list((sweep.parent / "out").glob("*/model.safetensors"))) >= 2)
    running.kill()
    running.communicate()
    again = finish(start(*run, cwd=sweep.parent))
    assert (again.code, again.err) == (0, "")
    assert files(sweep.parent / "out") == files(plain)


@pytest.mark.soak
def test_what_no_node_has_is_one_line(two, sweep):
    sweep.write_text(SWEEP + "[resources]\ncpus = 1\ngpus = 2\n")
    done = finish(start("lab", "sweep", sweep, "--out", "out", "--cluster", two.address, cwd=sweep.parent))
    assert "no node has the 1 processors and 2 accelerators of a unit (nodes: " in done.error
    assert "lower --cpus or --gpus, or add a node" in done.error


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:9", "nobody listens at 127.0.0.1:9 ("),
        ("nonsense", "cluster 'nonsense' is no address: give local, auto, HOST:PORT, or ray://HOST:PORT"),
        pytest.param("silent", "does not answer as the head of a Ray cluster; correct it", marks=pytest.mark.soak),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line(sweep, address, says):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = address.replace("silent", f"127.0.0.1:{listener.getsockname()[1]}")
        done = secondlook("lab", "sweep", sweep, "--out", sweep.parent / "out", "--cluster", address)
    assert says in done.error
    assert not list(sweep.parent.glob("out/*/model.safetensors"))


@pytest.mark.soak
def test_ctrl_c_leaves_one_line_and_no_unit_goes_on(two, sweep):
    sweep.write_text(SWEEP.replace("steps = 20", "steps = 2000"))
    running = start("lab", "sweep", sweep, "--out", "out", "--cluster", two.address, cwd=sweep.parent)
    until(lambda: list((sweep.parent / "out" / "unfinished").glob("*/checkpoint.pt")))
    running.send_signal(signal.SIGINT)
    done = finish(running)
    assert done.code == 130
    assert done.err.strip() == "error: stopped; what was logged is kept, run the same command again to go on"
    until(lambda: not [one for one in psutil.process_iter(["cmdline"]) if "ray::_do" in (one.info["cmdline"] or [""])])


@pytest.mark.soak
@pytest.mark.parametrize("names", [("T10", "T11"), ("L7",)], ids=" ".join)
def test_claims_gathered_on_a_cluster_are_those_gathered_here(two, tmp_path, names):
    claims, found = ("reproduce", *names, "--profile", "demo", "--workers", 1, "--out"), []
    for out, more in (("here", ()), ("there", ("--cluster", two.address))):
        done = finish(start(*claims, out, *more, cwd=tmp_path), timeout=3600)
        assert done.code == 0, done.err
        told = json.loads((tmp_path / out / "claims.json").read_text())
        kept = {file.name for file in (tmp_path / out / "cache").iterdir()}
        runs = {file.name for file in (tmp_path / out).glob("work/*/trained/*-s*")}
        found.append(([{**record, "seconds": 0} for record in told], kept, runs))
        assert [record["evidence"] for record in told] == ["this run"] * len(names)
    assert found[0] == found[1]
