"""Bodies, headers, paths and chunks that nobody expects: never a failure of our own, never a way round a key."""

import json
import logging
import re
import socket

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from servers import Pair

from secondlook.gateway.keys import Keys

FEW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def open_pair():
    with Pair(lambda _: "Fine.\nVerdict: correct", policy="always", override="any", rounds=3) as pair:
        yield pair


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A gateway that wants a key, and the key."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    keys, key = Keys().add("mine")
    keys.save(file)
    with Pair(policy="always", keys_file=file) as pair:
        yield pair, key


class Kept(logging.Handler):
    def __init__(self):
        super().__init__(logging.ERROR)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


@pytest.fixture(autouse=True)
def no_failure_of_our_own():
    """Our own failures are logged as errors; a test that causes one fails."""
    kept, logger = Kept(), logging.getLogger("secondlook.gateway")
    logger.addHandler(kept)
    yield
    logger.removeHandler(kept)
    assert kept.said == []


def raw(pair, data, *, ends=False):
    """What comes back for bytes on a line of their own; one that does not end is given up by its client."""
    host, port = re.fullmatch(r"http://(.+):(\d+)", pair.address).groups()
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(data)
        if not ends:
            line.shutdown(socket.SHUT_WR)
        said = b""
        while part := line.recv(65536):
            said += part
    return said


def check(said):
    """Nothing of ours broke: no 500, no traceback."""
    assert b"internal" not in said
    assert b"Traceback" not in said
    assert not re.match(rb"HTTP/1.1 500", said)


# --- by the published interface


def schema(pair):
    document = httpx.get(f"{pair.address}/openapi.json").json()
    config = SchemathesisConfig.from_dict({"generation": {"mode": "all"}})
    return schemathesis.openapi.from_dict(document, config=config)


def test_the_document_is_sound(open_pair, locked):
    for pair in (open_pair, locked[0]):
        document = httpx.get(f"{pair.address}/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]) == {"/v1/chat/completions", "/v1/models", "/healthz", "/readyz", "/metrics"}
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/healthz", "/readyz", "/metrics"])
def test_every_case_of_the_interface_is_answered_as_it_says(open_pair, path):
    (operation,) = schema(open_pair)[path].values()

    @FEW
    @given(operation.as_strategy())
    def run(case):
        response = case.call(base_url=open_pair.address)
        case.validate_response(response, checks=[not_a_server_error])
        case.validate_response(response)

    run()


# --- bodies, headers, chunks

SMALL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "model",
                    "messages",
                    "role",
                    "content",
                    "n",
                    "stream",
                    "tools",
                    "type",
                    "text",
                    "secondlook",
                    "stream_options",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
CHAT = st.fixed_dictionaries(
    {
        "model": st.just("m") | SMALL,
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "tool"]), "content": st.text() | SMALL}),
            max_size=3,
        )
        | SMALL,
    },
    optional=dict.fromkeys(
        ("stream", "n", "tools", "stop", "logprobs", "stream_options", "secondlook", "modalities"), SMALL
    ),
)
HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters=":\x7f"), max_size=20)


@FEW
@given(
    CHAT | SMALL,
    st.dictionaries(
        st.sampled_from(
            ["x-secondlook-policy", "x-secondlook-rounds", "x-secondlook-task", "accept", "content-type", "cookie"]
        ),
        HEADER,
        max_size=3,
    ),
)
def test_bodies_and_headers(open_pair, body, headers):
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    response = httpx.post(
        f"{open_pair.address}/v1/chat/completions", content=json.dumps(body).encode(), headers=sent, timeout=20
    )
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json()["error"]["code"] == "override"


@FEW
@given(st.binary(max_size=200))
def test_bytes_that_are_no_json(open_pair, body):
    assert httpx.post(f"{open_pair.address}/v1/chat/completions", content=body, timeout=20).status_code == 200


@FEW
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.booleans())
def test_chunks(open_pair, pieces, ends):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    said = raw(open_pair, head + chunks + (b"0\r\n\r\n" if ends else b""), ends=ends)
    check(said)
    if ends:
        assert said.startswith(b"HTTP/1.1 200")


@FEW
@given(st.binary(max_size=300))
def test_what_is_no_http_at_all(open_pair, data):
    check(raw(open_pair, data))
    check(raw(open_pair, b"POST /v1/chat/completions HTTP/1.1\r\n" + data + b"\r\n\r\n"))


@FEW
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_paths(open_pair, path):
    said = raw(open_pair, b"GET /v1/" + path.encode() + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    check(said)


# --- keys

WAYS = (
    "/v1/chat/completions",
    "/v1/models",
    "/v1/",
    "/v1//models",
    "/v1/x/../models",
    "/v1/%2e%2e/v1/models",
    "/V1/models",
)


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
def test_no_way_in_without_a_key(locked, method, path):
    pair, _ = locked
    before = len(pair.upstream.asked)
    said = raw(pair, f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode(), ends=True)
    assert re.match(rb"HTTP/1.1 (401|404|405|307)", said), said[:200]
    assert len(pair.upstream.asked) == before


@FEW
@given(st.one_of(HEADER, st.builds("Bearer {}x".format, HEADER), st.just("Bearer sl-"), st.just("bearer null")))
def test_no_key_is_guessed(locked, value):
    pair, _ = locked
    before = len(pair.upstream.asked)
    response = httpx.get(f"{pair.address}/v1/models", headers={"authorization": value.encode("latin-1")})
    assert response.status_code == 401
    assert len(pair.upstream.asked) == before


def test_the_key_opens_and_goes_no_further(locked):
    pair, key = locked
    assert httpx.get(f"{pair.address}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert pair.upstream.asked[-1].header("authorization") is None
    twice = ("GET /v1/models HTTP/1.1", "host: x", "authorization: Bearer x", f"authorization: Bearer {key}")
    said = raw(pair, "\r\n".join((*twice, "connection: close", "", "")).encode(), ends=True)
    assert said.startswith(b"HTTP/1.1 401")
    # What tells nothing about the upstream needs none.
    assert httpx.get(f"{pair.address}/healthz").status_code == 200
