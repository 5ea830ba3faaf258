"""What tests of clusters share: one sweep, and what it leaves without any cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_sweep import SWEEP

from command import secondlook


@pytest.fixture
def sweep(tmp_path) -> Path:
    """The file of a sweep of four small trainings."""
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return tmp_path / "sweep.toml"


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """What the sweep leaves without a cluster, in one process."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "sweep.toml").write_text(SWEEP)
    done = secondlook("lab", "sweep", folder / "sweep.toml", "--out", folder / "out", "--workers", 1)
    assert done.code == 0, done.err
    return folder / "out"
