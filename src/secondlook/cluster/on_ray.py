"""Units done on a Ray cluster. Ray schedules, retries and notices what died; here it is told what to do.

Nothing else of the package imports Ray, and this only where somebody asks for a cluster.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from secondlook.cluster.place import MARK, Place, there
from secondlook.cluster.unit import Failures, Resources, Tick, U, Unit, do, left
from secondlook.machine import processors

_INSTALL = "runs on a cluster need Ray: pip install 'secondlook[cluster]'"
_LOOK = 1.0  # seconds between looks at what is done
_PATIENCE = 5.0  # seconds for a connection, or for units that fail together
_LONGEST = 30.0  # seconds for a cluster to let somebody join
_RETRIES = 3  # of a unit whose worker died
_CLIENT = "ray://"
_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming rule; Ray warns of the old one
    # A node whose cable is pulled says no goodbye, and the driver waits for what it had in hand until a ping is not
    # answered: by Ray's own choice after 300 + 120 s. Nodes take pings of less than 60 s apart for an attack.
    "RAY_grpc_client_keepalive_time_ms": "90000",
    "RAY_grpc_client_keepalive_timeout_ms": "20000",
}
"""Ray's settings, where the user's environment has none."""


class NotSharedError(RuntimeError):
    """A node that does not see where results go; nothing more is started."""


@dataclass(frozen=True)
class OnRay:
    """A Ray cluster that this process is connected to.

    Attributes:
        where: Where results go; every node must see it.
        resources: What a unit takes.
        tell: Called with a line for each node that is lost and each unit that fails, when it happens.
    """

    where: Place
    resources: Resources
    tell: Callable[[str], None] = lambda _: None

    @property
    def described(self) -> str:
        """See `Engine.described`."""
        return f"Ray on {len(_alive(load_ray()))} nodes"

    def run(self, units: Sequence[U], tick: Tick[U]) -> None:
        """See `Engine.run`.

        A unit whose worker or node died is done again on another one, and one that had left its result is not.

        Raises:
            ValueError: No node has what a unit takes.
            NotSharedError: A node does not see the results.
        """
        ray = load_ray()
        work, failures = left(units, tick), Failures()
        if not work:
            return
        _see_that_it_fits(ray, self.resources)
        takes = {"num_cpus": self.resources.cpus, "num_gpus": self.resources.gpus}
        # `max_retries` is about workers that die: Ray does not repeat a task that raised.
        remote = ray.remote(_do).options(**takes, max_retries=_RETRIES, name=type(work[0]).__name__)
        mark, code = self.where / MARK, _digest()
        with _turn(ray, self.where):
            _wait(ray, {remote.remote(unit, mark, code): unit for unit in work}, tick, failures, self.tell)
        failures.raise_first()


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join a Ray cluster, or start one of this machine's processors for as long as this lasts.

    Args:
        address: `local`, `auto` for the cluster of this node, HOST:PORT of its head, or ray://HOST:PORT from outside.

    Raises:
        ValueError: Ray is not installed, or the address is none.
        OSError: Nobody answers there.
    """
    ray = load_ray()
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        start: dict[str, Any] = {"address": "local", "num_cpus": processors(), "include_dashboard": False}
    else:
        _reach(address)
        start = {"address": address}
    try:
        ray.init(**start, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        raise OSError(f"no Ray cluster at {address!r} can be joined ({said})") from error
    # Ray prints what befalls workers and nodes among our output, whatever it is told; we say it in a line of our own.
    vars(import_module("ray._private.worker"))["_worker_logs_enabled"] = False
    try:
        yield
    finally:
        ray.shutdown()


def _wait(
    ray: ModuleType, waiting: dict[Any, U], tick: Tick[U], failures: Failures, tell: Callable[[str], None]
) -> None:
    """Wait for units.

    If that is cut short the others go on until the connection ends, which ends them: cancelling a unit that is done at
    this very moment can abort the whole driver (Ray's issue 54260).
    """
    nodes = _alive(ray)
    while waiting:
        # All that is done by now, at one go: asking for one at a time takes the square of their number.
        done, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=_LOOK, fetch_local=False)
        for reference, error in zip(done, _errors(ray, done), strict=True):
            unit = waiting.pop(reference)
            if isinstance(error, NotSharedError):
                if waiting:  # they fail too, soon: of a unit that fails while its driver leaves Ray prints a line
                    ray.wait(list(waiting), num_returns=len(waiting), timeout=_PATIENCE, fetch_local=False)
                raise error
            if error:
                failures.add(unit, error)
                tell(f"{unit.name} failed, the others go on: {error}")
            else:
                tick(unit, 1.0)
        before, nodes = nodes, _alive(ray)
        for identity in before.keys() - nodes.keys():
            tell(f"node {before[identity]['NodeManagerHostname']} is gone; what it had in hand is done again")


def _alive(ray: ModuleType) -> dict[str, Any]:
    """Nodes that are there, by their identities."""
    return {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}


@contextmanager
def _turn(ray: ModuleType, where: Place) -> Iterator[None]:
    """Take the turn at a place among all drivers of this cluster; a driver that died has lost it.

    Raises:
        ValueError: Another driver has it.
    """
    name = hashlib.sha256(str(where).encode()).hexdigest()[:16]
    try:
        # It takes no processor from the units. Not being detached, it ends with its driver, which frees the name.
        holder = ray.remote(_Holder).options(num_cpus=0, name=name, namespace="secondlook").remote()
    except ValueError:
        raise ValueError(
            f"{where} is being worked on by another driver of this cluster; wait for it, or give another --out"
        ) from None
    try:
        yield
    finally:
        ray.kill(holder)


class _Holder:
    """An actor that does nothing: its name is taken while it lives."""


def _do(unit: Unit, mark: Place, code: str) -> None:
    """Do a unit on a worker, once it has seen the driver's folder and found the driver's code to be its own.

    Raises:
        NotSharedError: It has not.
    """
    node = socket.gethostname()
    if not there(mark):
        raise NotSharedError(
            f"node {node} does not see {mark.parent}: give --out a folder that all nodes share, or an address of an "
            "object store"
        )
    if code != _digest():
        raise NotSharedError(f"node {node} has another version of secondlook: install the same one on every node")
    do(unit)


@cache
def _digest() -> str:
    """A digest of this package's code, prompts and weights: units are pure functions only where they are the same."""
    house, total = Path(__file__).parent.parent, hashlib.sha256()
    files = (file for file in house.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    for file in sorted(files):
        total.update(f"{file.relative_to(house)}\0".encode() + file.read_bytes())
    return total.hexdigest()


def _errors(ray: ModuleType, done: list[Any]) -> list[Exception | None]:
    """Errors of units, as their own code raised them; ``None`` for most."""
    try:
        ray.get(done)  # one call for all costs a hundredth of one for each
    except ray.exceptions.RayTaskError as error:
        if len(done) == 1:
            return [error.cause if isinstance(error.cause, Exception) else RuntimeError(_last_line(error))]
    except ray.exceptions.RayError as error:
        if len(done) == 1:
            died = f"a worker died {_RETRIES + 1} times or its node cannot be reached: {_last_line(error)}"
            return [RuntimeError(died)]
    else:
        return [None] * len(done)
    # Some failed, and `ray.get` does not say which: each is asked alone.
    return [error for reference in done for error in _errors(ray, [reference])]


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def _see_that_it_fits(ray: ModuleType, resources: Resources) -> None:
    nodes = [node["Resources"] for node in _alive(ray).values()]
    if not any(n.get("CPU", 0) >= resources.cpus and n.get("GPU", 0) >= resources.gpus for n in nodes):
        have = "; ".join(f"{n.get('CPU', 0):g} processors, {n.get('GPU', 0):g} accelerators" for n in nodes)
        raise ValueError(
            f"no node has the {resources.cpus:g} processors and {resources.gpus:g} accelerators of a unit (nodes: "
            f"{have}); lower --cpus or --gpus, or add a node"
        )


def _reach(address: str) -> None:
    """See that somebody answers, and that it is Ray: Ray itself waits for minutes, and then gives up without a word."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not (colon and host and port.isdigit()):
        raise ValueError(f"cluster {address!r} is no address: give local, auto, HOST:PORT, or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise OSError(f"nobody listens at {address} ({error}); start the cluster, or correct the address") from None
    if address.startswith(_CLIENT):
        return  # a client notices by itself
    # By another process: where something else listens, Ray waits for minutes, and then ends the process it is in.
    join = f"import ray; ray.init(address={address!r}, log_to_driver=False)"
    try:
        joined = subprocess.run(  # noqa: S603
            [sys.executable, "-c", join], capture_output=True, text=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"what listens at {address} does not answer as the head of a Ray cluster; correct it") from None
    if "InvalidAuthToken" in joined.stderr:
        raise OSError(f"the cluster at {address} asks for its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN")
    if joined.returncode:
        said = (joined.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise OSError(f"the cluster at {address} cannot be joined: {said}")


def load_ray() -> ModuleType:
    """The module of Ray, imported under our settings.

    Raises:
        ValueError: It is not installed.
    """
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ModuleNotFoundError:
        raise ValueError(_INSTALL) from None
