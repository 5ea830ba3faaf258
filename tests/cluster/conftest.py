"""What tests of clusters share: one cluster, and one sweep as it is without any."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray_nodes import QUIET, nodes
from small_sweep import SWEEP

from command import secondlook


@pytest.fixture(scope="package")
def two():
    """A Ray cluster of two worker nodes of one processor each, and a head that does no work."""
    with nodes("a", "b") as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield cluster


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
