"""The gateway as it is deployed, and other servers beside it: processes of their own on loopback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import free_port, until


@dataclass(frozen=True)
class Deployed:
    """Where a server listens, its process, and its log so far."""

    port: int
    file: Path
    process: subprocess.Popen[bytes]

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
def process(log: Path, port: int, *command: object) -> Iterator[Deployed]:
    """A Python process that listens on a port."""
    with log.open("w") as output:
        running = subprocess.Popen([sys.executable, *map(str, command)], stdout=output, stderr=output)
    try:

        def listens() -> bool:
            assert running.poll() is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        yield Deployed(port, log, running)
    finally:
        running.kill()
        running.wait()


@contextmanager
def deployed(folder: Path, *options: object, **settings: Any) -> Iterator[Deployed]:
    """``secondlook serve`` with these settings; what it logs, and what it prints, is in the folder."""
    port, config = free_port(), folder / "gateway.toml"
    folder.mkdir(exist_ok=True)
    # A string, number, truth value or list of them reads the same in JSON and in TOML.
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    serve = ("-m", "secondlook.cli", "serve", "--config", config, "--port", port, *options)
    with process(folder / "gateway.log", port, *serve) as gateway:
        yield gateway
        if gateway.process.poll() is None:
            gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(60) in (0, -signal.SIGTERM, -signal.SIGKILL), gateway.log
