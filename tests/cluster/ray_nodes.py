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


def until(condition, seconds: float = 60) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


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
    more: dict[str, str] = field(default_factory=dict)  # of the environment
    inside: dict[str, list[str]] = field(default_factory=dict)  # the words that lead into a node's host
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def add(self, name: str, *more: str) -> None:
        self.start(name, ["--address", self.address, "--num-cpus", "1", *more])

    def start(self, name: str, arguments: list[str]) -> None:
        with (self.temporary / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*self.inside.get(name, []), *RAY, "start", "--block", "--disable-usage-stats", *MEMORY, *arguments],
                env=os.environ | QUIET | self.more,
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
            python = [*self.inside.get("head", []), sys.executable]
            asked = subprocess.run([*python, "-c", code], env=os.environ | QUIET, capture_output=True, text=True)
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
    """A head and workers, on this host."""
    port = free_port()
    with _ending(Nodes(f"{own_address()}:{port}", _scratch())) as cluster:
        cluster.start("head", [*_head(port, 0), "--temp-dir", str(cluster.temporary)])
        for worker in workers:
            cluster.add(worker)
        cluster.wait(1 + len(workers))
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
            _ip("netns", "add", name)
        _ip("link", "add", ends["head"], "type", "veth", "peer", "name", ends["far"])
        for node, address in HOSTS.items():
            _ip("link", "set", ends[node], "netns", names[node])
            _ip("-n", names[node], "addr", "add", f"{address}/24", "dev", ends[node])
            for link in ("lo", ends[node]):
                _ip("-n", names[node], "link", "set", link, "up")
        inside = {node: ["ip", "netns", "exec", name] for node, name in names.items()}
        with _ending(Nodes(f"{HOSTS['head']}:6379", _scratch(), more, inside)) as cluster:
            of = {
                node: ["--node-ip-address", HOSTS[node], "--temp-dir", str(cluster.temporary / node)] for node in HOSTS
            }
            cluster.start("head", [*_head(6379, 1), *of["head"]])
            cluster.start("far", ["--address", cluster.address, "--num-cpus", "1", *of["far"]])
            cluster.wait(2)
            yield cluster, lambda: _ip("-n", names["far"], "link", "set", ends["far"], "down")
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _head(port: int, cpus: int) -> list[str]:
    return ["--head", "--port", str(port), "--num-cpus", str(cpus), "--include-dashboard", "false"]


def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))  # short: Ray keeps sockets in it


@contextmanager
def _ending(cluster: Nodes):
    try:
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.kill(name)
        shutil.rmtree(cluster.temporary, ignore_errors=True)
