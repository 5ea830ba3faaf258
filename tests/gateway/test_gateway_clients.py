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
from node_packages import NODE, node_packages
from servers import Running, Upstream, completion

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.gateway.keys import Keys
from secondlook.local.model import checkpoint_folder
from secondlook.prompts.prompt import load_prompt
from serving import serving

EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"
MODEL = str(checkpoint_folder("planted"))
QUESTION = BBQCase(draw_items(1, seed=3)[0], load_prompt("bbq/binary-cot")).query(0)
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
VARIES = ("id", "created")
"""What a server makes anew for each answer."""


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=120, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- two clients, asked the same and telling the same


def python(address, model, key, question):
    """The official Python client: as `node/conformance.mjs`."""
    with (
        openai.OpenAI(base_url=address, api_key=key, max_retries=0) as client,
        openai.OpenAI(base_url=address, api_key="sl-wrong", max_retries=0) as stranger,
    ):
        chat = {
            "model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 24,
        }  # fmt: skip

        def listed():
            try:
                return [model.id for model in client.models.list()]
            except openai.APIStatusError as error:
                return error.status_code

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
                return {
                    "error": type(error).__name__, "status": error.status_code, "code": error.code, "said": error.body,
                }  # fmt: skip
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
            return {
                "chunks": chunks, "text": "".join(delta.get("content") or "" for delta in deltas), "headers": headers,
            }  # fmt: skip

        def sent(request):
            with client.chat.completions.with_streaming_response.create(**request) as response:
                return base64.b64encode(response.read()).decode()

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


@pytest.fixture(scope="session")
def node():
    """A folder with the official Node client."""
    return node_packages()


def in_node(node, script, *arguments):
    copy = node / f"{os.getpid()}-{script.name}"
    shutil.copy(script, copy)
    try:
        return run("node", copy, *arguments, cwd=node)
    finally:
        copy.unlink()


@pytest.fixture(scope="module", params=["python", "node"])
def ask(request):
    """What a client makes of a server."""
    if request.param == "python":
        return python
    folder = request.getfixturevalue("node")
    return lambda *words: json.loads(in_node(folder, NODE / "conformance.mjs", *words))


# --- a real server with a real checkpoint


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with serving("planted", tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A key, and the file that lets it in."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys, made = Keys().add("mine")
    keys.save(file)
    return made, str(file)


@pytest.fixture(scope="module")
def never(upstream, key, tmp_path_factory):
    with deployed(tmp_path_factory.mktemp("never"), upstream=upstream, keys_file=key[1]) as gateway:
        yield gateway.address


@pytest.fixture(scope="module")
def always(upstream, key, tmp_path_factory):
    settings = {"upstream": upstream, "keys_file": key[1], "prompt": "bbq/binary-cot", "critic_tokens": 24}
    with deployed(tmp_path_factory.mktemp("always"), policy="always", keep_alive=0.005, **settings) as gateway:
        yield gateway.address


@pytest.fixture(scope="module")
def found(ask, upstream, never, always, key):
    """What the client finds going direct, and through each gateway."""
    ways = {"direct": upstream, "never": never, "always": always}
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


# --- a server that varies nothing and writes as nobody else does


def odd(asked):
    """Answers whose bytes no one who reads and writes them again would reproduce."""
    if asked.method == "GET":
        return 200, [("content-type", "application/json")], b'{"object":"list",\n"data":[{"id":"m","object":"model"}]}'
    request = asked.json
    if request["model"] != "m":
        return 404, [("content-type", "application/json")], b'{ "error": {"message": "no m\\u00f6del","code":"gone"}}\n'
    if request["messages"] == "x":
        return 422, [("content-type", "application/json")], b'{"error":{"message":"x","code":1.50}, "odd":[ ]}'
    if request.get("stream"):
        chunk = b'{"id":"c","choices":[{"index":0,"delta":{"content":"a\\u00e9\xc3\xa9"}}]}'
        pieces = [
            b": odd\r\n\r\ndata:" + chunk[:9],
            chunk[9:] + b"\r\n\r\n",
            b"data: " + chunk + b"\n\ndata: [DONE]\n\n",
        ]
        return 200, [("content-type", "text/event-stream")], pieces
    if "tools" in request:
        call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        return completion(None, tool_calls=[call])
    body = b'{"choices" : [{"index":0,"message":{"role":"assistant","content":"\\u00e9\xc3\xa9"}}],"odd":1e2 }\n\n'
    return 200, [("content-type", "application/json"), ("x-odd", "kept"), ("X-Odd", "twice")], body


def test_bytes_under_never_are_those_of_going_direct(ask, tmp_path):
    recorder = Upstream(odd)
    with Running(recorder) as root, deployed(tmp_path / "gateway", upstream=f"{root}/v1") as gateway:
        direct = ask(f"{root}/v1", "m", "k", "Why?")
        sent, recorder.asked[:] = list(recorder.asked), []
        never = ask(gateway.address, "m", "k", "Why?")
    assert never["bytes"] == direct["bytes"]
    assert base64.b64decode(never["bytes"][1]).startswith(b": odd\r\n\r\ndata:")
    assert never["tools"]["whole"] == direct["tools"]["whole"]
    assert never["tools"]["whole"]["choices"][0]["message"]["tool_calls"][0]["id"] == "t1"
    for name in ("plain", "streamed", "badModel", "badBody", "models"):
        assert content(never[name]) == content(direct[name])
    assert len(sent) == len(recorder.asked) == 10
    for before, after in zip(sent, recorder.asked, strict=True):
        assert (after.method, after.path) == (before.method, before.path)
        changed = {"host", "connection", "accept-encoding"}
        if b"secondlook" in before.body:
            assert after.json == {name: value for name, value in before.json.items() if name != "secondlook"}
            changed.add("content-length")
        else:
            assert after.body == before.body
        assert {pair for pair in before.headers if pair[0] not in changed} <= set(after.headers)


def test_bytes_of_what_cannot_be_looked_at_twice_are_the_clients(ask, tmp_path):
    recorder = Upstream(odd)
    with (
        Running(recorder) as root,
        deployed(tmp_path / "gateway", upstream=f"{root}/v1", policy="always") as gateway,
    ):
        direct = ask(f"{root}/v1", "m", "k", "Why?")
        sent, recorder.asked[:] = list(recorder.asked), []
        always = ask(gateway.address, "m", "k", "Why?")
    for name in ("tools", "badBody"):
        assert content(always[name]) == content(direct[name])

    def passed(asked):
        return [each.body for each in asked if b"tools" in each.body or each.json["messages"] == "x"]

    posts = ([each for each in asked if each.method == "POST"] for asked in (sent, recorder.asked))
    before, after = map(passed, posts)
    assert before == after
    assert len(after) == 2


# --- the examples, as they are


def told(out, way):
    """What an example printed: an answer, what was done, and the answer streamed."""
    first, _, rest = out.partition("looked at: ")
    done, _, streamed = rest.partition("\n")
    assert first.strip()
    assert streamed.strip()
    assert done.split()[0] in {"never": ("passed",), "always": ("kept", "corrected")}[way]


@pytest.mark.parametrize("way", ["never", "always"])
def test_the_python_example_runs_as_it_is(request, key, way):
    environment = os.environ | {"OPENAI_API_KEY": key[0]}
    told(run(sys.executable, EXAMPLES / "client.py", request.getfixturevalue(way), MODEL, env=environment), way)


@pytest.mark.parametrize("way", ["never", "always"])
def test_the_node_example_runs_as_it_is(request, key, node, way, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key[0])
    told(in_node(node, EXAMPLES / "client.mjs", request.getfixturevalue(way), MODEL), way)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: its example is not tried")
def test_the_curl_example_runs_as_it_is(always, key):
    environment = os.environ | {"OPENAI_API_KEY": key[0]}
    out = run("sh", EXAMPLES / "client.sh", always, MODEL, env=environment)
    head, _, body = out.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "x-secondlook-rounds: 1" in head
    assert json.loads(body)["choices"][0]["message"]["content"]


def test_the_litellm_example_runs_as_it_is(never, key):
    pytest.importorskip("litellm", reason="LiteLLM is missing: its example is not tried")
    # It would ask the web for prices otherwise.
    environment = os.environ | {"OPENAI_API_KEY": key[0], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    assert run(sys.executable, EXAMPLES / "client_litellm.py", never, MODEL, env=environment).strip()
