"""The gateway as it is deployed: ``secondlook serve``, a process of its own on loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Deployed:
    """Where a gateway listens, and its log so far."""

    port: int
    file: Path

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.root}/v1"

    @property
    def log(self) -> str:
        return self.file.read_text()


@contextmanager
def deployed(folder: Path, **settings: Any) -> Iterator[Deployed]:
    """A gateway with these settings; what it logs, and what it prints, is in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(exist_ok=True)
    config, log = folder / "gateway.toml", folder / "gateway.log"
    # A string, number, truth value or list of them reads the same in JSON and in TOML.
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    command = [sys.executable, "-m", "secondlook.cli", "serve", "--config", config, "--port", port]
    with log.open("w") as output:
        gateway = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)) != 0:
                if gateway.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the gateway did not come up:\n{log.read_text()}")
                time.sleep(0.05)
        yield Deployed(port, log)
        assert gateway.poll() is None, log.read_text()
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(timeout=20)
    finally:
        gateway.kill()
        gateway.wait()
