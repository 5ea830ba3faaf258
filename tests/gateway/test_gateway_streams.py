"""Streams, passed on and looked at, and clients that go away."""

import json
import socket
import threading
from contextlib import suppress

import httpx
import pytest
from chats import CHAT, FAILING, WRONG, post, read, stream, told
from servers import Pair, completion, script, streamed, until

from secondlook.gateway.audit import query


def test_a_stream_is_passed_on_as_it_comes():
    first_came = threading.Event()
    pieces = [b"data: {}\n\n", first_came, b"data: [DO", b"NE]\n\n"]
    with Pair(lambda _: (200, [("content-type", "text/event-stream")], pieces)) as pair, stream(pair) as response:
        came = response.iter_raw()
        assert next(came) == pieces[0]
        first_came.set()  # the rest is sent only now
        assert b"".join(came) == b"data: [DONE]\n\n"
    assert response.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(("pieces", "unanswered"), [([b"data: 1\n\n"], 0), ([b"data: 1\n\n", None], 1)])
def test_only_a_stream_that_broke_off_counts_as_unanswered(pieces, unanswered, tmp_path):
    file = tmp_path / "a.db"
    with Pair(lambda _: (200, [("content-type", "text/event-stream")], pieces), audit_file=file) as pair:
        with suppress(httpx.RemoteProtocolError):
            post(pair, {**CHAT, "stream": True})
        (row,) = until(lambda: query(file))
        assert (row["calls"], row["unanswered"], row["outcome"]) == (1, unanswered, 502 if unanswered else 200)
        until(lambda: b"secondlook_upstream_calls_total 1.0" in pair.gateway.metrics.render()[1])
        assert f"secondlook_upstream_unanswered_total {unanswered}.0".encode() in pair.gateway.metrics.render()[1]


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_a_corrected_answer_is_streamed(streams, counted):
    """By an upstream that streams its answers, and by one that does not though it is asked to."""
    replies = ("5", WRONG, completion("Four is\nthe sum."))
    options = {"stream_options": {"include_usage": True}} if counted else {}
    body = {**CHAT, "stream": True, **options, "secondlook": {"transcript": True}}
    with Pair(script(*(streamed(each) if streams else each for each in replies)), policy="always") as pair:
        response = post(pair, body)
        for asked in pair.upstream.asked:
            assert (asked.json["stream"], asked.json["stream_options"]) == (True, {"include_usage": True})
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    spoken = [chunk for chunk in chunks if chunk["choices"]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in spoken) == "Four is\nthe sum."
    assert spoken[0]["choices"][0]["delta"]["role"] == "assistant"
    assert spoken[-1]["choices"][0]["finish_reason"] == "stop"
    assert spoken[-1]["secondlook"]["transcript"]["messages"]
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if not chunk["choices"]] == [36] * counted
    assert {chunk["id"] for chunk in chunks} == {"c1"}
    assert told(response) == ("corrected", "always", "always", "1", "wrong")
    assert response.headers["content-type"].startswith("text/event-stream")


def began(lines):
    """Read a stream up to its second comment."""
    assert [line for line, _ in zip(lines, range(4), strict=False) if line] == [": still here"] * 2


def test_comments_keep_a_stream_alive_while_it_is_looked_at():
    with (
        Pair(script("5", WRONG, "4"), held=True, policy="always", keep_alive=0.05) as pair,
        stream(pair) as response,
    ):
        lines = response.iter_lines()
        began(lines)
        pair.upstream.held.set()
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in map(read, rest[:-1]) if c) == "4"
    assert told(response)[1] == "looking"


@pytest.mark.parametrize("late", [False, True])
def test_a_stream_whose_first_answer_fails_ends_with_the_error(late):
    body = b'{"error": {"message": "no such model"}}'
    reply = (404, [("content-type", "application/json")], body)
    with (
        Pair(lambda _: reply, held=late, policy="always", keep_alive=0.05 if late else 60) as pair,
        stream(pair) as response,
    ):
        if late:
            lines = response.iter_lines()
            began(lines)
            pair.upstream.held.set()
            assert response.status_code == 200
            assert read([line for line in lines if line][-1]) == json.loads(body)
        else:
            assert (response.status_code, response.read()) == (404, body)


def test_a_refusal_in_a_stream_that_has_begun_is_an_event():
    with (
        Pair(script("5", FAILING[0]), held=True, policy="always", on_failure="closed", keep_alive=0.05) as pair,
        stream(pair) as response,
    ):
        lines = response.iter_lines()
        began(lines)
        pair.upstream.held.set()
        assert read([line for line in lines if line][-1])["error"]["code"] == "second_look_failed"


def test_a_stream_that_is_cut_upstream_is_cut_here():
    cut = (200, [("content-type", "text/event-stream")], [b"data: 1\n\n", None])
    with Pair(lambda _: cut) as pair, pytest.raises(httpx.RemoteProtocolError):
        post(pair, {**CHAT, "stream": True})


@pytest.mark.parametrize("policy", ["never", "always"])
def test_a_client_that_goes_away_takes_its_call_with_it(policy, tmp_path):
    """The upstream never answers, so that its call ends only because its client has gone."""
    file = tmp_path / "a.db"
    with Pair(held=True, policy=policy, audit_file=file) as pair:
        body = json.dumps(CHAT).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(pair.address.rpartition(":")[2]))) as line:
            line.sendall(head.encode() + body)
            until(lambda: pair.upstream.asked)
        until(lambda: pair.upstream.gone)
        (row,) = until(lambda: query(file))
        # The call was made and may be billed, though nobody waited for its answer.
        assert (row["outcome"], row["calls"], row["unanswered"]) == (499, 1, 1)
        until(lambda: b'outcome="499"' in pair.gateway.metrics.render()[1])
