"""The gateway between real servers: what is passed on, what is looked at, and what the client is told."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from servers import HTTP, Pair, Running, Upstream, completion, free_port, script, streamed, until
from test_gateway_parts import diagnosis

from secondlook.gateway.audit import query
from secondlook.gateway.logs import LOGGER
from secondlook.prompts.prompt import load_prompt

CHAT = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]}
WRONG, RIGHT = "It is wrong.\nVerdict: wrong", "It is so.\nVerdict: correct"
PROMPT = load_prompt("own/binary-cot")


def post(pair, body=None, **options):
    body = CHAT if body is None else body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HTTP.post(f"{pair.address}/v1/chat/completions", content=content, **options)


def stream(pair):
    """A streamed request, to be read as it is answered."""
    return HTTP.stream("POST", f"{pair.address}/v1/chat/completions", json={**CHAT, "stream": True})


def told(response):
    names = ("status", "reason", "policy", "rounds", "verdict")
    return tuple(response.headers.get(f"x-secondlook-{name}") for name in names)


# --- passed on


def test_never_is_byte_for_byte():
    odd = b'{"model" : "m",  "messages":[{"role":"user","content":"\\u00e9 \\ud83d"}], "zz":1e400}'
    body = b'{"a" :  1}\n'
    reply = (418, [("content-type", "application/x-odd"), ("x-request-id", "r7"), ("content-length", "11")], body)
    with Pair(lambda _: reply) as pair:
        headers = {"x-mine": "1", "authorization": "Bearer theirs", "content-type": "application/json; odd"}
        response = post(pair, odd, headers=headers)
        asked = pair.upstream.asked[0]
    assert asked.body == odd
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.header("x-mine") == "1"
    assert asked.header("authorization") == "Bearer theirs"
    assert asked.header("content-type") == "application/json; odd"
    assert (response.status_code, response.content) == (418, body)
    assert (response.headers["x-request-id"], response.headers["content-type"]) == ("r7", "application/x-odd")
    assert told(response) == ("passed", "never", "never", "0", None)


def test_everything_below_v1_is_passed_and_nothing_above():
    with Pair(lambda asked: {"path": asked.path, "method": asked.method}) as pair:
        for method, path in (("GET", "/models"), ("POST", "/embeddings?x=1&y=%20"), ("DELETE", "/files/a%2Fb")):
            answer = HTTP.request(method, f"{pair.address}/v1{path}").json()
            assert answer == {"path": f"/v1{path}", "method": method}
        assert HTTP.get(f"{pair.address}/healthz").json() == {"status": "ok"}
        for path in ("/v1/%2e%2e/secret", "/v1/a/%2E%2E/%2e%2e/b"):
            response = HTTP.get(httpx.URL(pair.address + path))
            assert response.status_code == 404
        assert len(pair.upstream.asked) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"n": 2}, "n"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "images"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "audio"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}], "content": None}]}, "tools"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "prefill"),
        ({"messages": []}, "unreadable"),
        ({"messages": "x"}, "unreadable"),
        ({"model": None}, "unreadable"),
    ],
)
def test_what_cannot_be_looked_at_is_passed_on_and_says_why(change, reason):
    body = json.dumps({**CHAT, **change, "unknown": {"field": [1]}}, indent=3).encode()
    with Pair(policy="always") as pair:
        response = post(pair, body)
        assert [asked.body for asked in pair.upstream.asked] == [body]
    assert told(response)[:2] == ("passed", reason)


def test_a_stream_is_passed_on_as_it_comes():
    first_came = threading.Event()
    pieces = [b"data: {}\n\n", first_came, b"data: [DO", b"NE]\n\n"]
    with Pair(lambda _: (200, [("content-type", "text/event-stream")], pieces)) as pair, stream(pair) as response:
        came = response.iter_raw()
        assert next(came) == pieces[0]
        first_came.set()  # the rest is sent only now
        assert b"".join(came) == b"data: [DONE]\n\n"
    assert response.headers["content-type"] == "text/event-stream"


# --- looked at


def test_a_second_look_word_for_word():
    body = {**CHAT, "temperature": 0.5, "seed": 3, "stop": ["\n\n"], "max_tokens": 9, "odd": [1], "logprobs": True}
    with Pair(script("5", WRONG, completion("4", generated=7)), policy="always", critic_tokens=99) as pair:
        response = post(pair, body)
        first, check, again = (asked.json for asked in pair.upstream.asked)
    assert first == body
    turns = [*CHAT["messages"], {"role": "assistant", "content": "5"}, {"role": "user", "content": PROMPT.check}]
    assert check["messages"] == turns
    assert {name: check[name] for name in check if name != "messages"} == {
        "model": "m", "temperature": 0.5, "seed": 3, "odd": [1], "max_tokens": 99,
    }  # fmt: skip
    turns += [{"role": "assistant", "content": WRONG}, {"role": "user", "content": "2 + 2?"}]
    assert again == {**body, "messages": turns}
    answer = response.json()
    assert answer["choices"][0]["message"]["content"] == "4"
    assert (answer["id"], answer["odd"]) == ("c1", {"kept": True})
    assert answer["usage"] == {
        "prompt_tokens": 30, "completion_tokens": 11, "total_tokens": 41,
        "secondlook": {"calls": 3, "items": [
            {"call": "answer", "prompt_tokens": 10, "completion_tokens": 2},
            {"call": "critique", "prompt_tokens": 10, "completion_tokens": 2},
            {"call": "answer", "prompt_tokens": 10, "completion_tokens": 7},
        ]},
    }  # fmt: skip
    assert told(response) == ("corrected", "always", "always", "1", "wrong")
    assert "secondlook" not in answer


def test_flagged_answers_again_only_where_the_critic_is_not_satisfied():
    with Pair(script("5", WRONG, "4", RIGHT, "x", "4", RIGHT), policy="flagged", rounds=3) as pair:
        corrected = post(pair)
        assert len(pair.upstream.asked) == 4
        pair.upstream.say = script("4", RIGHT)
        kept = post(pair)
    assert told(corrected) == ("corrected", "satisfied", "flagged", "1", "wrong")
    assert corrected.json()["choices"][0]["message"]["content"] == "4"
    assert told(kept) == ("kept", "satisfied", "flagged", "0", "right")


def test_the_extension_shows_the_conversation_and_is_never_passed_on():
    with Pair(script("5", WRONG, "4", "Hello."), policy="always") as pair:
        answer = post(pair, {**CHAT, "secondlook": {"transcript": True}}).json()
        post(pair, {**CHAT, "secondlook": {}, "n": 3})
        assert all("secondlook" not in asked.json for asked in pair.upstream.asked)
    said = [message["content"] for message in answer["secondlook"]["transcript"]["messages"]]
    assert said == ["2 + 2?", "5", PROMPT.check, WRONG, "2 + 2?", "4"]


def test_under_never_too_the_extension_stays_here():
    with Pair() as pair:
        post(pair, {**CHAT, "secondlook": {"transcript": True}})
        assert pair.upstream.asked[0].json == CHAT


def test_self_instruct_does_not_repeat_the_question():
    with Pair(script("5", WRONG, "4"), policy="always", variant="self-instruct") as pair:
        post(pair)
        assert pair.upstream.asked[2].json["messages"][-1]["content"] == PROMPT.refine


def test_another_model_or_a_tool_may_examine(tmp_path):
    with Pair(script("5", WRONG, "4"), policy="always", critic="other", critic_model="judge") as pair:
        assert told(post(pair))[4] == "wrong"
        assert [asked.json["model"] for asked in pair.upstream.asked] == ["m", "judge", "m"]
    script_file = tmp_path / "check.py"
    script_file.write_text(
        "import json,sys; a=json.load(sys.stdin)['answer']; print('Verdict:', 'wrong' if a=='5' else 'correct')"
    )
    with Pair(script("5", "4"), policy="always", critic="tool", critic_command=("python3", str(script_file))) as pair:
        answer = post(pair)
        assert told(answer) == ("corrected", "always", "always", "1", "wrong")
        assert [item["call"] for item in answer.json()["usage"]["secondlook"]["items"]] == ["answer", "answer"]


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


def test_pictures_are_looked_at_if_that_is_wanted():
    parts = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "What?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    with Pair(script("5", RIGHT, "5"), policy="always", images=True) as pair:
        assert told(post(pair, body))[0] == "kept"
        assert [asked.json["messages"][0]["content"] for asked in pair.upstream.asked] == [parts] * 3
        assert pair.upstream.asked[2].json["messages"][-1]["content"] == "What?"


@pytest.mark.parametrize(
    "more", [{"tool_calls": [{"id": "1"}]}, {"refusal": "I will not."}], ids=["tool call", "refusal"]
)
def test_a_first_answer_without_words_is_the_answer(more):
    said = completion(None, **more)
    with Pair(lambda _: said, policy="always") as pair:
        response = post(pair)
        assert len(pair.upstream.asked) == 1
    assert response.json() == said
    assert told(response)[:2] == ("passed", "no words")


def test_the_upstreams_own_error_is_the_answer():
    body = b'{"error": {"message": "no such model", "code": "model_not_found"}}'
    reply = (404, [("content-type", "application/json"), ("x-request-id", "r9")], body)
    with Pair(lambda _: reply, policy="always") as pair:
        response = post(pair)
    assert (response.status_code, response.content, response.headers["x-request-id"]) == (404, body, "r9")
    assert told(response)[:2] == ("passed", "upstream")


# --- when a second look fails

FAILING = [
    (500, [("content-type", "application/json")], b"{}"),
    completion(None),
    (200, [], b"no json"),
    (200, [], [None]),
]


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


# --- streams that are looked at


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


def read(line):
    return json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else None


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


# --- who may come in


def test_many_at_once_are_answered_or_told_to_come_back():
    with Pair(held=True, max_in_flight=4) as pair, ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(HTTP.get, f"{pair.address}/v1/models") for _ in range(24)]
        until(lambda: sum(each.done() for each in asked) == 20)
        refused = [each.result() for each in asked if each.done()]
        assert {(each.status_code, each.headers["retry-after"]) for each in refused} == {(429, "1")}
        until(lambda: len(pair.upstream.asked) == 4)
        pair.upstream.held.set()
        assert sorted(each.result().status_code for each in asked) == [200] * 4 + [429] * 20
        # A client that has its answer holds no place any more.
        assert [HTTP.get(f"{pair.address}/v1/models").status_code for _ in range(8)] == [200] * 8


def test_readiness_proves_that_a_model_can_be_asked():
    models = {"data": [{"id": "first"}]}
    for answer, ready in (
        ("Hello.", None), (streamed("Hello."), None), (completion(""), None), ((500, [], b"{}"), "status 500"),
        ((401, [], b'{"error": "no key"}'), "give upstream_key_file, or set ready"), ({"choices": []}, "no choices"),
        ((404, [], b""), "model 'first' cannot be asked"),
    ):  # fmt: skip
        with Pair(lambda asked, answer=answer: models if asked.method == "GET" else answer, retries=0) as pair:
            for _ in range(2):  # the second is not asked again
                found = HTTP.get(f"{pair.address}/readyz")
                assert found.status_code == (200 if ready is None else 503)
                assert (ready or "ready") in found.text
            # Whole, and where that fails, in a stream.
            assert [asked.method for asked in pair.upstream.asked] == ["GET", "POST"] + ["POST"] * (ready is not None)
            assert [asked.json.get("stream") for asked in pair.upstream.asked[1:]] == [False, True][
                : 1 + (ready is not None)
            ]
            assert pair.upstream.asked[1].json["model"] == "first"


@pytest.mark.parametrize(
    ("settings", "models", "asked"),
    [
        ({"ready_model": "mine"}, {}, "mine"),
        ({"policy": "diagnosis"}, {"data": [{"id": "other"}, {"id": "m"}]}, "m"),
        ({}, {"data": [{"id": "other"}, {"id": "m"}]}, "other"),
        ({}, {"data": []}, None),
        ({"ready": "server"}, {"data": []}, "nobody"),
    ],
)
def test_which_model_is_asked(settings, models, asked, tmp_path):
    files = {"diagnoses": (diagnosis(tmp_path / "d.json"),)} if "policy" in settings else {}
    with Pair(lambda asked: models if asked.method == "GET" else "Hello.", **settings, **files) as pair:
        assert HTTP.get(f"{pair.address}/readyz").status_code == (200 if asked else 503)
        names = [each.json["model"] for each in pair.upstream.asked if each.method == "POST"]
        assert names == ([] if asked in (None, "nobody") else [asked])


def test_readiness_follows_clients_the_upstream_and_the_end():
    with Pair() as pair:
        post(pair)
        assert HTTP.get(f"{pair.address}/readyz").json() == {"status": "ready"}
        assert len(pair.upstream.asked) == 1  # a client had its answer: that is proof enough
        pair.gateway.draining = lambda: True
        assert HTTP.get(f"{pair.address}/readyz").status_code == 503
    with Pair(upstream=f"http://127.0.0.1:{free_port()}/v1") as pair:
        down = HTTP.get(f"{pair.address}/readyz")
        assert down.status_code == 503
        assert down.json() == {"status": "upstream", "detail": "no connection to the upstream"}
        assert HTTP.get(f"{pair.address}/healthz").status_code == 200


def test_metrics_count_what_happened():
    with Pair(script("5", WRONG, "4"), policy="always") as pair:
        post(pair)
        text = HTTP.get(f"{pair.address}/metrics").text
    for line in (
        'secondlook_requests_total{outcome="200",reason="always",status="corrected"} 1.0',
        'secondlook_tokens_total{kind="in"} 30.0',
        "secondlook_upstream_calls_total 3.0",
        "secondlook_second_looks_total 1.0",
        "secondlook_in_flight 0.0",
    ):
        assert line in text
