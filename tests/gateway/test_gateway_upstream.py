"""Calls to the upstream are repeated only where that is safe, as late as it asks, and all are counted."""

import gzip
import socket
import threading
import time
from dataclasses import replace
from email.utils import formatdate

import anyio
import pytest
from servers import Pair, free_port, script

from secondlook.gateway import upstream as room
from secondlook.gateway.repeat import asked_to_wait, pause
from secondlook.gateway.upstream import UpstreamError


def reply(status, body=b"{}", **headers):
    return status, [(name.replace("_", "-"), value) for name, value in headers.items()], body


def call(say, *, address=None, streamed=False, body=b"{}", headers=(("x-a", "1"),), held=False, **options):
    """One call to an upstream that answers as told: what came, what the upstream was asked, and what was counted."""
    tally = room.Tally()

    async def send(where):
        async with room.Upstream(f"{where}/v1", **options) as upstream:
            try:
                if not streamed:
                    return await upstream.send("POST", "/chat/completions", headers, body, tally)
                async with upstream.stream("POST", "/chat/completions", headers, body, tally) as found:
                    chunks = [chunk async for chunk in found.chunks]
                return replace(found.begun, body=b"".join(chunks))
            except UpstreamError as error:
                error.tally = tally
                raise

    with Pair(say, held=held) as pair:
        return anyio.run(send, address or pair.direct), pair.upstream.asked, tally


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_what_was_surely_not_answered_is_asked_again(status, streamed):
    found, asked, tally = call(script(reply(status), reply(status), "done"), streamed=streamed)
    assert (found.status, tally.calls, tally.unanswered, len(asked)) == (200, 3, 0, 3)


@pytest.mark.parametrize("streamed", [False, True])
def test_after_the_last_repeat_the_answer_is_what_it_is(streamed):
    found, asked, tally = call(lambda _: reply(429, b"slow down"), retries=2, streamed=streamed)
    assert (found.status, tally.calls, len(asked)) == (429, 3, 3)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_may_have_been_answered_is_not_asked_again_unless_told_to(status):
    found, asked, tally = call(script(reply(status, b"x"), "done"))
    assert (found.status, found.body, tally.calls, tally.unanswered, len(asked)) == (status, b"x", 1, 0, 1)
    found, asked, tally = call(script(reply(status), "done"), retry_uncertain=True)
    assert (found.status, tally.calls, tally.unanswered, len(asked)) == (200, 2, 1, 2)


@pytest.mark.parametrize("failure", [(200, [("content-length", "99")], [b"half", None]), (200, [], [b"half", None])])
def test_a_line_that_is_cut_is_counted(failure):
    with pytest.raises(UpstreamError) as caught:
        call(script(failure))
    assert (caught.value.kind, caught.value.tally.calls, caught.value.tally.unanswered) == ("cut", 1, 1)
    found, asked, tally = call(script(failure, failure, "done"), retry_uncertain=True)
    assert (found.status, tally.calls, tally.unanswered, len(asked)) == (200, 3, 2, 3)


def test_a_stream_that_is_cut_is_not_begun_again():
    cut = (200, [("content-type", "text/event-stream")], [b"data: 1\n\n", None])
    with pytest.raises(UpstreamError) as caught:
        call(script(cut, "done"), streamed=True, retry_uncertain=True)
    assert (caught.value.kind, caught.value.tally.calls, caught.value.tally.unanswered) == ("cut", 1, 1)


def test_one_that_hangs_is_given_up():
    with pytest.raises(UpstreamError) as caught:
        call(None, held=True, timeout=0.2)
    assert (caught.value.kind, caught.value.tally.unanswered) == ("timeout", 1)


def test_one_that_drips_is_no_hang():
    found, *_ = call(lambda _: (200, [], [b"a", 0.7, b"b", 0.7, b"c", 0.7, b"d"]), timeout=2.0)
    assert found.body == b"abcd"


def test_nobody_there_is_tried_again_and_never_counted_as_billed():
    with pytest.raises(UpstreamError, match="no connection to the upstream") as caught:
        call(None, address=f"http://127.0.0.1:{free_port()}", retries=2)
    assert (caught.value.kind, caught.value.tally.calls, caught.value.tally.unanswered) == ("refused", 3, 0)


def test_what_is_no_http_is_garbage():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            line, _ = server.accept()
            with line:
                line.recv(1000)
                line.sendall(b"hello there\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(UpstreamError, match="is not HTTP") as caught:
            call(None, address=f"http://127.0.0.1:{server.getsockname()[1]}", retries=0)
        answering.join()
    assert (caught.value.kind, caught.value.tally.unanswered) == ("garbage", 1)


@pytest.mark.parametrize("asked", ["0.4", "date"])
def test_it_waits_as_long_as_it_is_asked_to(asked):
    # A date has whole seconds: two from now are one to two.
    value = formatdate(time.time() + 2, usegmt=True) if asked == "date" else asked
    begun = time.monotonic()
    found, *_ = call(script(reply(429, retry_after=value), "done"))
    assert found.status == 200
    assert time.monotonic() - begun >= (0.9 if asked == "date" else 0.4)


def test_who_asks_for_a_longer_pause_is_passed_on_at_once():
    found, asked, tally = call(lambda _: reply(429, b"x", retry_after="3600"))
    assert (found.status, tally.calls, len(asked)) == (429, 1, 1)
    assert found.header("retry-after") == "3600"


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3.0), ("-1", 0.0), ("soon", None), ("", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)]
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert asked_to_wait([("Retry-After", value)]) == seconds


@pytest.mark.parametrize(("attempt", "bound"), [(1, 0.25), (2, 0.5), (3, 1.0), (9, 8.0)])
def test_pauses_grow_and_are_random(attempt, bound):
    drawn = [pause(attempt, None) for _ in range(1000)]
    assert max(drawn) <= bound
    assert bound * 0.4 < sum(drawn) / len(drawn) < bound * 0.6
    assert len(set(drawn)) > 900
    assert all(3.0 <= pause(attempt, 3.0) <= 4.0 for _ in range(100))


@pytest.mark.parametrize("key", [None, "k"])
def test_headers_of_a_connection_and_of_ours_stay_here(key):
    sent = (
        ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Proxy-Authorization", "p"), ("Accept-Encoding", "br"),
        ("X-Secondlook-Task", "t"), ("Authorization", "Bearer mine"), ("X-Odd", "kept"),
    )  # fmt: skip
    _, (asked,), _ = call(None, headers=sent, key=key)
    assert asked.header("authorization") == ("Bearer k" if key else "Bearer mine")
    assert asked.header("x-odd") == "kept"
    assert {name for name, _ in asked.headers} <= {"authorization", "x-odd", "host", "content-length"}


def test_what_came_compressed_is_passed_on_plain():
    packed = gzip.compress(b'{"a": 1}')
    found, asked, _ = call(lambda _: reply(200, packed, content_encoding="gzip", content_type="application/json"))
    assert found.body == b'{"a": 1}'
    assert not [name for name, _ in found.headers if name.lower() in ("content-encoding", "content-length")]
    assert asked[0].header("accept-encoding") is None
