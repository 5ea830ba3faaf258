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

import psutil

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
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
HEAD = ["--head", "--include-dashboard", "false", "--object-store-memory", str(80 * 2**20)]
WORKER = ["--num-cpus", "1", "--object-store-memory", str(80 * 2**20)]
PATIENCE = 300
"""Seconds for what takes one on an idle machine."""


def until(condition, seconds: float = PATIENCE) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@dataclass
class Nodes:
    """A head and workers by name."""

    address: str
    temporary: Path
    environment: dict[str, str]
    inside: dict[str, list[str]] = field(default_factory=dict)  # the words that lead into a node's host
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, attempts: int = 3) -> None:
        """Start a node; Ray's own patience with its parts may end on a busy machine, and then it is started again."""
        log = self.temporary / f"{name}.log"
        with log.open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [*self.inside.get(name, []), *RAY, *arguments],
                env=os.environ | self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        # One after the other: nodes of one machine that start at once get in each other's way.
        until(lambda: "Ray runtime started" in log.read_text() or self.processes[name].poll() is not None)
        if self.processes[name].poll() is not None:
            assert attempts > 1, log.read_text()
            self.start(name, *arguments, attempts=attempts - 1)

    def add(self, name: str) -> None:
        self.start(name, "--address", self.address, *WORKER)

    def kill(self, name: str) -> None:
        """As if the machine lost its power: every process of the node at once."""
        process = self.processes.pop(name)
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def nodes(*workers: str):
    """A head that does no work, and workers, on this host."""
    import ray.util

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    # As Ray finds its own address, which it puts in place of loopback.
    with _nodes(Nodes(f"{ray.util.get_node_ip_address()}:{port}", _scratch(), QUIET)) as cluster:
        cluster.start("head", *HEAD, "--port", str(port), "--num-cpus", "0", "--temp-dir", str(cluster.temporary))
        for worker in workers:
            cluster.add(worker)
        yield cluster


HOSTS = {"head": "10.77.0.1", "far": "10.77.0.2"}


@contextmanager
def two_hosts(**more: str):
    """A head that works too, and a worker, each on a host of its own: network namespaces with a cable between them.

    Args:
        more: Of the environment of the nodes.
    """
    names = {node: f"sl{os.getpid()}{node[0]}" for node in HOSTS}
    ends = {node: f"v{os.getpid()}{node[0]}" for node in HOSTS}
    try:
        for name in names.values():
            ip("netns", "add", name)
        ip("link", "add", ends["head"], "type", "veth", "peer", "name", ends["far"])
        for node, address in HOSTS.items():
            ip("link", "set", ends[node], "netns", names[node])
            ip("-n", names[node], "addr", "add", f"{address}/24", "dev", ends[node])
            for link in ("lo", ends[node]):
                ip("-n", names[node], "link", "set", link, "up")
        inside = {node: ["ip", "netns", "exec", name] for node, name in names.items()}
        with _nodes(Nodes(f"{HOSTS['head']}:6379", _scratch(), QUIET | more, inside)) as cluster:
            of = {
                node: ("--node-ip-address", HOSTS[node], "--temp-dir", str(cluster.temporary / node)) for node in HOSTS
            }
            cluster.start("head", *HEAD, "--port", "6379", "--num-cpus", "1", *of["head"])
            cluster.start("far", "--address", cluster.address, *WORKER, *of["far"])
            yield cluster, lambda: ip("-n", names["far"], "link", "set", ends["far"], "down")
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))  # short: Ray keeps sockets in it


@contextmanager
def _nodes(cluster: Nodes):
    try:
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.kill(name)
        shutil.rmtree(cluster.temporary, ignore_errors=True)
