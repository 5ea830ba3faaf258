"""Several workers are one gateway: one log, one set of limits and counters, and one end."""

import json
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

import httpx
import psutil
import pytest
from deployed import deployed
from servers import Running, Upstream, free_port, until

from secondlook.gateway import serve
from secondlook.gateway.audit import query
from secondlook.gateway.settings import GatewaySettings

COUNTED = 'secondlook_requests_total{outcome="200",reason="always",status="kept"}'


@pytest.fixture
def upstream():
    upstream = Upstream(lambda asked: "Fine.\nVerdict: correct", held=threading.Event())
    with Running(upstream) as root:
        yield upstream, f"{root}/v1"


def ask(gateway, path="/v1/chat/completions"):
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    # A connection of its own: any worker may take it.
    with httpx.Client(timeout=60) as client:
        return (
            client.post(gateway.root + path, json=body) if path.startswith("/v1") else client.get(gateway.root + path)
        )


def test_a_gateway_says_at_once_that_no_upstream_answers(tmp_path, upstream):
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    with deployed(tmp_path / "lost", upstream=nowhere) as gateway:
        until(lambda: '"no upstream"' in gateway.log)
        (said,) = (json.loads(line) for line in gateway.log.splitlines() if '"no upstream"' in line)
        assert (said["level"], said["upstream"]) == ("warning", nowhere)
        assert ask(gateway, "/healthz").status_code == 200
    server, address = upstream
    server.held.set()
    with deployed(tmp_path / "found", upstream=address) as gateway:
        until(lambda: [asked.path for asked in server.asked] == ["/v1/models"])
        assert ask(gateway, "/v1/chat/completions").status_code == 200
    assert "no upstream" not in gateway.log


def test_workers_are_one_gateway(tmp_path, upstream):
    server, address = upstream
    settings = {"policy": "always", "max_in_flight": 4, "audit_file": str(tmp_path / "a.db"), "ready": "server"}
    with (
        deployed(tmp_path / "g", "--workers", 2, upstream=address, **settings) as gateway,
        ThreadPoolExecutor(24) as pool,
    ):
        main = psutil.Process(gateway.process.pid)
        workers = until(lambda: len(found := serving(main)) == 2 and found)
        asked = [pool.submit(ask, gateway) for _ in range(24)]
        until(lambda: sum(each.done() for each in asked) == 20)
        assert {each.result().status_code for each in asked if each.done()} == {429}
        assert "secondlook_in_flight 4.0" in ask(gateway, "/metrics").text
        server.held.set()
        assert sorted(each.result().status_code for each in asked) == [200] * 4 + [429] * 20
        for _ in range(20):
            assert ask(gateway).status_code == 200
        assert f"{COUNTED} 24.0" in ask(gateway, "/metrics").text
        assert len(query(tmp_path / "a.db")) == 44

        # One that is killed leaves its places, and gets a successor.
        server.held.clear()
        lost = [pool.submit(ask, gateway) for _ in range(4)]
        until(lambda: sum(asked.method == "POST" for asked in server.asked) == 3 * 24 + 4)
        for worker in workers:
            worker.kill()
        for each in lost:
            with pytest.raises(httpx.HTTPError):
                each.result()
        server.held.set()
        until(lambda: len({*serving(main)} - {*workers}) == 2)
        assert ask(gateway).status_code == 200
        assert f"{COUNTED} 25.0" in ask(gateway, "/metrics").text

        # All end together, once what they were asked is answered.
        server.held.clear()
        last = [pool.submit(ask, gateway) for _ in range(4)]
        until(lambda: "secondlook_in_flight 4.0" in ask(gateway, "/metrics").text)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: not open_(gateway.port))
        server.held.set()
        assert [each.result().status_code for each in last] == [200] * 4
        assert gateway.process.wait(60) == 0
        assert not any(worker.is_running() for worker in workers)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("worker", [0, 1])
def test_a_signal_while_workers_start_ends_them(monkeypatch, worker, after):
    """Before a worker's process is there, or as soon as it is, with another yet to start."""
    context, made = get_context("spawn"), []

    class Interrupted:
        def __init__(self, **named):
            self.process = context.Process(**named)
            made.append(self)

        def start(self):
            if not after and len(made) == worker + 1:
                os.kill(os.getpid(), signal.SIGTERM)
            self.process.start()
            if after and len(made) == worker + 1:
                os.kill(os.getpid(), signal.SIGTERM)

        def __getattr__(self, name):
            return getattr(self.process, name)

    shown = SimpleNamespace(Process=Interrupted, RawArray=context.RawArray, Pipe=context.Pipe)
    monkeypatch.setattr(serve, "get_context", lambda _: shown)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serve._supervise(2, GatewaySettings(upstream="http://127.0.0.1:1/v1"), listening, 1, 30)
            assert listening.fileno() == -1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in made:
            if each.is_alive():
                each.kill()
    assert [each.is_alive() for each in made] == [False] * len(made)


def serving(main):
    """Its workers; another child keeps count of what they share."""
    found = []
    for child in main.children():
        try:
            found += [child] * ("spawn_main" in " ".join(child.cmdline()))
        except psutil.Error:  # it has ended
            continue
    return found


def open_(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
