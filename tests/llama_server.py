"""llama.cpp's own server with a real model, as a process: ``python llama_server.py PORT WEIGHTS SLOTS``."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from secondlook.local.weights import find_model, get_model


@contextmanager
def llama_server(folder: Path, slots: int = 2) -> Iterator[str]:
    """Address of the server, with its ``/v1``; skips the test where program or weights cannot be had."""
    pytest.importorskip("xllamacpp", reason="llama.cpp's server is not here: pip install xllamacpp")
    try:
        weights = get_model(find_model("smollm2-135m"))
    except RuntimeError as error:
        pytest.skip(f"the weights of a small real model are not here ({error})")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "llama.log").open("w") as log:
        server = subprocess.Popen([sys.executable, __file__, str(port), weights, str(slots)], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 300
        while not _answers(f"{address}/health"):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"llama.cpp's server did not come up:\n{(folder / 'llama.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield f"{address}/v1"
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def serve(port: int, weights: str, slots: int) -> None:
    """Serve until killed."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {"smollm2"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = slots, 2048 * slots
    params.cpuparams.n_threads = 1  # more wait for each other where the machine is busy
    params.warmup = False
    held = xllamacpp.Server(params)
    while held.listening_address:
        time.sleep(60)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
