"""Units of work without a cluster: done once, failures kept for the end, whose turn it is, and places."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from counted_units import Counted, all_of, begun, results
from ray_nodes import until
from upath import UPath

from command import secondlook
from secondlook.cluster import on_ray
from secondlook.cluster.here import Here
from secondlook.cluster.place import MARK, place, put, remove, there, turn
from secondlook.cluster.unit import Resources
from secondlook.machine import whole

INTERRUPTED = """
import sys
from pathlib import Path
from counted_units import Counted
from secondlook.cluster.here import Here
if __name__ == "__main__":
    Here(2).run([Counted(Path(sys.argv[1]), number, waits=True) for number in range(4)], lambda unit, part: None)
"""


def test_ctrl_c_ends_the_units_of_this_machine_and_begins_no_other(tmp_path):
    """Workers ignore it, and a unit may be a training of hours."""
    (script := tmp_path / "interrupted.py").write_text(INTERRUPTED)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    running = subprocess.Popen([sys.executable, script, tmp_path], env=os.environ | {"PYTHONPATH": path})
    try:
        until(lambda: len(begun(tmp_path)) == 2)
        workers = psutil.Process(running.pid).children()
        running.send_signal(signal.SIGINT)
        running.wait(60)  # the units wait for ever
    finally:
        running.kill()
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    assert begun(tmp_path) == {0: 1, 1: 1}
    assert results(tmp_path) == {}


@pytest.mark.parametrize("processes", [1, 2])
def test_every_unit_is_done_once_and_a_failure_stops_no_other(tmp_path, processes, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    told = Counter()

    def run(*units):
        told.clear()
        Here(processes).run(units, lambda unit, part: told.update({unit.number: part}))

    units = [Counted(tmp_path, number) for number in (0, 1, 2, 1, 0)]
    put(units[2].result, b"4")
    for _ in range(2):
        run(*units)
        assert told == {0: 2, 1: 2, 2: 1}
        assert begun(tmp_path) == {0: 1, 1: 1}
    assert results(tmp_path) == all_of(3)
    with pytest.raises(FloatingPointError, match=r"^number 3 is bad$"):
        run(Counted(tmp_path, 3, fails="float"), Counted(tmp_path, 4), Counted(tmp_path, 5))
    assert results(tmp_path).keys() == {0, 1, 2, 4, 5}
    assert told[4] == told[5] == 1 > told[3]


def test_of_several_failures_the_first_says_how_many_there_are(tmp_path):
    units = [Counted(tmp_path, number, fails="value") for number in range(3)]
    with pytest.raises(ValueError, match=r"^number 0 is bad \(unit-0, and 2 more; what was done is kept\)$"):
        Here().run(units, lambda *_: None)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"cpus": -1}, "cpus is -1: give 0 or more"),
        ({"gpus": 1.5}, "gpus is 1.5: give a part of one, or a whole number"),
        ({"cpus": 0}, "cpus and gpus are 0: a unit takes something of a machine"),
        ({"cpus": float("nan")}, "cpus is nan: give 0 or more"),
    ],
)
def test_resources_that_cannot_be(values, says):
    with pytest.raises(ValueError, match=says):
        Resources(**values)


def test_a_folder_has_one_turn_and_a_process_that_is_killed_gives_it_back(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from secondlook.cluster.place import turn\n"
        "with turn(Path(sys.argv[1])): print('mine', flush=True); time.sleep(3600)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "mine\n"
    taken = rf"is being worked on by process {other.pid} of \S+ since .*--out"
    with pytest.raises(ValueError, match=taken), turn(tmp_path):
        pytest.fail("two at a time")
    run = ("lab", "run", "L7", "--profile", "demo", "--trained", tmp_path, "--out", tmp_path / "out")
    assert "is being worked on by process" in secondlook(*run).error
    other.kill()
    other.communicate()
    for _ in range(2):
        with turn(tmp_path):
            assert str(os.getpid()) in (tmp_path / MARK).read_text()


def test_a_folder_in_which_nothing_was_done_goes_with_the_turn(tmp_path):
    with turn(tmp_path / "runs" / "one"):
        assert (tmp_path / "runs" / "one" / MARK).is_file()
    assert [*(tmp_path / "runs").iterdir()] == []
    with turn(tmp_path / "two"):
        (tmp_path / "two" / "result").touch()
    (own := tmp_path / "three").mkdir()
    with turn(own):  # which was there before
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"runs", "two", "three"}


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused = r"cannot write into folder .* \(No space left on device\); choose another --out"
    with pytest.raises(ValueError, match=refused), turn(tmp_path):
        pytest.fail("begun on a full disk")
    with pytest.raises(OSError, match=r"cannot write .*: No space left on device; what was saved before is kept"):
        Here().run([Counted(tmp_path, 0)], lambda *_: None)
    assert results(tmp_path) == {}


def test_a_file_that_cannot_be_written_is_told_from_one_that_the_writer_cannot_read(tmp_path):
    file, own = tmp_path / "file", resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(FileNotFoundError, match=r"No such file .*absent'$"), whole(file) as out:
        out.write((tmp_path / "absent").read_bytes())
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, own[1]))
    try:
        with pytest.raises(OSError, match=r"^cannot write .*file: File too large; what was saved"), whole(file) as out:
            out.write(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, own)
    assert not list(tmp_path.iterdir())


def test_a_file_is_as_readable_as_any_new_one_and_the_mask_is_never_touched(tmp_path, monkeypatch):
    (tmp_path / "usual").touch()
    monkeypatch.delattr(os, "umask")
    for name, private in (("result", False), ("keys", True)):
        with whole(tmp_path / name, private=private) as out:
            out.write(b"1")
    usual, result, keys = ((tmp_path / name).stat().st_mode & 0o777 for name in ("usual", "result", "keys"))
    assert result == usual
    assert keys == 0o600


def test_a_node_with_other_prompts_has_another_version(tmp_path, monkeypatch):
    files = [tmp_path / name for name in ("cluster/on_ray.py", "prompts/self.toml", "pages/page.html.j2")]
    for file in (*files, tmp_path / "cluster/__pycache__/on_ray.pyc"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("one")
    monkeypatch.setattr(on_ray, "__file__", str(files[0]))
    found = [on_ray._digest.__wrapped__()]
    for file in files:
        file.write_text("another")
        found.append(on_ray._digest.__wrapped__())
    assert len(set(found)) == 4
    (tmp_path / "cluster/__pycache__/on_ray.pyc").write_text("compiled anew")
    assert on_ray._digest.__wrapped__() == found[-1]


def test_what_fits_on_a_disk_is_kept_and_the_rest_is_done_when_there_is_room(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system of its own wants root")
    try:
        units = [Counted(tmp_path, number, size=300_000) for number in range(8)]
        full = r"^cannot write .*: No space left on device; .* \(unit-3, and 4 more; what was done is kept\)$"
        with pytest.raises(OSError, match=full):
            Here().run(units, lambda *_: None)
        assert results(tmp_path) == all_of(3)
        subprocess.run(["mount", "-o", "remount,size=4m", tmp_path], check=True)
        Here().run(units, lambda *_: None)
        assert results(tmp_path) == all_of(8)
        assert begun(tmp_path) == {number: 1 + (number > 2) for number in range(8)}
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_an_address_is_a_place_too():
    folder = place("memory://shelf/a")
    assert not there(folder / "x")
    put(folder / "x", b"1")
    assert there(folder / "x")
    assert (folder / "x").read_bytes() == b"1"
    remove(folder / "x")
    remove(folder / "x")
    assert not there(folder / "x")
    assert isinstance(place("a/b"), Path)
    assert not isinstance(folder, Path)


@pytest.mark.parametrize("address", ["nope://bucket/x", "gs://bucket/x"])
def test_an_address_nobody_can_read_is_one_line(address):
    with pytest.raises(ValueError, match=r"cannot be used: "):
        place(address)


def test_a_store_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    bucket = UPath("s3://nowhere/x", endpoint_url="http://127.0.0.1:9", config_kwargs={"retries": {"max_attempts": 0}})
    with pytest.raises(OSError, match=r"cannot (look for|write) .*what was saved before is kept"):
        put(bucket / "y", b"1")


NO_RAY = """
import importlib, pkgutil, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import secondlook
for module in pkgutil.walk_packages(secondlook.__path__, "secondlook."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from secondlook import cli
for command in sys.argv[1:]:
    sys.argv = ["secondlook", *command.split()]
    try:
        cli.main()
    except SystemExit as left:
        print(left.code)
"""


def test_without_ray_everything_else_is_there_and_the_message_says_what_to_install(tmp_path):
    commands = (
        "eval planted --model secondlook/planted-0.1m --limit 11 --cluster local --out x",
        "lab run L7 --profile demo --cluster auto --out x",
        "reproduce L7 --cluster 127.0.0.1:6379 --out x",
    )
    asked = subprocess.run([sys.executable, "-c", NO_RAY, *commands], cwd=tmp_path, capture_output=True, text=True)
    assert asked.stdout == "2\n2\n2\n"
    assert asked.stderr == "error: runs on a cluster need Ray: pip install 'secondlook[cluster]'\n" * 3


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    """As /dev/stdout is: replaced by a file, it would be gone for every other program."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole(pipe) as file:
        file.write(b"said")
    assert os.read(reader, 9) == b"said"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [one.name for one in tmp_path.iterdir()] == ["pipe"]
    with whole(Path("/dev/null")) as file:
        file.write(b"said")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
