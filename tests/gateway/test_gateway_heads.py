"""Heads of requests that are too long or too late, on lines of their own."""

import socket
import time

import httpx
import pytest
from servers import Running

from secondlook.gateway import heads

CLOSED = (ConnectionResetError, BrokenPipeError)


async def echo(scope, receive, send):
    if scope["path"] == "/hold":
        time.sleep(0.5)  # nobody is read meanwhile, so what comes then comes in one piece
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "PATIENCE", 1.0)
        # What is set is read when a connection stands, so all of this module's have it.
        with Running(echo, http=heads.Protocol, timeout_keep_alive=30, lifespan="off") as root:
            yield int(root.rpartition(":")[2])


@pytest.fixture
def line(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        yield line


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
def test_a_head_without_end_is_read_no_further(line, piece):
    sent = 0

    def send():
        nonlocal sent
        line.sendall(b"GET / HTTP/1.1\r\nx: ")
        while sent < 50 * heads.MOST:
            line.sendall(piece)
            sent += len(piece)
            time.sleep(0.0005)

    with pytest.raises(CLOSED):
        send()
    assert sent < 10 * heads.MOST


@pytest.mark.parametrize("size", [10_000, heads.MOST - 1000])
def test_a_long_head_is_read(port, size):
    assert httpx.get(f"http://127.0.0.1:{port}/", headers={"x": "y" * size}).status_code == 200


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx: "])
def test_a_head_that_does_not_come_is_not_waited_for(line, begun):
    since = time.monotonic()
    if begun:
        line.sendall(begun)
    read(line)
    assert 0.9 < time.monotonic() - since < 5


def test_nor_is_a_second_one(line):
    line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.recv(65536).startswith(b"HTTP/1.1 200")
    since = time.monotonic()
    line.sendall(b"GET / HTTP/1.1\r\nhost: ")
    assert read(line) == b""
    assert 0.9 < time.monotonic() - since < 5


def test_a_head_that_drips_is_not_waited_for(line):
    since = time.monotonic()

    def drip():
        while time.monotonic() - since < 5:
            line.sendall(b"x")
            time.sleep(0.05)

    with pytest.raises(CLOSED):
        drip()


def test_only_heads_are_waited_for_so_long(line):
    # A body may drip, an answered connection may rest, and a large body may end in the piece with the next head.
    line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n")
    for _ in range(12):
        time.sleep(0.1)
        line.sendall(b"z")
    assert line.recv(65536).endswith(b"z" * 12)
    time.sleep(1.2)
    line.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(0.1)
    large = b"z" * (heads.MOST + 30_000)
    second = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(large)
    line.sendall(second + large + b"GET / HTTP/1.1\r\nhost: x\r\n")
    time.sleep(0.6)
    line.sendall(b"connection: close\r\n\r\n")
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
    line.sendall(data[:cut])
    time.sleep(0.05)
    line.sendall(data[cut:] + b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n")
    time.sleep(0.05)
    line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nend")
    said = read(line)
    assert [part.partition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]] == [b"body", b"", b"end"]


def test_a_gateway_is_no_proxy(line):
    line.sendall(b"CONNECT other:80 HTTP/1.1\r\nhost: x\r\n\r\nmore")
    assert read(line).startswith(b"HTTP/1.1 400")
