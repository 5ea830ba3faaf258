"""The programs that are measured: how each is started and asked, on which cores it runs, and what memory it holds."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from traffic.client import Work, closed_loop
from traffic.upstream import conversation

_KEY = "sk-only-for-this-bench-0123456789abcdef"
_UPSTREAM = Path(__file__).with_name("upstream.py")


@dataclass(frozen=True)
class Program:
    """A server between clients and the upstream.

    Attributes:
        name: With its version.
        command: That starts it.
        port: It listens on.
        headers: Its clients send.
        environment: It runs in, beside ours.
    """

    name: str
    command: Sequence[str]
    port: int
    headers: Sequence[str] = (f"authorization: Bearer {_KEY}",)
    environment: Mapping[str, str] = field(default_factory=dict)


def upstream(port: int) -> Program:
    """The upstream itself, which is asked directly."""
    return Program("direct", (sys.executable, str(_UPSTREAM), str(port)), port)


def gateway(behind: int, policy: str, workers: int) -> Program:
    """Our gateway."""
    port = free_port()
    command = (
        str(Path(sys.executable).with_name("secondlook")), "serve", "--upstream", f"http://127.0.0.1:{behind}/v1",
        "--policy", policy, "--port", str(port), "--workers", str(workers), "--quiet",
    )  # fmt: skip
    return Program("gateway", command, port)


def litellm(program: str, behind: int, workers: int, folder: Path) -> Program:
    """LiteLLM's proxy with the settings its own pages recommend for production, without a database."""
    port, config = free_port(), folder / "litellm.json"
    settings = {
        "model_list": [
            {
                "model_name": "m",
                "litellm_params": {"model": "openai/m", "api_key": "k", "api_base": f"http://127.0.0.1:{behind}/v1"},
            }
        ],
        "general_settings": {"master_key": _KEY, "disable_spend_logs": True, "disable_error_logs": True},
        "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True, "telemetry": False},
    }
    config.write_text(json.dumps(settings), "utf-8")  # which is YAML too
    said = subprocess.run([*shlex.split(program), "--version"], capture_output=True, text=True, check=True).stdout
    command = [*shlex.split(program), "--config", str(config), "--port", str(port), "--num_workers", str(workers)]
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return Program(f"LiteLLM {said.split()[-1]}", command, port, environment=environment)


def portkey(program: str, behind: int) -> Program:
    """Portkey's gateway as it is run in production; it is one process."""
    port, command = free_port(), shlex.split(program)
    package = next(
        (
            folder / "package.json"
            for folder in Path(command[-1]).resolve().parents
            if (folder / "package.json").exists()
        ),
        None,
    )
    version = json.loads(package.read_text("utf-8"))["version"] if package else "of unknown version"
    asked = ("x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{behind}/v1")
    return Program(
        f"Portkey {version}",
        [*command, f"--port={port}", "--headless"],
        port,
        (f"authorization: Bearer {_KEY}", *asked),
        {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
    )


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(program: Program, cores: set[int]) -> Iterator[psutil.Process]:
    """A program on some cores, once it answers and has settled; with all its processes it ends here."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            program.command,
            stdout=log,
            stderr=log,
            env={**os.environ, **program.environment},
            start_new_session=True,  # a group of its own, so that `killpg` ends workers too
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        try:
            tree = psutil.Process(process.pid)
            _settle(program, tree, process, log.fileno())
            yield tree
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _settle(program: Program, tree: psutil.Process, process: subprocess.Popen[bytes], log: int) -> None:
    """Wait until it listens, has answered, and no process of its works any more."""
    deadline = time.monotonic() + 600  # one starts in two minutes where the machine is busy
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{program.name} ended: {os.pread(log, 4000, 0).decode(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", program.port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            break
    work = Work(program.port, [conversation(0)], program.headers)
    while time.monotonic() < deadline:
        before = _worked(tree)
        time.sleep(2)
        if _worked(tree) - before < 0.2:
            rate, failed = asyncio.run(closed_loop(work, 4, answers=200))
            if rate and not failed:
                return
    raise SystemExit(f"{program.name} does not answer: {os.pread(log, 4000, 0).decode(errors='replace')}")


def _family(tree: psutil.Process) -> list[psutil.Process]:
    return [tree, *tree.children(recursive=True)]


def _worked(tree: psutil.Process) -> float:
    """Seconds of all its processes so far."""
    return sum(sum(each.cpu_times()[:2]) for each in _family(tree))


def memory(tree: psutil.Process) -> float:
    """Megabytes of all its processes; what they share counts once."""
    return sum(each.memory_full_info().pss for each in _family(tree)) / 2**20
