"""What tests of clusters share."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_sweep import SWEEP

from command import finish, start


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """What the small sweep leaves without a cluster, in one process."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "sweep.toml").write_text(SWEEP)
    done = finish(start("lab", "sweep", "sweep.toml", "--out", "out", "--workers", 1, cwd=folder))
    assert done.code == 0, done.err
    return folder / "out"
