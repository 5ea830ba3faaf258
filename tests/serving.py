"""``transformers serve`` with a shipped checkpoint, as a process of its own on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from secondlook.local.model import checkpoint


@contextmanager
def serving(name: str, folder: Path) -> Iterator[str]:
    """Address of a server, with its ``/v1``; its log is in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    command = [Path(sys.executable).with_name("transformers"), "serve", checkpoint(name)]
    options = ["--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    # Continuous batching is what makes this server fast enough for a test; unless told how much memory it may have, it
    # clears most of what there is before its first answer.
    options += ["--continuous-batching", "--cb-num-blocks", "256"]
    with log.open("w") as output:
        server = subprocess.Popen(
            [str(word) for word in (*command, *options)],
            stdout=output,
            stderr=subprocess.STDOUT,
            # One thread is enough for so small a model, and does not fight for the cores of a busy machine.
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"transformers serve did not come up:\n{log.read_text()[-2000:]}")
