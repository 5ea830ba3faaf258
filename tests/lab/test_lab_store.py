"""Trained runs on disk: trained once, by one process or several, and whole or not at all."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from secondlook.cluster.here import Here
from secondlook.cluster.place import MARK
from secondlook.lab import checkpoint
from secondlook.lab.run import Run, Shape
from secondlook.lab.store import Store, kept_as
from secondlook.lab.tasks import Task
from secondlook.lab.train import Options, train

TINY = Run(Task(n=5), Shape(depth=1, width=12, heads=2), batch=8, steps=6, warmup=2)
OPTIONS = Options(exam=16, look_every=3, save_every=2)
CHANGES = ("bf16", "compile")
RUNS = [replace(TINY, seed=seed) for seed in range(3)]


def weights(trained):
    return {name: value.tolist() for name, value in trained.weights.items()}


def test_what_is_there_is_not_trained_again(tmp_path, monkeypatch):
    store, ticks = Store(tmp_path, OPTIONS), []
    first = store.train(RUNS[:2], ticks.append)
    assert sum(ticks) == pytest.approx(2)
    assert {path.name for path in tmp_path.iterdir()} == {RUNS[0].name, RUNS[1].name, ".lock", MARK}
    trained = []
    monkeypatch.setattr(
        "secondlook.lab.store.train", lambda runs, *a, **k: trained.extend(runs) or train(runs, *a, **k)
    )
    again = store.train(RUNS)
    assert trained == [RUNS[2]]
    for run in RUNS[:2]:
        assert weights(again[run]) == weights(first[run])
        assert again[run].log == first[run].log
        assert again[run].run == run


def test_several_processes_train_the_same_bit_for_bit(tmp_path):
    """Also where this process has more threads: a worker takes one."""
    torch.set_num_threads(2)
    alone = Store(tmp_path / "one", OPTIONS, together=1).train(RUNS)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    ticks = []
    apart = Store(tmp_path / "two", OPTIONS, engine=Here(2), together=1).train(RUNS, ticks.append)
    assert sum(ticks) == 3
    for run in RUNS:
        assert apart[run].log == alone[run].log
        assert all(torch.equal(value, alone[run].weights[name]) for name, value in apart[run].weights.items())


def test_what_changes_numbers_is_in_the_name(tmp_path):
    names = {kept_as(TINY, options) for options in (OPTIONS, *(replace(OPTIONS, **{name: True}) for name in CHANGES))}
    assert len({*names, kept_as(TINY, replace(OPTIONS, device="cuda:1"))}) == 4
    assert kept_as(TINY, replace(OPTIONS, save_every=7)) == kept_as(TINY, OPTIONS) == TINY.name
    Store(tmp_path, OPTIONS).train([TINY])
    half = Store(tmp_path, replace(OPTIONS, bf16=True))
    assert not half.holds(TINY)
    half.train([TINY])
    assert half.load(TINY).log != Store(tmp_path, OPTIONS).load(TINY).log


def test_an_error_in_a_process_is_the_caller_s(tmp_path):
    bad = [replace(run, rate=1e30, clip=0.0, warmup=0) for run in RUNS[:2]]
    with pytest.raises(FloatingPointError, match="lower its rate of 1e\\+30"):
        Store(tmp_path, OPTIONS, engine=Here(2), together=1).train(bad)


def test_a_run_that_was_not_trained_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="train it first"):
        Store(tmp_path).load(TINY)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    file = tmp_path / "checkpoint.pt"
    checkpoint.save(file, {"step": 1})

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*checkpoint.pt: No space left on device; what was saved before"):
        checkpoint.save(file, {"step": 2})
    assert checkpoint.load(file) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_folder_that_cannot_be_is_one_line():
    with pytest.raises(OSError, match=r"cannot write /proc/nowhere/checkpoint.pt: .*; what was saved before is kept"):
        checkpoint.save(Path("/proc/nowhere/checkpoint.pt"), {"step": 1})


def test_bytes_that_are_no_checkpoint_are_refused(tmp_path):
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(b"half a file")
    with pytest.raises(ValueError, match="is no checkpoint; remove it"):
        checkpoint.load(file)
    assert checkpoint.load(tmp_path / "none.pt") is None
