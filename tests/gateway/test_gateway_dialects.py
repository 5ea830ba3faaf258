"""Responses and messages are looked at as chat completions are: official clients, answers whole and streamed."""

import json
import runpy
import sys
from pathlib import Path

import openai
import pytest
from chats import PROMPT, RIGHT, WRONG, told
from servers import HTTP, Pair, script

from secondlook.correction.events import event, read_events
from secondlook.gateway.dialects import DIALECTS
from secondlook.gateway.keys import Keys

anthropic = pytest.importorskip("anthropic", reason="anthropic is missing: its client is not tried")
EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"
ASKED = "2 + 2?"


def response(text, *, status="completed", error=None, **more):
    """The body of a response."""
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message = {"id": "msg1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12,
    }  # fmt: skip
    return {
        "id": "resp1", "object": "response", "created_at": 5, "model": "m", "status": status, "error": error,
        "incomplete_details": None, "instructions": None, "output": [message], "parallel_tool_calls": True, "tools": [],
        "tool_choice": "auto", "usage": usage, "odd": {"kept": True}, **more,
    }  # fmt: skip


def message(text, **more):
    """The body of a message."""
    return {
        "id": "msg1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 2}, **more,
    }  # fmt: skip


def response_events(body):
    """The stream that OpenAI's server makes of a response."""
    begun = {**body, "status": "in_progress", "output": [], "usage": None}
    item = body["output"][0]
    part = item["content"][0]
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": letter, "logprobs": []} for letter in part["text"]),
        {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": body},
    ]


def message_events(body):
    """The stream that Anthropic's server makes of a message."""
    text = body["content"][0]["text"]
    usage = {**body["usage"], "output_tokens": 1}
    return [
        {"type": "message_start", "message": {**body, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": x}} for x in text),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


def by_responses(address, key="k", **more):
    with openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as client:
        if more.pop("stream", False):
            with client.responses.stream(model="m", input=ASKED, **more) as stream:
                text = "".join(each.delta for each in stream if each.type == "response.output_text.delta")
                found = stream.get_final_response()
            assert found.output_text == text
        else:
            found = client.responses.create(model="m", input=ASKED, **more)
        return found.output_text, found.usage


def by_messages(address, key="k", **more):
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": ASKED}], **more}
    # Anthropic's client puts /v1 before its paths itself.
    with anthropic.Anthropic(base_url=address, api_key=key, max_retries=0) as client:
        if asked.pop("stream", False):
            with client.messages.stream(**asked) as stream:
                text = "".join(stream.text_stream)
                found = stream.get_final_message()
            assert found.content[0].text == text
        else:
            found = client.messages.create(**asked)
        return found.content[0].text, found.usage


SIDES = {
    "responses": (by_responses, response, response_events, "input"),
    "messages": (by_messages, message, message_events, "messages"),
}


@pytest.fixture(params=SIDES)
def side(request):
    return SIDES[request.param]


def sent(events):
    body = [event(data, data["type"]) for data in events]
    return 200, [("content-type", "text/event-stream")], body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("streams", [False, True], ids=["by none that streams", "by one that streams"])
def test_a_second_look(side, stream, streams):
    ask, body, events, turns = side
    if stream and not streams and body is response:
        return  # the client's helper wants every event of a response, and such a server sends none
    replies = [body(text) for text in ("5", WRONG, "Four is\nthe sum.")]
    streamed = [sent(events(reply)) if stream and streams else reply for reply in replies]
    with Pair(script(*streamed), policy="always", critic_tokens=99) as pair:
        text, usage = ask(pair.address, stream=stream)
        first, check, again = (asked.json for asked in pair.upstream.asked)
    assert text == "Four is\nthe sum."
    assert (usage.input_tokens, usage.output_tokens) == (30, 6)
    if not (stream and body is message):  # that client's helper leaves out what it does not know
        assert usage.model_extra["secondlook"]["calls"] == 3
    said = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "5"}]
    said.append({"role": "user", "content": PROMPT.check})
    assert check[turns] == said
    assert again[turns] == [*said, {"role": "assistant", "content": WRONG}, {"role": "user", "content": ASKED}]
    assert first[turns] == (ASKED if body is response else said[:1])
    limit = "max_output_tokens" if body is response else "max_tokens"
    assert check[limit] == 99


@pytest.mark.parametrize("stream", [False, True])
def test_passed_on_under_never(side, stream):
    ask, body, events, _ = side
    with Pair(lambda _: sent(events(body("5"))) if stream else body("5")) as pair:
        text, usage = ask(pair.address, stream=stream)
    assert (text, usage.input_tokens, usage.output_tokens) == ("5", 10, 2)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_an_error_of_the_upstream_is_the_clients_own(side, stream, late):
    ask, body, *_ = side
    said = b'{"type": "error", "error": {"type": "overloaded_error", "message": "come later"}}'
    reply = (529, [("content-type", "application/json")], said if not late else [0.4, said])
    kind = anthropic.APIError if body is message else openai.APIError
    with Pair(lambda _: reply, policy="always", retries=0, keep_alive=0.05 if late else 60) as pair:
        with pytest.raises(kind) as caught:
            ask(pair.address, stream=stream)
        assert "come later" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("responses", {"tools": [{"type": "web_search"}]}, "tools"),
        ("responses", {"conversation": "c1"}, "state"),
        ("responses", {"background": True}, "background"),
        ("responses", {"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]}, "tools"),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "images"),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]}, "parts"),
        ("responses", {"input": None, "prompt": {"id": "p"}}, "unreadable"),
        ("messages", {"tools": [{"name": "f", "input_schema": {}}]}, "tools"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "tools"),
        ("messages", {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}, "prefill"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "images"),
        ("messages", {"mcp_servers": [{}]}, "tools"),
        ("messages/count_tokens", {}, "endpoint"),
    ],
)  # fmt: skip
def test_what_is_not_looked_at_says_why(path, change, reason):
    asked = ASKED if path == "responses" else [{"role": "user", "content": ASKED}]
    body = {"model": "m", "input" if path == "responses" else "messages": asked}
    with Pair(policy="always") as pair:
        found = HTTP.post(f"{pair.address}/v1/{path}", json={**body, **change})
        assert len(pair.upstream.asked) == 1
    assert told(found)[:2] == ("passed", reason)


def test_what_a_check_leaves_out_and_keeps():
    """Whatever is about the form of the answer, in the names of each interface; what is thought comes on top."""
    form = {
        "text": {"format": {"type": "json_object"}},
        "max_output_tokens": 5,
        "include": [],
        "instructions": "Brief.",
    }
    with Pair(script(response("5"), response(RIGHT), response("5")), policy="always", critic_tokens=99) as pair:
        HTTP.post(f"{pair.address}/v1/responses", json={"model": "m", "input": ASKED, **form})
        check = pair.upstream.asked[1].json
        assert check.keys() == {"model", "input", "max_output_tokens", "include", "instructions"}
    form = {"max_tokens": 900, "stop_sequences": ["x"], "system": "Brief.", "output_format": {}, "temperature": 1}
    form["thinking"] = {"type": "enabled", "budget_tokens": 200}
    body = {"model": "m", "messages": [{"role": "user", "content": ASKED}], **form}
    thought = message(
        "5", content=[{"type": "thinking", "thinking": "6?", "signature": "s"}, {"type": "text", "text": "5"}]
    )
    with Pair(script(thought, message(RIGHT), thought), policy="always", critic_tokens=99) as pair:
        found = HTTP.post(f"{pair.address}/v1/messages", json=body)
        check = pair.upstream.asked[1].json
    assert found.json()["content"] == thought["content"]
    assert check.keys() == {"model", "messages", "max_tokens", "system", "temperature", "thinking"}
    assert (check["max_tokens"], check["messages"][1]["content"]) == (299, "5")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (response(""), "empty"), (response("5", status="failed", error={"code": "x", "message": "lost"}), "error"),
        (response("5", status="incomplete", incomplete_details={"reason": "content_filter"}), "refused"),
        (response("5", output=None), "error"), (response("5", output=[{"type": "function_call"}]), "call"),
        (response("5", output=[{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]), "refused"),
        (response("5", output=[3, {"type": "reasoning", "summary": [{"text": "Hm"}]}]), "empty"), ([], "error"),
    ],
)  # fmt: skip
def test_responses_that_are_no_answer(body, kind):
    assert DIALECTS["/responses"].read(body).kind == kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (message(""), "empty"), (message("5", content=None), "error"), (message("5", stop_reason="refusal"), "refused"),
        (message("5", content=[{"type": "tool_use"}]), "call"), ({"type": "error", "error": {"message": "x"}}, "error"),
        (message("5", content=[{"type": "thinking", "thinking": "Hm"}], stop_reason="max_tokens"), "empty"),
        (None, "error"),
    ],
)  # fmt: skip
def test_messages_that_are_no_answer(body, kind):
    assert DIALECTS["/messages"].read(body).kind == kind


@pytest.mark.parametrize("name", SIDES)
def test_streams_amount_to_their_bodies(name):
    _, body, events, _ = SIDES[name]
    dialect, made = DIALECTS[f"/{name}"], events(body("Four is\nthe sum."))
    whole = b"".join(event(data, data["type"]) for data in made)
    assert dialect.gathered(read_events(whole)) == body("Four is\nthe sum.")
    assert dialect.read(dialect.gathered(read_events(whole[: len(whole) // 2]))).said == "the stream broke off"
    lost = event({"type": "error", "error": {"message": "lost"}}, "error")
    assert dialect.read(dialect.gathered(read_events(whole[:200] + b"\n\n" + lost))).said == "lost"


def test_the_example_runs_as_it_is(capsys, monkeypatch):
    def say(asked):
        return sent(message_events(message("Fine."))) if json.loads(asked.body).get("stream") else message("Fine.")

    with Pair(say, policy="never") as pair:
        monkeypatch.setattr(sys, "argv", ["client_anthropic.py", pair.address, "m"])
        runpy.run_path(str(EXAMPLES / "client_anthropic.py"))
    assert capsys.readouterr().out == "Fine.\nlooked at: passed never\nFine.\n"


def test_keys_of_either_client_open_and_go_no_further(side, tmp_path):
    ask, body, *_ = side
    keys, key = Keys().add("mine")
    keys.save(tmp_path / "keys.json")
    (tmp_path / "upstream.key").write_text("theirs\n")
    files = {"keys_file": tmp_path / "keys.json", "upstream_key_file": tmp_path / "upstream.key"}
    kind = anthropic.AuthenticationError if body is message else openai.AuthenticationError
    with Pair(lambda _: body("5"), **files) as pair:
        assert ask(pair.address, key)[0] == "5"
        with pytest.raises(kind):
            ask(pair.address, "sl-wrong")
        (asked,) = pair.upstream.asked
        assert key not in str(asked.headers)
        assert asked.header("authorization") == "Bearer theirs"
        assert asked.header("x-api-key") == ("theirs" if body is message else None)
