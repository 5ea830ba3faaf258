"""A disk that is really full: what fitted is kept, and with more room the same command does the rest."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager

import pytest
from small_sweep import SWEEP

from command import finish, start
from secondlook.machine import processors


@contextmanager
def disk(folder, size):
    """A file system of so many bytes, in memory."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system of its own wants root")
    try:
        yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own wants root")
@pytest.mark.parametrize(
    "engine", [("--workers", 1), ("--cluster", "local", "--cpus", processors())], ids=["here", "ray"]
)
def test_what_fitted_is_kept_and_the_rest_is_done_when_there_is_room(plain, tmp_path, engine):
    """One run at a time, whatever the machine: many at once fill a small disk before the first is done."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    run = ("lab", "sweep", "sweep.toml", "--out", "disk/out", *engine)
    with disk(tmp_path / "disk", "1500k") as resize:
        full = finish(start(*run, cwd=tmp_path))
        assert full.code == 2, full
        *told, last = full.err.strip().splitlines()
        assert last.startswith("error: cannot write ")
        assert "No space left on device; what was saved before is kept" in last
        assert last.endswith("more; what was done is kept)")
        assert all(" failed, the others go on: cannot write " in line for line in told)
        assert bool(told) == ("--cluster" in engine)
        whole = {file.parent.name: file.read_bytes() for file in plain.glob("*/model.safetensors")}
        kept = {file.parent.name: file.read_bytes() for file in (tmp_path / "disk/out").glob("*/model.safetensors")}
        assert 0 < len(kept) < len(whole) == 8
        assert kept.items() <= whole.items()
        resize("20m")
        done = finish(start(*run, cwd=tmp_path))
        assert (done.code, done.err) == (0, "")
        assert (tmp_path / "disk/out/sweep.csv").read_bytes() == (plain / "sweep.csv").read_bytes()
