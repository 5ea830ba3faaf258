"""The gateway between real servers: what is passed on, what is looked at, who may come in, what clients are told."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from chats import CHAT, PROMPT, RIGHT, WRONG, post, told
from servers import HTTP, Pair, completion, free_port, script, streamed, until
from test_gateway_policy import diagnosis

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
