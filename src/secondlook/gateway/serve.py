"""Running the gateway: one process or several, a graceful end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, MutableSequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import anyio
import uvicorn

from secondlook.gateway.app import Gateway, build
from secondlook.gateway.heads import Protocol
from secondlook.gateway.limits import Limits
from secondlook.gateway.logs import LOGGER, set_up
from secondlook.gateway.metrics import SHARED
from secondlook.gateway.settings import GatewaySettings

_BACKLOG = 2048
_AGAIN = 1.0  # seconds before a worker that has ended gets a successor


def serve(
    settings: GatewaySettings,
    host: str,
    port: int,
    *,
    workers: int = 1,
    drain: int = 30,
    quiet: bool = False,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are being answered are then answered to the end.

    Args:
        settings: The gateway's.
        host: Address to listen on.
        port: Of it.
        workers: Processes that answer; they have one audit log, one set of limits and one set of counters.
        drain: Seconds that the last requests have.
        quiet: Log warnings only.
        tell: Says what will be done, a line a model and task, and that no upstream answers; by default they are logged.

    Raises:
        ValueError: A file that the settings name cannot be used.
        OSError: The address cannot be listened on.
    """
    level = 30 if quiet else 20
    set_up(level)
    _, gateway = build(settings)  # whatever is wrong with the settings is said once, and here
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError:
        raise OSError(f"http://{host}:{port} cannot be listened on; choose another --port") from None
    fields = {"address": f"http://{host}:{port}/v1", "upstream": settings.upstream, "workers": workers}
    LOGGER.info("serving", extra={"fields": fields})
    for line in gateway.policy.says():
        if tell is not None:
            tell(line)
        else:
            LOGGER.info("policy", extra={"fields": {"says": line}})
    # Beside the work: an upstream that starts later than its gateway is no fault, and nobody is to wait for it.
    threading.Thread(target=anyio.run, args=(_look_for_upstream, gateway, tell), daemon=True).start()
    with listening:
        if workers == 1:
            _work(settings, listening, [0], 0, drain, level)
        else:
            with tempfile.TemporaryDirectory(prefix="secondlook-") as folder:
                # Before any worker starts: prometheus_client chooses how it counts when it is imported.
                os.environ[SHARED] = folder
                _supervise(workers, settings, listening, drain, level)


async def _look_for_upstream(gateway: Gateway, tell: Callable[[str], None] | None) -> None:
    """Say so if no server answers at the upstream's address."""
    async with gateway.upstream:
        said = await gateway.readiness.unreachable()
    if said is None:
        return
    if tell is None:
        LOGGER.warning("no upstream", extra={"fields": {"upstream": gateway.settings.upstream, "says": said}})
    else:
        tell(f"no server answers at {gateway.settings.upstream} ({said}): start it, or give another --upstream")


def _work(
    settings: GatewaySettings,
    listening: socket.socket,
    counts: MutableSequence[int],
    worker: int,
    drain: int,
    level: int,
) -> None:
    """One worker, to its end."""
    set_up(level)
    app, gateway = build(settings, Limits(settings.max_in_flight, counts, worker))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=Protocol,
        ws="none",  # whatever else is installed
        timeout_graceful_shutdown=drain,
        timeout_keep_alive=75,  # longer than clients and proxies keep their connections
    )
    server = uvicorn.Server(config)
    gateway.draining = lambda: server.should_exit
    if (parent := parent_process()) is not None:

        def watch() -> None:
            parent.join()
            server.should_exit = True  # nobody would end it otherwise

        threading.Thread(target=watch, daemon=True).start()
    server.run(sockets=[listening])
    sys.stderr.flush()


def _supervise(workers: int, settings: GatewaySettings, listening: socket.socket, drain: int, level: int) -> None:
    """Keep so many workers, until they are asked to end and have."""
    # Not fork: a forked worker would keep prometheus_client as it was imported here, without SHARED.
    context = get_context("spawn")
    counts = context.RawArray("q", workers)
    running: dict[int, BaseProcess] = {}
    asked, ask = context.Pipe(duplex=False)
    ending = False

    def begin(worker: int) -> None:
        # A worker that was killed leaves its requests counted until here.
        counts[worker] = 0
        running[worker] = context.Process(target=_work, args=(settings, listening, counts, worker, drain, level))
        running[worker].start()

    # A signal may come in the midst of a start, which takes the socket along: its handler leaves word and does no more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ask.send_bytes(b"end"))
    for worker in range(workers):
        begin(worker)
    while running:
        wait([*(process.sentinel for process in running.values()), *(() if ending else (asked,))])
        if not ending and asked.poll():
            ending = True
            listening.close()  # nobody is to wait for an answer that does not come
            for process in running.values():
                process.terminate()
        for worker, process in [*running.items()]:
            if process.is_alive():
                continue
            del running[worker]
            if not ending:
                LOGGER.warning("worker ended", extra={"fields": {"worker": worker, "code": process.exitcode}})
                # Not where the end is asked for during the pause.
                if not asked.poll(_AGAIN):
                    begin(worker)
