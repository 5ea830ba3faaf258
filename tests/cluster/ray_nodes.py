"""A Ray cluster of several nodes on this machine, each of processes of its own, started as on several machines."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(16),
    "OMP_NUM_THREADS": "1",
    # Units of these tests travel by name.
    "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))),
}
"""The environment of every node, and of every driver of the cluster."""
MEMORY = ["--object-store-memory", str(80 * 2**20)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def own_address() -> str:
    """As Ray finds it, which puts it in place of loopback."""
    import ray.util

    return ray.util.get_node_ip_address()


@dataclass
class Nodes:
    """The head, which does no work, and workers by name."""

    address: str
    temporary: Path
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def add(self, name: str, cpus: int = 1) -> None:
        self.start(name, ["--address", self.address, "--num-cpus", str(cpus)])

    def start(self, name: str, arguments: list[str]) -> None:
        with (self.temporary / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*RAY, "start", "--block", "--disable-usage-stats", *MEMORY, *arguments],
                env=os.environ | QUIET,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # One after the other: nodes of one machine that start at once get in each other's way.
        end = time.monotonic() + 60
        while "Ray runtime started" not in (said := (self.temporary / f"{name}.log").read_text()):
            assert time.monotonic() < end, said
            assert self.processes[name].poll() is None, said
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        """As if the machine lost its power: every process of the node at once."""
        process = self.processes.pop(name)
        for pid in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def wait(self, alive: int, seconds: float = 60) -> None:
        """Until so many nodes are there, the head among them."""
        code = (
            "import ray,logging;"
            f"ray.init(address={self.address!r},log_to_driver=False,logging_level=logging.ERROR);"
            "print(sum(n['Alive'] for n in ray.nodes()))"
        )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = subprocess.run([sys.executable, "-c", code], env=os.environ | QUIET, capture_output=True, text=True)
            if asked.stdout.strip() == str(alive):
                return
            time.sleep(0.5)
        raise AssertionError(f"not {alive} nodes after {seconds} s: {asked.stdout} {asked.stderr}")


def family(pid: int) -> list[int]:
    """A process and all that came of it."""
    import psutil

    try:
        root = psutil.Process(pid)
        return [root.pid, *(child.pid for child in root.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def nodes(*workers: str):
    temporary = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))  # short: Ray keeps sockets in it
    port = free_port()
    cluster = Nodes(f"{own_address()}:{port}", temporary)
    head = ["--head", "--port", str(port), "--num-cpus", "0", "--include-dashboard", "false"]
    try:
        cluster.start("head", [*head, "--temp-dir", str(temporary)])
        for worker in workers:
            cluster.add(worker)
        cluster.wait(1 + len(workers))
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.kill(name)
        shutil.rmtree(temporary, ignore_errors=True)
