"""Servers as they are: odd answers and streams, refused parameters, and addresses put together wrongly."""

import json
import re
import socketserver
import threading
import time

import pytest
from chats import CHAT, PROMPT, RIGHT, WRONG, post, read, told
from servers import HTTP, Pair, Running, Upstream, completion, script, streamed, until

from secondlook.gateway.audit import query
from secondlook.gateway.logs import LOGGER
from secondlook.gateway.paths import below_v1
from secondlook.gateway.settings import GatewaySettings

STREAM = {**CHAT, "stream": True}


def text(response):
    """What a client reads, of a whole answer or a stream."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return response.json()["choices"][0]["message"]["content"]
    chunks = [read(line) for line in response.text.splitlines() if line and line != "data: [DONE]"]
    return "".join(str(c["choices"][0]["delta"].get("content") or "") for c in chunks if c and c["choices"])


def parts(said):
    body = completion(said)
    body["choices"][0]["message"]["content"] = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": said}]
    return body


def without(said, *names):
    body = completion(said)
    for name in names:
        body.pop(name)
    return body


def pieces(said, change):
    """A stream with other pieces."""
    status, headers, made = streamed(said)
    return status, headers, change(made)


WAYS = {
    "parts": parts,
    "thoughts": lambda said: completion(f"<think>\nVerdict: wrong?\n</think>\n\n{said}"),
    "reasoning": lambda said: completion(said, reasoning_content="Verdict: wrong?"),
    "no usage": lambda said: without(said, "usage"),
    "no id": lambda said: without(said, "id", "object", "created"),
    "empty calls": lambda said: completion(said, tool_calls=[], function_call=None, refusal=None),
}
PART = b'data: {"choices": [{"index": 0, "delta": {"content": [{"type": "%s", "text": ""}]}}]}\n\n'
CHANGES = {
    "crlf": lambda made: [b": odd\r\n\r\n" + piece.replace(b"\n", b"\r\n") for piece in made],
    "no space": lambda made: [piece.replace(b"data: ", b"data:") for piece in made],
    "cut anywhere": lambda made: [b"".join(made)[:30], b"".join(made)[30:]],
    "no end": lambda made: made[:-1],
    "parts": lambda made: [
        re.sub(rb'"content": ("[^"]+")', rb'"content": [{"type": "text", "text": \1}]', x) for x in made
    ],
    "parts first": lambda made: [made[0], PART % b"thinking", *made[1:], *made[-1:]],
    "parts last": lambda made: [*made[:-3], PART % b"text", *made[-3:]],
}
ODD = [
    *(pytest.param(way, CHAT, id=name) for name, way in WAYS.items()),
    *(pytest.param(lambda said, c=c: pieces(said, c), STREAM, id=name) for name, c in CHANGES.items()),
]


@pytest.mark.parametrize(("way", "body"), ODD)
def test_an_odd_answer_is_read_and_checked(way, body):
    with Pair(script(way("5"), way(WRONG), way("4")), policy="always") as pair:
        response = post(pair, body)
        turns = [turn["content"] for turn in pair.upstream.asked[2].json["messages"]]
    assert told(response) == ("corrected", "always", "always", "1", "wrong")
    assert turns == ["Be brief.", "2 + 2?", "5", PROMPT.check, WRONG, "2 + 2?"]
    assert "4" in str(text(response))


ERRORS = {
    "error in 200": {"error": {"message": "the input is too long"}},
    "no choices": {"choices": []},
    "failed": {"choices": [{"message": {"content": "5"}, "finish_reason": "error"}]},
    "html": (200, [("content-type", "text/html")], b"<html>login</html>"),
    "too long": (400, [("content-type", "application/json")], b'{"error": {"message": "the input is too long"}}'),
    "cut stream": (200, [("content-type", "text/event-stream")], streamed("5 and 6")[2][:2]),
    "error in a stream": (200, [("content-type", "text/event-stream")], [b'data: {"error": {"message": "lost"}}\n\n']),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_the_first_answer_as_it_came_and_later_never_one(name):
    error = ERRORS[name]
    body = STREAM if "stream" in name else CHAT
    answer = streamed if "stream" in name else completion
    with Pair(script(error, answer("5"), error), policy="always") as pair:
        first, later = post(pair, body), post(pair, body)
    assert told(first)[:2] == ("passed", "upstream")
    expected = error if isinstance(error, tuple) else (200, [], json.dumps(error).encode())
    assert (first.status_code, first.content) == (
        expected[0],
        b"".join([expected[2]] if isinstance(expected[2], bytes) else expected[2]),
    )
    assert told(later)[:2] == ("failed", "error")
    assert text(later).strip() == "5"


def test_an_upstream_that_streams_though_nobody_asked_it_to():
    with Pair(script(streamed("5"), streamed(WRONG), streamed("4")), policy="always") as pair:
        response = post(pair)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["choices"][0]["message"]["content"] == "4"


def test_an_upstream_that_only_streams():
    def say(asked):
        if not asked.json.get("stream"):
            return 400, [], b'{"error": {"message": "only streams are served"}}'
        return streamed(replies.pop(0))

    replies = ["5", WRONG, "4"]
    with Pair(say, policy="always", retries=0) as pair:
        response = post(pair, STREAM)
        assert HTTP.get(f"{pair.address}/readyz").status_code == 200
    assert (told(response)[0], text(response)) == ("corrected", "4")
    assert "usage" not in response.text  # nobody asked for it


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_half_a_pair_of_surrogates_stays_as_it_came(body, tmp_path):
    half = "2 + 2? \ud83d"
    asked = {**body, "model": "m\ud800", "messages": [{"role": "user", "content": half}]}
    way = streamed if body is STREAM else completion
    file, queue = tmp_path / "a.db", tmp_path / "queue.jsonl"
    settings = {"on_failure": "escalate", "escalate_to": str(queue), "audit_file": file, "audit_text": True}
    settings["elicit"] = "line"
    with Pair(script(*map(way, ("5 \ud83d", "?", "4 \ud83d"))), policy="always", **settings) as pair:
        response = post(pair, {**asked, "secondlook": {"transcript": True}})
        sent = [each.json["messages"][0]["content"] for each in pair.upstream.asked]
        assert all(each.body.decode() for each in pair.upstream.asked)
    assert sent == [half] * 3
    assert response.content.decode()
    assert text(response) == "4 \ud83d"
    (row,) = query(file)
    assert row["model"] == "m\\ud800"
    assert json.loads(row["transcript"])["rounds"][0]["answer"] == "5 \ud83d"
    assert json.loads(queue.read_text())["transcript"]["rounds"][1]["answer"] == "4 \ud83d"


FORM = {
    "response_format": {"type": "json_object"}, "guided_choice": ["4", "5"], "structured_outputs": {"choice": ["4"]},
    "grammar": "root ::= [0-9]", "min_tokens": 100, "tool_choice": "none", "logit_bias": {"1": 2}, "stop": ["\n"],
}  # fmt: skip


def test_the_form_of_an_answer_never_reaches_a_check():
    with Pair(script("5", WRONG, "4"), policy="always") as pair:
        post(pair, {**CHAT, **FORM, "temperature": 0.5})
        first, check, again = (asked.json for asked in pair.upstream.asked)
    assert first.keys() == again.keys() == {*CHAT, *FORM, "temperature"}
    assert check.keys() == {*CHAT, "temperature", "max_tokens"}


def refusing(*names):
    """An upstream that refuses fields, or system messages."""

    def say(asked):
        request = asked.json
        sent = [name for name in names if name in request]
        if "system" in names and request["messages"][0]["role"] == "system" and request["model"] == "judge":
            return 400, [], b'{"error": {"message": "no system messages here"}}'
        if sent:
            error = {"message": f"unsupported parameter: {sent[0]}", "param": sent[0]}
            return 400, [], json.dumps({"error": error}).encode()
        last = request["messages"][-1]["content"]
        answer = WRONG if last == PROMPT.check else str(len(request["messages"]))
        return streamed(answer) if request.get("stream") else answer

    return say


@pytest.mark.parametrize(
    ("names", "body", "settings", "calls"),
    [
        (("max_tokens",), CHAT, {}, (4, 3)),
        (("stream_options",), STREAM, {}, (5, 3)),
        (("system",), CHAT, {"critic": "other", "critic_model": "judge"}, (4, 3)),
    ],
)
def test_what_a_model_refuses_of_ours_is_found_once_adapted_and_told(names, body, settings, calls, caplog, monkeypatch):
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level("INFO", LOGGER.name)
    with Pair(refusing(*names), policy="always", **settings) as pair:
        for expected in calls:
            before = len(pair.upstream.asked)
            response = post(pair, body)
            assert told(response) == ("corrected", "always", "always", "1", "wrong")
            assert len(pair.upstream.asked) - before == expected
        if body is CHAT:
            assert response.json()["usage"]["secondlook"]["refused"] == list(names)
            check = [asked.json for asked in pair.upstream.asked][-2]
            assert "max_completion_tokens" in check or check["messages"][0]["role"] == "user"
    assert [record.fields["refused"] for record in caplog.records if record.message == "adapted"][:1] == list(names)


def test_a_limit_that_is_refused_by_both_its_names_is_not_asked_for_for_ever():
    with Pair(refusing("max_tokens", "max_completion_tokens"), policy="always") as pair:
        for _ in range(3):
            before = len(pair.upstream.asked)
            assert told(post(pair))[:2] == ("failed", "error")
            assert len(pair.upstream.asked) - before == 4


def test_what_a_client_asked_for_is_not_adapted():
    with Pair(refusing("temperature"), policy="always") as pair:
        response = post(pair, {**CHAT, "temperature": 0})
        assert (response.status_code, len(pair.upstream.asked)) == (400, 1)
    assert told(response)[:2] == ("passed", "upstream")


def test_a_budget_of_tokens_is_spent_where_nobody_counts_them():
    with Pair(lambda _: without("5", "usage"), policy="always", budget_tokens=1000) as pair:
        response = post(pair)
        assert len(pair.upstream.asked) == 1
    assert told(response)[:2] == ("kept", "tokens")
    assert "usage" not in response.json()


def test_a_cost_that_is_known_in_part_is_not_known(tmp_path):
    with Pair(script("5", without(RIGHT, "usage"), "5"), policy="always", audit_file=tmp_path / "a.db") as pair:
        usage = post(pair).json()["usage"]
    assert usage["secondlook"]["items"][1] == {"call": "critique"}
    (row,) = query(tmp_path / "a.db")
    assert (row["tokens_in"], row["tokens_out"], row["calls"]) == (None, None, 3)


# --- addresses


@pytest.mark.parametrize("before", ["/v1", "/v1/", "//v1", "/v1/v1", ""])
@pytest.mark.parametrize("path", ["/chat/completions", "/chat//completions/"])
def test_the_same_request_however_its_address_was_put_together(before, path):
    with Pair(script("5", WRONG, "4"), policy="always") as pair:
        response = HTTP.post(pair.address + before + path, json=CHAT)
        assert {asked.path for asked in pair.upstream.asked} == {"/v1/chat/completions"}
    assert told(response)[0] == "corrected"


def test_paths_of_no_endpoint():
    assert below_v1("/v1/files/a%2Fb/") == "/files/a%2Fb/"
    assert below_v1("/v1") == below_v1("/v1/") == "/"
    assert [below_v1(path) for path in ("/", "/chat", "/v12/models", "/V1/models", "/files")] == [None] * 5
    with Pair() as pair:
        response = HTTP.get(f"{pair.address}/wrong")
        assert (response.status_code, pair.upstream.asked) == (404, [])
        assert "POST /v1/chat/completions" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("http://h:1", "http://h:1/v1"), ("http://h:1/", "http://h:1/v1"), ("http://h:1//v1//", "http://h:1/v1"),
        ("http://h/openai/v1", "http://h/openai/v1"), ("https://h/v1beta/openai/", "https://h/v1beta/openai"),
        ("http://h/v1/v1", None), ("http://h/v1/chat/completions", None), ("http://h/v1/models/", None),
        ("h:1/v1", None), ("http://h/v1?key=1", None),
    ],
)  # fmt: skip
def test_an_address_of_the_upstream_is_taken_or_the_right_one_said(address, taken):
    if taken is None:
        with pytest.raises(ValueError, match=r"goes too far; give http://h/v1|is no address"):
            GatewaySettings(upstream=address)
    else:
        assert GatewaySettings(upstream=address).upstream == taken


def test_what_is_not_looked_at_says_so(tmp_path):
    with Pair(lambda _: {"data": []}, policy="always", audit_file=tmp_path / "a.db") as pair:
        for method, path in (
            ("POST", "completions"),
            ("POST", "embeddings"),
            ("GET", "models"),
            ("GET", "chat/completions"),
        ):
            assert told(HTTP.request(method, f"{pair.address}/v1/{path}"))[:2] == ("passed", "endpoint")
        text = pair.gateway.metrics.render()[1].decode()
    assert 'secondlook_requests_total{outcome="200",reason="endpoint",status="passed"} 4.0' in text
    assert {row["reason"] for row in query(tmp_path / "a.db")} == {"endpoint"}


def test_a_proxy_of_the_environment_is_used_or_declined(monkeypatch):
    proxy = Upstream()
    for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Running(proxy) as address:
        monkeypatch.setenv("http_proxy", address)
        for settings, used in (({}, 1), ({"proxies": False}, 0)):
            proxy.asked.clear()
            with Pair(**settings) as pair:
                assert post(pair).status_code == 200
                assert (len(proxy.asked), len(pair.upstream.asked)) == (used, 1 - used)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Pair() as pair:
            post(pair)
            assert len(pair.upstream.asked) == 1
        monkeypatch.delenv("no_proxy")
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
        with pytest.raises(ValueError, match="is none of HTTP; set proxies = false"):
            Pair().__enter__()


def test_a_client_that_goes_away_ends_a_streamed_look():
    never = threading.Event()
    with Pair(
        script(streamed("5"), (200, [("content-type", "text/event-stream")], [never])), policy="always", keep_alive=0.05
    ) as pair:
        with HTTP.stream("POST", f"{pair.address}/v1/chat/completions", json=STREAM) as response:
            next(response.iter_lines())
            until(lambda: len(pair.upstream.asked) == 2)
        until(lambda: pair.upstream.gone)


class OneEach(socketserver.StreamRequestHandler):
    """Streams an answer, says that it keeps the connection, and closes it at the next request (as llama.cpp does)."""

    def handle(self):
        head = self.rfile.readline() and b"".join(iter(self.rfile.readline, b"\r\n")).lower()
        self.rfile.read(int(re.search(rb"content-length: (\d+)", head)[1]))
        _, headers, pieces = streamed("5", **{"keep-alive": "timeout=5, max=100"})
        told = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.wfile.write(f"HTTP/1.1 200 OK\r\n{told}transfer-encoding: chunked\r\n\r\n".encode())
        self.wfile.flush()
        for piece in [*pieces, b""]:
            time.sleep(0.01)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.rfile.read(1)


def test_a_connection_that_is_promised_and_closed_after_a_stream():
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), OneEach) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstream = f"http://127.0.0.1:{server.server_address[1]}/v1"
        with Pair(policy="always", upstream=upstream, retries=0) as pair:
            asked = [told(post(pair, STREAM))[:2] for _ in range(3)]
        server.shutdown()
    assert asked == [("failed", "unclear")] * 3  # a check that says 5 states no verdict
