"""A second look that fails, runs out of its budget or is unclear: what the client gets, and who else is told."""

import json
import logging
import socket
import sqlite3
import threading
from contextlib import closing

import pytest
from chats import CHAT, FAILING, RIGHT, WRONG, post, read, told
from servers import HTTP, Pair, Running, Upstream, free_port, script, until
from test_gateway_policy import diagnosis

from command import secondlook
from secondlook.gateway.logs import LOGGER


def test_a_tool_that_fails_on_every_request_is_seen(tmp_path, caplog, monkeypatch):
    """The client has its answer with 200 all the same, so the operator has to be told elsewhere."""
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level("INFO", LOGGER.name)
    file, command = tmp_path / "check.py", ("python3", "-I", "-S", str(tmp_path / "check.py"))
    file.write_text("import json,sys; print('Verdict: wrong' if json.load(sys.stdin)['row'] else '')")
    with Pair(policy="always", critic="tool", critic_command=command, ready="server") as pair:
        for failures in range(3):
            assert HTTP.get(f"{pair.address}/readyz").status_code == 200, failures
            answer = post(pair)
            assert (answer.status_code, told(answer)[:2]) == (200, ("failed", "error"))
        assert HTTP.get(f"{pair.address}/readyz").json() == {
            "status": "critic", "detail": "the critic's command failed on the last 3 answers; the log says why",
        }  # fmt: skip
        text = HTTP.get(f"{pair.address}/metrics").text
        assert 'secondlook_critiques_total{critic="tool",outcome="failed"} 3.0' in text
        wrote = [record.fields for record in caplog.records if record.getMessage() == "critic wrote"]
        assert [line["id"] for line in wrote][-1] == answer.headers["x-secondlook-id"]
        assert wrote[-1]["stderr"].endswith("KeyError: 'row'")
        file.write_text("print('')")  # it runs, and says nothing
        assert told(post(pair))[:2] == ("failed", "unclear")
        assert HTTP.get(f"{pair.address}/readyz").json()["status"] == "critic"
        file.write_text("print('Verdict: correct')")
        assert told(post(pair))[0] == "kept"
        assert HTTP.get(f"{pair.address}/readyz").status_code == 200


def test_a_tool_that_abstains_has_not_failed(tmp_path):
    """What it cannot judge keeps its answer, and three of those in a row take nothing out of service."""
    (tmp_path / "check.py").write_text("print('abstain')")
    command = ("python3", "-I", "-S", str(tmp_path / "check.py"))
    with Pair(policy="always", critic="tool", critic_command=command, on_failure="closed") as pair:
        for _ in range(4):
            answer = post(pair)
            assert (answer.status_code, told(answer)[:2]) == (200, ("kept", "abstained"))
        assert HTTP.get(f"{pair.address}/readyz").status_code == 200
        text = HTTP.get(f"{pair.address}/metrics").text
        assert 'secondlook_critiques_total{critic="tool",outcome="abstained"} 4.0' in text


@pytest.mark.parametrize("failure", FAILING, ids=["500", "no words", "garbage", "cut"])
@pytest.mark.parametrize("at", [1, 2])
def test_open_returns_the_answer_there_is(failure, at):
    replies = (*("5", WRONG)[:at], failure)
    with Pair(script(*replies), policy="always", on_failure="open") as pair:
        response = post(pair)
    assert response.status_code == 200
    assert response.json()["choices"][0]["message"]["content"] == "5"
    assert told(response)[:4] == ("failed", "error", "always", "0")


@pytest.mark.parametrize("keeps", ["response_format", None])
def test_a_verdict_that_cannot_be_read_is_asked_for_alone(keeps):
    """Held to the two verdicts where the upstream can be, else in a plain turn that the client does not see."""

    def say(asked):
        body = asked.json
        if keeps in body:
            schema = body["response_format"]["json_schema"]["schema"]
            return json.dumps({"answer": schema["properties"]["answer"]["enum"][0]})
        if "alone" in body["messages"][-1]["content"]:
            return "It is wrong. Verdict: wrong."
        said = sum(turn["role"] == "assistant" for turn in body["messages"])
        return ("5", "I cannot tell.", "4")[said]

    with Pair(say, policy="always") as pair:
        first, second = post(pair), post(pair)
    for response in (first, second):
        assert told(response)[0] == "corrected"
        assert response.headers["x-secondlook-verdict"] == "wrong"
        assert response.json()["choices"][0]["message"]["content"] == "4"
    # What the upstream can be held to is found out once, and every call is told.
    calls = [response.json()["usage"]["secondlook"]["calls"] for response in (first, second)]
    assert calls == ([4, 4] if keeps else [7, 4])


@pytest.mark.parametrize("failure", [*FAILING, "I cannot tell."], ids=["500", "no words", "garbage", "cut", "unclear"])
def test_closed_refuses(failure):
    with Pair(script("5", failure, "4"), policy="always", on_failure="closed") as pair:
        response = post(pair)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["code"] == "second_look_failed"
    assert "choices" not in response.json()


def test_escalate_hands_the_conversation_to_a_person(tmp_path):
    queue = tmp_path / "queue.jsonl"
    with Pair(
        script("5", "I cannot tell.", "4", "6", FAILING[0]),
        policy="always",
        elicit="line",
        on_failure="escalate",
        escalate_to=str(queue),
    ) as pair:
        first, second = post(pair), post(pair)
    assert first.json()["choices"][0]["message"]["content"] == "4"
    assert second.json()["choices"][0]["message"]["content"] == "6"
    assert [told(response)[0] for response in (first, second)] == ["escalated", "escalated"]
    cases = [json.loads(line) for line in queue.read_text().splitlines()]
    assert [case["id"] for case in cases] == [r.headers["x-secondlook-id"] for r in (first, second)]
    assert cases[0]["why"] == "second look: unclear"
    assert "status 500" in cases[1]["why"]
    assert [m["content"] for m in cases[0]["transcript"]["messages"]][:2] == ["2 + 2?", "5"]


def test_a_webhook_is_posted_to_and_one_that_fails_fails_the_request_for_nobody_would_know():
    settings = {"policy": "always", "elicit": "line", "on_failure": "escalate"}
    hook = Upstream(script({"taken": True}, (500, [], b"")))
    with (
        Running(hook) as address,
        Pair(script(*("5", "I cannot tell.", "4") * 2), **settings, escalate_to=f"{address}/hook") as pair,
    ):
        assert told(post(pair))[0] == "escalated"
        assert hook.asked[0].json["why"] == "second look: unclear"
        refused = post(pair)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "escalation_failed")
    with Pair(script("5", "?", "4"), **settings, escalate_to=f"http://127.0.0.1:{free_port()}/") as pair:
        assert post(pair).json()["error"]["code"] == "escalation_failed"


def test_an_undecided_diagnosis_is_escalated_without_a_second_look(tmp_path):
    queue, file = tmp_path / "queue.jsonl", diagnosis(tmp_path / "d.json")
    settings = {"policy": "diagnosis", "diagnoses": (file,), "on_failure": "escalate", "escalate_to": str(queue)}
    with Pair(script("5", "6"), **settings) as pair:
        for task, status in (("jobs", "escalated"), ("ages", "passed")):  # undecided; hurts
            response = post(pair, headers={"x-secondlook-task": task})
            assert (response.status_code, told(response)[0], told(response)[3]) == (200, status, "0")
        assert len(pair.upstream.asked) == 2
    (case,) = [json.loads(line) for line in queue.read_text().splitlines()]
    assert (case["task"], case["why"]) == ("jobs", "second look: undecided")
    assert [message["content"] for message in case["transcript"]["messages"]] == ["2 + 2?", "5"]


@pytest.mark.parametrize(
    ("override", "asks", "calls"),
    [
        ("less", {"rounds": "99"}, 1),
        ("less", {"policy": "never"}, 1),
        ("any", {"policy": "never"}, 1),
        ("any", {"rounds": "1"}, 3),
    ],
)
def test_no_header_keeps_an_undecided_answer_from_the_person(override, asks, calls, tmp_path):
    queue, file = tmp_path / "queue.jsonl", diagnosis(tmp_path / "d.json")
    settings = {"policy": "diagnosis", "diagnoses": (file,), "on_failure": "escalate", "escalate_to": str(queue)}
    headers = {"x-secondlook-task": "jobs"} | {f"x-secondlook-{name}": value for name, value in asks.items()}
    with Pair(script("5", RIGHT, "5"), **settings, override=override) as pair:
        response = post(pair, headers=headers)
        assert len(pair.upstream.asked) == calls
    assert (response.status_code, told(response)[:2]) == (200, ("escalated", "override"))
    assert json.loads(queue.read_text())["why"] == "second look: undecided"


def test_a_look_that_a_request_asks_for_is_no_failure_where_the_diagnosis_is_undecided(tmp_path):
    settings = {"policy": "diagnosis", "diagnoses": (diagnosis(tmp_path / "d.json"),), "on_failure": "closed"}
    with Pair(script("5", RIGHT, "5"), **settings, override="any") as pair:
        response = post(pair, headers={"x-secondlook-task": "jobs", "x-secondlook-rounds": "1"})
    assert (response.status_code, told(response)[:2]) == (200, ("kept", "override"))


@pytest.fixture
def unkept(tmp_path, monkeypatch):
    """Settings of a gateway, a call that makes its audit log one that cannot be written, and its client's header."""
    for logger in (LOGGER, logging.getLogger("uvicorn")):
        monkeypatch.setattr(logger, "propagate", True)
    file, keys = tmp_path / "a.db", tmp_path / "keys.json"
    key = secondlook("keys", "add", "team", "--file", keys).out.strip()

    def break_log():
        with closing(sqlite3.connect(file)) as database:
            # No dropped table: the gateway's own thread may open the log, and make it anew, after this.
            database.execute("CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'full'); END")

    return {"audit_file": file, "keys_file": keys}, break_log, {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("path", "headers", "body", "settings"),
    [
        ("/v1/chat/completions", {}, CHAT, {}),
        ("/v1/chat/completions", {"authorization": "Bearer other"}, CHAT, {}),
        ("/v1/chat/completions", {}, CHAT, {"max_body": 9}),
        ("/above", {}, CHAT, {}),
        ("/v1/chat/completions", {"x-secondlook-policy": "often"}, CHAT, {}),
        ("/v1/chat/completions", {}, CHAT, {"on_failure": "closed"}),
        ("/v1/chat/completions", {}, CHAT, {"upstream": "http://127.0.0.1:1/v1", "retries": 0}),
    ],
    ids=["answered", "no key", "too large", "no path", "odd header", "closed", "no upstream"],
)
def test_without_a_row_there_is_no_answer_and_no_other_refusal(unkept, path, headers, body, settings, caplog):
    """Whatever would have been said: 503, once, and no failure of our own."""
    kept, break_log, key = unkept
    with Pair(script("5", FAILING[0]), policy="always", **{**kept, **settings}) as pair:
        break_log()
        response = HTTP.post(f"{pair.address}{path}", json=body, headers=key | headers)
        until(lambda: pair.gateway.limits.in_flight == 0)  # the answer may be here before its place is given back
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["error"]["code"] == "audit_failed"
    assert told(response)[:2] in (("refused", "audit_failed"), ("failed", "error"))
    assert "our own failure" not in caplog.text


def test_without_a_row_a_refusal_in_a_stream_is_that_there_is_none(unkept):
    kept, break_log, key = unkept
    settings = {"policy": "always", "on_failure": "closed", "keep_alive": 0.05}
    with Pair(script("5", FAILING[0]), held=True, **settings, **kept) as pair:
        break_log()
        with HTTP.stream(
            "POST", f"{pair.address}/v1/chat/completions", json=CHAT | {"stream": True}, headers=key
        ) as got:
            lines = got.iter_lines()
            assert next(lines) == ": still here"
            pair.upstream.held.set()
            assert read([line for line in lines if line][-1])["error"]["code"] == "audit_failed"


def test_without_a_row_a_client_that_goes_away_is_no_failure_of_ours(unkept, caplog):
    """While its body is read, and while it is answered."""
    kept, break_log, key = unkept
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {key['authorization']}\r\n"
    with Pair(held=True, **kept) as pair:
        break_log()
        port = int(pair.address.rpartition(":")[2])
        for body, sent in ((b"{}", 1), (b"{}", 2)):
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:sent])
                until(lambda: pair.gateway.limits.in_flight == 1)
                until(lambda sent=sent: sent == 1 or pair.upstream.asked)
            until(lambda: pair.gateway.limits.in_flight == 0)
    assert "Exception in ASGI application" not in caplog.text
    assert "our own failure" not in caplog.text


@pytest.mark.parametrize(("settings", "reason"), [({"budget_tokens": 1}, "tokens"), ({"budget_seconds": 2}, "seconds")])
def test_budgets_end_a_second_look_and_the_answer_stands(settings, reason):
    never = threading.Event()
    with Pair(script("5", (200, [], [never])), policy="always", **settings) as pair:
        response = post(pair)
        assert len(pair.upstream.asked) == (1 if reason == "tokens" else 2)
    assert response.json()["choices"][0]["message"]["content"] == "5"
    assert told(response)[:2] == ("kept", reason)


def test_no_upstream_at_all(caplog, monkeypatch):
    """The log says where it is; a client is not told."""
    monkeypatch.setattr(LOGGER, "propagate", True)  # whoever has set up our log before
    caplog.set_level("INFO", LOGGER.name)
    port = free_port()
    for policy in ("never", "always"):
        with Pair(policy=policy, retries=1, upstream=f"http://127.0.0.1:{port}/v1") as pair:
            response = post(pair)
            assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_refused")
            assert "127.0.0.1" not in response.text
            assert pair.gateway.metrics.render()[1].count(b'outcome="502"') >= 1
    said = [record.fields["said"] for record in caplog.records if record.message == "upstream"]
    assert len(said) >= 4
    assert all(f"127.0.0.1:{port}" in line for line in said)
