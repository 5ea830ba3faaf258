"""Heads of requests that are too long or too late, on lines of their own."""

import socket
import threading
import time

import pytest
from servers import HTTP, Running

from secondlook.gateway import heads

CLOSED = (ConnectionResetError, BrokenPipeError)
HOLD = threading.Event()


async def echo(scope, receive, send):
    if scope["path"] == "/hold":
        HOLD.wait(60)  # nobody is read meanwhile, so what comes then comes in one piece
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HEAD_SECONDS", 1.0)
        # What is set is read when a connection stands, so all of this module's have it.
        with Running(echo, http=heads.Protocol, timeout_keep_alive=60, lifespan="off") as root:
            yield int(root.rpartition(":")[2])


@pytest.fixture
def line(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        yield line


def send(line, *pieces, pause=0.0):
    for piece in pieces:
        line.sendall(piece)
        time.sleep(pause)


def read(line):
    """Everything until the line is closed."""
    said = b""
    try:
        while part := line.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize("piece", [b"x: " + b"y" * 1000 + b"\r\n", b"y" * 1000])
def test_a_head_without_end_is_read_no_further(port, piece, monkeypatch):
    monkeypatch.setattr(heads, "HEAD_SECONDS", 1000.0)  # so that it is not closed for its slowness
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line, pytest.raises(CLOSED):
        send(line, b"GET / HTTP/1.1\r\nx: ", *[piece] * (200 * heads.HEAD_BYTES // len(piece)))


@pytest.mark.parametrize("size", [10_000, heads.HEAD_BYTES - 1000])
def test_a_long_head_is_read(port, size):
    assert HTTP.get(f"http://127.0.0.1:{port}/", headers={"x": "y" * size}).status_code == 200


FIRST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx: ", FIRST + b"GET / HTTP/1.1\r\n"]
)
def test_a_head_that_does_not_come_is_not_waited_for(line, begun):
    since = time.monotonic()
    line.sendall(begun)
    assert (b" 200 " in read(line)) == begun.startswith(FIRST)
    assert time.monotonic() - since > 0.9


def test_a_head_that_drips_is_not_waited_for(line):
    with pytest.raises(CLOSED):
        send(line, *[b"x"] * 1000, pause=0.05)


def test_only_heads_are_waited_for_so_long(line):
    # A body may drip, an answered connection may rest, and a large body may end in the piece with the next head.
    line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n")
    send(line, *[b"z"] * 12, pause=0.1)
    assert line.recv(65536).endswith(b"z" * 12)
    time.sleep(1.2)
    line.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
    large = b"z" * (heads.HEAD_BYTES + 30_000)
    second = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(large)
    line.sendall(second + large + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    HOLD.set()
    said = read(line)
    assert said.count(b"HTTP/1.1 200") == 3
    assert large in said


OFFER = b"connection: upgrade\r\nupgrade: h2c\r\n"


@pytest.mark.parametrize("cut", [0, 1, 60, -1])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_of_another_protocol_costs_no_body(line, cut, chunked):
    size, body = (
        (b"transfer-encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n") if chunked else (b"content-length: 4", b"body")
    )
    data = b"POST / HTTP/1.1\r\nhost: x\r\n" + OFFER + size + b"\r\n\r\n" + body
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(data[:cut])
    time.sleep(0.02)
    line.sendall(data[cut:] + b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n")
    time.sleep(0.02)
    line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nend")
    assert [part.partition(b"\r\n\r\n")[2] for part in read(line).split(b"HTTP/1.1 200 OK")[1:]] == [
        b"body", b"", b"end",
    ]  # fmt: skip


@pytest.mark.parametrize("offer", [b"connection: close\r\n", b"upgrade: h2c\r\nconnection: upgrade, close\r\n"])
@pytest.mark.parametrize("rest", [b"\r\n", b"odd", FIRST])
def test_what_follows_a_last_request_is_read_over(line, offer, rest):
    line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n" + offer + b"\r\nend" + rest)
    said = read(line)
    assert (said.count(b"HTTP/1.1"), said[:12], said[-3:]) == (1, b"HTTP/1.1 200", b"end")


def test_a_gateway_is_no_proxy(line):
    line.sendall(b"CONNECT other:80 HTTP/1.1\r\nhost: x\r\n\r\nmore")
    assert read(line).startswith(b"HTTP/1.1 400")
