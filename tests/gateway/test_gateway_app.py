"""The gateway between real servers: what is passed on, what is looked at, and what the client is told."""

import json
import threading
import time

import httpx
import pytest
from servers import Pair, completion, script

from secondlook.gateway.logs import LOGGER
from secondlook.prompts.prompt import load_prompt

CHAT = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]}
WRONG, RIGHT = "It is wrong.\nVerdict: wrong", "It is so.\nVerdict: correct"
PROMPT = load_prompt("own/binary-cot")


def post(pair, body=None, **options):
    body = CHAT if body is None else body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{pair.address}/v1/chat/completions", content=content, timeout=20, **options)


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
            answer = httpx.request(method, f"{pair.address}/v1{path}").json()
            assert answer == {"path": f"/v1{path}", "method": method}
        assert httpx.get(f"{pair.address}/healthz").json() == {"status": "ok"}
        for path in ("/v1/%2e%2e/secret", "/v1/a/%2E%2E/%2e%2e/b"):
            response = httpx.get(httpx.URL(pair.address + path))
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


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b'"x"', b"[" * 100_000])
def test_what_is_no_request_is_the_upstreams_to_judge(body):
    error = json.dumps({"error": {"message": "no"}}).encode()
    reply = (400, [("content-type", "application/json"), ("content-length", str(len(error)))], error)
    with Pair(lambda _: reply, policy="always") as pair:
        response = post(pair, body)
        assert pair.upstream.asked[0].body == body
    assert (response.status_code, response.content) == (400, error)


def test_a_stream_is_passed_on_as_it_comes():
    pieces = [b"data: {}\n\n", 0.3, b"data: [DO", 0.3, b"NE]\n\n"]
    reply = (200, [("content-type", "text/event-stream")], pieces)
    with Pair(lambda _: reply) as pair:
        url = f"{pair.address}/v1/chat/completions"
        with httpx.stream("POST", url, json={**CHAT, "stream": True}, timeout=20) as response:
            times, parts = [], []
            for part in response.iter_raw():
                times.append(time.monotonic())
                parts.append(part)
    assert parts == [piece for piece in pieces if isinstance(piece, bytes)]
    assert times[1] - times[0] > 0.2
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


def test_a_webhook_that_is_not_there_fails_the_request_for_nobody_would_know():
    with Pair(
        script("5", "I cannot tell.", "4"), policy="always", on_failure="escalate", escalate_to="http://127.0.0.1:9/"
    ) as pair:
        response = post(pair)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "escalation_failed")


def test_a_webhook_is_posted_to():
    with (
        Pair(lambda _: {"taken": True}) as hook,
        Pair(
            script("5", "I cannot tell.", "4"),
            policy="always",
            on_failure="escalate",
            escalate_to=f"{hook.direct}/hook",
        ) as pair,
    ):
        assert told(post(pair))[0] == "escalated"
        assert hook.upstream.asked[0].json["why"] == "second look: unclear"


@pytest.mark.parametrize(
    ("settings", "reason", "calls"), [({"budget_tokens": 1}, "tokens", 1), ({"budget_seconds": 0.4}, "seconds", 2)]
)
def test_budgets_end_a_second_look_and_the_answer_stands(settings, reason, calls):
    with Pair(script("5", WRONG, "4"), policy="always", delay=0.3 * ("budget_seconds" in settings), **settings) as pair:
        response = post(pair)
        assert len(pair.upstream.asked) == calls
    assert response.json()["choices"][0]["message"]["content"] == "5"
    assert told(response)[:2] == ("kept", reason)


def test_no_upstream_at_all(caplog, monkeypatch):
    """The log says where it is; a client is not told."""
    monkeypatch.setattr(LOGGER, "propagate", True)  # whoever has set up our log before
    caplog.set_level("INFO", LOGGER.name)
    with Pair() as pair:
        pass  # both are stopped again, and the ports free
    for policy in ("never", "always"):
        with Pair(policy=policy, retries=1) as other:
            other.gateway.upstream.address = f"{pair.direct}/v1"
            response = post(other)
            assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_refused")
            assert "127.0.0.1" not in response.text
            assert other.gateway.metrics.render()[1].count(b'outcome="502"') >= 1
    said = [record.fields["said"] for record in caplog.records if record.message == "upstream"]
    assert len(said) >= 4
    assert all(pair.direct.removeprefix("http://").split(":")[1] in line for line in said)


# --- streams that are looked at


def test_a_corrected_answer_is_streamed_as_an_upstream_would():
    replies = ("5", WRONG, completion("Four is\nthe sum."))
    with Pair(script(*replies), policy="always") as pair:
        body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}, "secondlook": {"transcript": True}}
        response = post(pair, body)
        assert all("stream" not in asked.json for asked in pair.upstream.asked)
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == "Four is\nthe sum."
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-2]["secondlook"]["transcript"]["messages"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 36)
    assert {chunk["id"] for chunk in chunks} == {"c1"}
    assert told(response) == ("corrected", "always", "always", "1", "wrong")
    assert response.headers["content-type"].startswith("text/event-stream")


def test_comments_keep_a_stream_alive_while_it_is_looked_at():
    with Pair(script("5", WRONG, "4"), policy="always", delay=0.4, keep_alive=0.25) as pair:
        response = post(pair, {**CHAT, "stream": True})
    parts = [part for part in response.text.split("\n\n") if part]
    assert 3 <= sum(part == ": still here" for part in parts) <= 5
    assert parts[-1] == "data: [DONE]"
    assert told(response)[1] == "looking"


@pytest.mark.parametrize("late", [False, True])
def test_a_stream_whose_first_answer_fails_ends_with_the_error(late):
    body = b'{"error": {"message": "no such model"}}'
    reply = (404, [("content-type", "application/json")], body)
    with Pair(lambda _: reply, policy="always", delay=0.4 * late, keep_alive=0.1) as pair:
        response = post(pair, {**CHAT, "stream": True})
    if late:
        assert response.status_code == 200
        assert json.loads(response.text.split("data: ")[-1]) == json.loads(body)
    else:
        assert (response.status_code, response.content) == (404, body)


def test_a_refusal_in_a_stream_that_has_begun_is_an_event():
    with Pair(script("5", FAILING[0]), policy="always", on_failure="closed", delay=0.3, keep_alive=0.1) as pair:
        response = post(pair, {**CHAT, "stream": True})
    assert json.loads(response.text.split("data: ")[-1])["error"]["code"] == "second_look_failed"


def test_a_stream_that_is_cut_upstream_is_cut_here():
    cut = (200, [("content-type", "text/event-stream")], [b"data: 1\n\n", None])
    with Pair(lambda _: cut) as pair, pytest.raises(httpx.RemoteProtocolError):
        post(pair, {**CHAT, "stream": True})


@pytest.mark.parametrize("policy", ["never", "always"])
def test_a_client_that_goes_away_cancels_the_call_at_once(policy, tmp_path):
    with Pair(policy=policy, delay=10.0, audit_file=tmp_path / "a.db") as pair:
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{pair.address}/v1/chat/completions", json=CHAT, timeout=0.5)
        while not pair.upstream.cancelled and time.monotonic() - begun < 5:
            time.sleep(0.02)
        assert pair.upstream.cancelled[0] - begun < 1.5
        time.sleep(0.3)
        assert b'outcome="499"' in pair.gateway.metrics.render()[1]


# --- who may come in


def test_limits():
    with Pair(max_body=100, max_in_flight=1, delay=1.0) as pair:
        assert post(pair, b"x" * 101).status_code == 413

        def pieces():
            for _ in range(3):
                yield b"x" * 50

        too_much = httpx.post(f"{pair.address}/v1/chat/completions", content=pieces(), timeout=20)
        assert (too_much.status_code, too_much.json()["error"]["code"]) == (413, "too_large")
        assert pair.upstream.asked == []
        first = threading.Thread(target=lambda: httpx.get(f"{pair.address}/v1/models", timeout=20))
        first.start()
        time.sleep(0.4)
        busy = httpx.get(f"{pair.address}/v1/models", timeout=20)
        first.join()
        assert (busy.status_code, busy.headers["retry-after"], busy.json()["error"]["code"]) == (429, "1", "busy")
        assert httpx.get(f"{pair.address}/v1/models", timeout=20).status_code == 200


@pytest.mark.parametrize(("status", "ready"), [(401, 200), (404, 200), (500, 200), (501, 200), (502, 503), (503, 503)])
def test_an_upstream_need_not_list_its_models(status, ready):
    with Pair(lambda _: (status, [], b"{}"), retries=0) as pair:
        assert httpx.get(f"{pair.address}/readyz").status_code == ready


def test_readiness_follows_the_upstream():
    with Pair(lambda _: {"data": []}) as pair:
        assert httpx.get(f"{pair.address}/readyz").json() == {"status": "ready"}
        pair.gateway.draining = lambda: True
        assert httpx.get(f"{pair.address}/readyz").status_code == 503
        pair.gateway.draining = lambda: False
        pair.gateway._ready_until = 0.0
        pair.gateway.upstream.address = "http://127.0.0.1:9/v1"
        down = httpx.get(f"{pair.address}/readyz", timeout=20)
        assert down.status_code == 503
        assert down.json() == {"status": "upstream", "detail": "no connection to the upstream"}
        assert httpx.get(f"{pair.address}/healthz").status_code == 200


def test_metrics_count_what_happened():
    with Pair(script("5", WRONG, "4"), policy="always") as pair:
        post(pair)
        text = httpx.get(f"{pair.address}/metrics").text
    for line in (
        'secondlook_requests_total{outcome="200",status="corrected"} 1.0',
        'secondlook_tokens_total{kind="in"} 30.0',
        "secondlook_upstream_calls_total 3.0",
        "secondlook_second_looks_total 1.0",
        "secondlook_in_flight 0.0",
    ):
        assert line in text
