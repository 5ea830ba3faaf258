"""The official clients, unchanged but for the base URL, through the gateway to a real server with a real checkpoint."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from deployed import deployed
from servers import Running, Upstream, completion, until

from node_packages import NODE, node_packages
from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.gateway.keys import Keys
from secondlook.local.model import checkpoint
from secondlook.prompts.prompt import load_prompt

EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"
MODEL = str(checkpoint("planted-0.1m"))
QUESTION = BBQCase(draw_items(1, seed=3)[0], load_prompt("bbq/binary-cot")).query(0)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
VARIES = ("id", "created")
"""What a server makes anew for each answer."""


def run(*command, **options):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- two clients, asked the same and telling the same


def python(address, model, key, question):
    """The official Python client: as `node/conformance.mjs`."""
    with (
        openai.OpenAI(base_url=address, api_key=key, max_retries=0) as client,
        openai.OpenAI(base_url=address, api_key="sl-wrong", max_retries=0) as stranger,
    ):
        messages = [{"role": "user", "content": question}]
        chat = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 24}

        def plain(model):
            return {name: value for name, value in model.to_dict(mode="json").items() if name not in VARIES}

        def come(request, asking=client):
            try:
                raw = asking.chat.completions.with_raw_response.create(**request)
                headers = {name: value for name, value in raw.headers.items() if name.startswith("x-secondlook-")}
                if not request.get("stream"):
                    return {"whole": plain(raw.parse()), "headers": headers}
                chunks = [plain(chunk) for chunk in raw.parse()]
            except openai.APIStatusError as error:
                found = {"error": type(error).__name__, "status": error.status_code, "code": error.code}
                return {**found, "said": error.body}
            text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
            return {"chunks": chunks, "text": text, "headers": headers}

        def sent(request):
            with client.chat.completions.with_streaming_response.create(**request) as response:
                return base64.b64encode(response.read()).decode()

        def listed():
            try:
                return [model.id for model in client.models.list()]
            except openai.APIStatusError as error:
                return error.status_code

        return {
            "plain": come(chat),
            "streamed": come({**chat, "stream": True, "stream_options": {"include_usage": True}}),
            "tools": come({**chat, "tools": TOOLS}),
            "transcript": come({**chat, "extra_body": {"secondlook": {"transcript": True}}}),
            "badModel": come({**chat, "model": "no/such-model"}),
            "badBody": come({**chat, "messages": "x"}),
            "wrongKey": come(chat, stranger),
            "bytes": [sent(chat), sent({**chat, "stream": True})],
            "models": listed(),
        }


def in_node(script, *arguments):
    folder = node_packages()
    copy = folder / f"{os.getpid()}-{script.name}"
    shutil.copy(script, copy)
    try:
        return run("node", copy, *arguments, cwd=folder)
    finally:
        copy.unlink()


@pytest.fixture(scope="module", params=["python", "node"])
def ask(request):
    """What a client makes of a server."""
    if request.param == "python":
        return python
    return lambda *words: json.loads(in_node(NODE / "conformance.mjs", *words))


# --- a real server with a real checkpoint


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A key, and the file that lets it in."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys, made = Keys().add("mine")
    keys.save(file)
    return made, str(file)


@pytest.fixture(scope="module")
def never(server, key, tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("never"), upstream=server, keys_file=key[1]) as gateway:
        yield gateway.address


@pytest.fixture(scope="module")
def always(server, key, tmp_path_factory):
    settings = {"upstream": server, "keys_file": key[1], "prompt": "bbq/binary-cot", "critic_tokens": 24}
    with deployed(tmp_path_factory.mktemp("always"), policy="always", keep_alive=0.005, **settings) as gateway:
        yield gateway.address


@pytest.fixture(scope="module")
def found(ask, server, never, always, key):
    """What the client finds going direct, and through each gateway."""
    ways = {"direct": server, "never": never, "always": always}
    return {way: ask(address, MODEL, key[0], QUESTION) for way, address in ways.items()}


def content(answer):
    """What a client read, but our headers."""
    return {name: value for name, value in answer.items() if name != "headers"} if isinstance(answer, dict) else answer


def test_never_gives_what_going_direct_gives(found):
    direct, never = found["direct"], found["never"]
    assert direct["plain"]["whole"]["choices"][0]["message"]["content"] == direct["streamed"]["text"] != ""
    for name in ("plain", "streamed", "tools"):
        assert direct[name]["headers"] == {}
        told = never[name]["headers"]
        assert (told["x-secondlook-status"], told["x-secondlook-policy"]) == ("passed", "never")
    for name in ("plain", "streamed", "tools", "badModel", "badBody", "models"):
        assert content(never[name]) == content(direct[name]), name
    assert direct["badModel"]["status"] >= 400
    assert direct["badBody"]["status"] >= 400


def test_always_looks_twice_plain_and_streamed(found):
    looked = found["always"]
    whole = looked["transcript"]["whole"]
    text = whole["choices"][0]["message"]["content"]
    assert whole["secondlook"]["transcript"]["rounds"][-1]["answer"] == text
    assert whole["secondlook"]["transcript"]["rounds"][0]["answer"] == found["direct"]["streamed"]["text"]
    assert whole["usage"]["secondlook"]["calls"] == 3
    assert looked["transcript"]["headers"]["x-secondlook-rounds"] == "1"
    assert looked["plain"]["whole"]["choices"][0]["message"]["content"] == text
    assert "secondlook" not in looked["plain"]["whole"]
    # Held back longer than `keep_alive`: comments went before it, and the client read over them.
    assert looked["streamed"]["headers"]["x-secondlook-reason"] == "looking"
    assert looked["streamed"]["text"] == text
    assert looked["streamed"]["chunks"][-1]["usage"]["total_tokens"] == whole["usage"]["total_tokens"]


def test_always_passes_errors_and_tools_on(found):
    assert found["always"]["tools"]["headers"]["x-secondlook-reason"] == "tools"
    for name in ("tools", "badModel", "badBody", "models"):
        assert content(found["always"][name]) == content(found["direct"][name]), name


def test_a_wrong_key_is_an_authentication_error(found):
    for way in ("never", "always"):
        refused = found[way]["wrongKey"]
        assert (refused["error"], refused["status"]) == ("AuthenticationError", 401)
        assert refused["code"] == "invalid_api_key"


@pytest.mark.parametrize("stream", [False, True])
def test_responses_are_looked_at_too(always, key, found, stream):
    """By the same server and checkpoint as chat completions, so that the answers are the same."""
    asked = {"model": MODEL, "input": QUESTION, "temperature": 0, "max_output_tokens": 24, "stream": stream}
    with openai.OpenAI(base_url=always, api_key=key[0], max_retries=0) as client:
        response = client.responses.create(**asked)
        if stream:
            *_, last = response
            assert last.type == "response.completed"
            response = last.response
    assert response.output_text == found["always"]["streamed"]["text"]
    assert response.usage.secondlook["calls"] == 3


# --- a server that varies nothing and writes as nobody else does


def odd(asked):
    """Answers whose bytes no one who reads and writes them again would reproduce."""
    kind = ("content-type", "application/json")
    if asked.method == "GET":
        return 200, [kind], b'{"object":"list",\n"data":[{"id":"m","object":"model"}]}'
    request = asked.json
    if request["model"] != "m":
        return 404, [kind], b'{ "error": {"message": "no m\\u00f6del","code":"gone"}}\n'
    if request["messages"] == "x":
        return 422, [kind], b'{"error":{"message":"x","code":1.50}, "odd":[ ]}'
    if request.get("stream"):
        chunk = b'{"id":"c","choices":[{"index":0,"delta":{"content":"a\\u00e9\xc3\xa9"}}]}'
        pieces = [b": odd\r\n\r\ndata:" + chunk[:9], chunk[9:] + b"\r\n\r\ndata: " + chunk, b"\n\ndata: [DONE]\n\n"]
        return 200, [("content-type", "text/event-stream")], pieces
    if "tools" in request:
        call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        return completion(None, tool_calls=[call])
    body = b'{"choices" : [{"index":0,"message":{"role":"assistant","content":"\\u00e9\xc3\xa9"}}],"odd":1e2 }\n\n'
    return 200, [kind, ("x-odd", "kept"), ("X-Odd", "twice")], body


@pytest.fixture(scope="module")
def odd_found(ask, tmp_path_factory):
    """What a client finds going direct and through each gateway, and what that server was asked then."""
    recorder, folder = Upstream(odd), tmp_path_factory.mktemp("odd")
    with (
        Running(recorder) as root,
        deployed(folder / "never", upstream=f"{root}/v1") as never,
        deployed(folder / "always", upstream=f"{root}/v1", policy="always") as always,
    ):
        until(lambda: len(recorder.asked) == 2)  # each gateway has looked for its upstream
        found = {}
        for way, address in (("direct", f"{root}/v1"), ("never", never.address), ("always", always.address)):
            recorder.asked = []
            found[way] = ask(address, "m", "k", "Why?"), recorder.asked
        return found


def test_bytes_under_never_are_those_of_going_direct(odd_found):
    (direct, sent), (never, asked) = odd_found["direct"], odd_found["never"]
    assert never["bytes"] == direct["bytes"]
    assert base64.b64decode(never["bytes"][1]).startswith(b": odd\r\n\r\ndata:")
    assert never["tools"]["whole"] == direct["tools"]["whole"]
    assert never["tools"]["whole"]["choices"][0]["message"]["tool_calls"][0]["id"] == "t1"
    for name in ("plain", "streamed", "badModel", "badBody", "models"):
        assert content(never[name]) == content(direct[name])
    assert len(sent) == len(asked) == 10
    for before, after in zip(sent, asked, strict=True):
        assert (after.method, after.path) == (before.method, before.path)
        changed = {"host", "connection", "accept-encoding"}
        if b"secondlook" in before.body:
            assert after.json == {name: value for name, value in before.json.items() if name != "secondlook"}
            changed.add("content-length")
        else:
            assert after.body == before.body
        assert {pair for pair in before.headers if pair[0] not in changed} <= set(after.headers)


def test_bytes_of_what_cannot_be_looked_at_twice_are_the_clients(odd_found):
    (direct, sent), (always, asked) = odd_found["direct"], odd_found["always"]
    for name in ("tools", "badBody"):
        assert content(always[name]) == content(direct[name])
    before, after = (
        [one.body for one in each if one.method == "POST" and (b"tools" in one.body or one.json["messages"] == "x")]
        for each in (sent, asked)
    )
    assert before == after
    assert len(after) == 2


# --- the examples, as they are

RUNS = {
    "client.py": lambda *words: run(sys.executable, EXAMPLES / "client.py", *words),
    "client.mjs": lambda *words: in_node(EXAMPLES / "client.mjs", *words),
}


@pytest.mark.parametrize("way", ["never", "always"])
@pytest.mark.parametrize("example", RUNS)
def test_the_examples_run_as_they_are(request, key, example, way, monkeypatch):
    """An answer, what was done, and the answer streamed."""
    monkeypatch.setenv("OPENAI_API_KEY", key[0])
    first, _, rest = RUNS[example](request.getfixturevalue(way), MODEL).partition("looked at: ")
    done, _, streamed = rest.partition("\n")
    assert first.strip()
    assert streamed.strip()
    assert done.split()[0] in {"never": ("passed",), "always": ("kept", "corrected")}[way]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: its example is not tried")
def test_the_curl_example_runs_as_it_is(always, key, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key[0])
    head, _, body = run("sh", EXAMPLES / "client.sh", always, MODEL).replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "x-secondlook-rounds: 1" in head
    assert json.loads(body)["choices"][0]["message"]["content"]


def test_the_litellm_example_runs_as_it_is(never, key, monkeypatch):
    pytest.importorskip("litellm", reason="LiteLLM is missing: its example is not tried")
    monkeypatch.setenv("OPENAI_API_KEY", key[0])
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would ask the web for prices otherwise
    assert run(sys.executable, EXAMPLES / "client_litellm.py", never, MODEL).strip()
