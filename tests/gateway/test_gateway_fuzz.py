"""Bodies, headers, paths and chunks that nobody expects: never a failure of our own, never a way round a key."""

import json
import re
import socket
from contextlib import contextmanager

import httpx
import pytest
import schemathesis
from deployed import Deployed, deployed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from servers import Running, Upstream

from secondlook.gateway.keys import Keys

MOST = 2**16
"""Bytes that a body may have here."""
FEW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Pair:
    """An upstream that says what it was asked, and a deployed gateway before it."""

    def __init__(self, upstream: Upstream, gateway: Deployed, http: httpx.Client) -> None:
        self.upstream, self.gateway, self.http = upstream, gateway, http

    def raw(self, data, *, ends=True):
        """What comes back for bytes on a line of their own; one that does not end is given up by its client."""
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=60) as line:
            line.sendall(data)
            if not ends:
                line.shutdown(socket.SHUT_WR)
            said = b""
            try:
                while part := line.recv(65536):
                    said += part
            except ConnectionResetError:
                pass
        assert not re.match(rb"HTTP/1.1 5", said), said
        assert b"Traceback" not in said
        return said


@contextmanager
def pair(folder, **more):
    upstream = Upstream(lambda _: "Fine.\nVerdict: correct")
    with (
        Running(upstream) as root,
        deployed(folder, upstream=f"{root}/v1", policy="always", max_body=MOST, ready_model="m", **more) as gateway,
        httpx.Client(base_url=gateway.root, timeout=60) as http,
    ):
        yield Pair(upstream, gateway, http)
    odd = [line for line in gateway.log.splitlines() if json.loads(line)["level"] not in ("info", "warning")]
    assert odd == [], "a failure of our own"


@pytest.fixture(scope="module")
def open_pair(tmp_path_factory):
    with pair(tmp_path_factory.mktemp("open"), override="any", rounds=3) as both:
        yield both


def since(both):
    """What the upstream is asked from here on."""
    before = len(both.upstream.asked)
    return lambda: both.upstream.asked[before:]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A gateway that wants a key, and the key."""
    folder = tmp_path_factory.mktemp("locked")
    keys, key = Keys().add("mine")
    keys.save(folder / "keys.json")
    with pair(folder, keys_file=str(folder / "keys.json")) as both:
        yield both, key


# --- by the published interface

OURS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/models", "/healthz", "/readyz", "/metrics")


def test_the_document_is_sound(open_pair, locked):
    for each in (open_pair, locked[0]):
        document = each.http.get("/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]) == set(OURS)
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


@pytest.mark.parametrize("path", OURS)
def test_every_case_of_the_interface_is_answered_as_it_says(open_pair, path):
    config = SchemathesisConfig.from_dict({"generation": {"mode": "all"}})
    document = open_pair.http.get("/openapi.json").json()
    (operation,) = schemathesis.openapi.from_dict(document, config=config)[path].values()

    @settings(FEW, max_examples=20)
    @given(operation.as_strategy())
    def run(case):
        response = case.call(base_url=open_pair.gateway.root)
        assert response.status_code < 500
        case.validate_response(response)

    run()


# --- bodies and headers

NAMES = (
    "model", "messages", "role", "content", "n", "stream", "tools", "type", "text", "secondlook", "stream_options",
)  # fmt: skip
SMALL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "tool"]), "content": st.text(max_size=50) | SMALL}
)
CHAT = st.fixed_dictionaries(
    {"model": st.just("m") | SMALL, "messages": st.lists(MESSAGE, max_size=3) | SMALL},
    optional=dict.fromkeys(
        ("stream", "n", "tools", "stop", "logprobs", "stream_options", "secondlook", "modalities"), SMALL
    ),
)
ASKS = ("x-secondlook-policy", "x-secondlook-rounds", "x-secondlook-task", "accept", "content-type", "cookie")
HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters=":\x7f"), max_size=20)


@FEW
@given(CHAT | SMALL, st.dictionaries(st.sampled_from(ASKS), HEADER, max_size=3))
def test_bodies_and_headers(open_pair, body, headers):
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    response = open_pair.http.post("/v1/chat/completions", content=json.dumps(body).encode(), headers=sent)
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json()["error"]["code"] == "override"


@FEW
@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_the_upstreams(open_pair, body):
    assert open_pair.http.post("/v1/chat/completions", content=body).status_code == 200
    assert open_pair.upstream.asked[-1].body == body


@pytest.mark.parametrize("name", ["a\nb", "a\x85b", "a\u2028b", "a\x9b2Jb", "\ud800", "a\x00"])
def test_a_name_cannot_make_a_line_of_the_log(open_pair, name):
    chat = {"model": name, "messages": [{"role": "user", "content": "?"}]}
    answer = open_pair.http.post("/v1/chat/completions", content=json.dumps(chat).encode())
    (line,) = (line for line in open_pair.gateway.log.splitlines() if answer.headers["x-secondlook-id"] in line)
    assert json.loads(line)["model"] == name
    assert line.isascii()
    assert line.isprintable()


def test_depth_is_the_upstreams_too(open_pair):
    deep = b'{"model": "m", "messages": ' + b"[" * (MOST // 2 - 20) + b"]" * (MOST // 2 - 20) + b"}"
    assert open_pair.http.post("/v1/chat/completions", content=deep).status_code == 200
    assert open_pair.upstream.asked[-1].body == deep


# --- lines and chunks

CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


@FEW
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.booleans())
def test_chunks(open_pair, pieces, ends):
    asked = since(open_pair)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    said = open_pair.raw(CHUNKED + chunks + (b"0\r\n\r\n" if ends else b""), ends=ends)
    assert [each.body for each in asked()] == ([b"".join(pieces)] if ends else [])
    assert said.startswith(b"HTTP/1.1 200") == ends


@FEW
@given(st.binary(max_size=300))
def test_what_is_no_http_at_all(open_pair, data):
    asked = since(open_pair)
    open_pair.raw(data, ends=False)
    assert asked() == []


@FEW
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_paths(open_pair, path):
    open_pair.raw(b"GET /v1/" + path.encode() + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert all(each.path.startswith("/v1") for each in open_pair.upstream.asked)


@pytest.mark.parametrize(
    "lines",
    [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 2\r\ncontent-length: 38",
        "content-length: -1",
        "content-length: 0x5",
        "transfer-encoding : chunked",
        "transfer-encoding: chunked, identity",
    ],
)
def test_a_request_cannot_hide_in_another(open_pair, lines):
    asked = since(open_pair)
    hidden = "0\r\n\r\nGET /v1/hidden HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    said = open_pair.raw(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n{hidden}".encode())
    assert said.startswith(b"HTTP/1.1 400")
    assert asked() == []


def test_headers_of_one_connection_end_there(open_pair):
    """As Java's client asks for HTTP/2: the offer is not taken up, its body is read, its headers end here."""
    offer = "connection: close, Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABk"
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{offer}\r\nx-odd: kept\r\ncontent-length: 2\r\n\r\n"
    assert open_pair.raw(head.encode() + b"{}").startswith(b"HTTP/1.1 200")
    asked = open_pair.upstream.asked[-1]
    assert asked.body == b"{}"
    assert asked.header("x-odd") == "kept"
    assert {"connection", "upgrade", "http2-settings"}.isdisjoint(dict(asked.headers))


def test_an_upgrade_is_not_taken_up(open_pair):
    asks = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA=="
    assert open_pair.raw(f"GET /v1/models HTTP/1.1\r\nhost: x\r\n{asks}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200")


# --- limits


@FEW
@given(st.sampled_from([MOST - 1, MOST, MOST + 1, MOST + 50]), st.integers(1, MOST), st.booleans())
def test_no_body_above_the_limit_goes_further(open_pair, size, cut, said):
    asked = since(open_pair)
    body = b"x" * size
    content = body if said else iter([body[:cut], body[cut:]])
    response = open_pair.http.post("/v1/chat/completions", content=content)
    if size > MOST:
        assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    else:
        assert response.status_code == 200
    assert [each.body for each in asked()] == [body] * (size <= MOST)


@pytest.mark.parametrize("said", [True, False])
def test_a_client_hears_that_its_body_is_far_too_large(open_pair, said):
    content = b"x" * (20 * 2**20) if said else iter([b"x" * 2**16] * 320)
    assert open_pair.http.post("/v1/chat/completions", content=content).status_code == 413


@FEW
@given(st.binary(max_size=300))
def test_a_head_of_any_bytes(open_pair, data):
    """The last on this gateway: what such a client has asked may reach the upstream when it has gone."""
    open_pair.raw(b"POST /v1/chat/completions HTTP/1.1\r\n" + data + b"\r\n\r\n", ends=False)


# --- keys

WAYS = (
    "/v1/chat/completions", "/v1/models", "/v1", "/v1/", "/v1//models", "//v1/models", "/v1/x/../models", "/V1/models",
    "/v1/%2e%2e/v1/models", "/%761/models", "/v1%2fmodels", "/v1;/models", "http://other/v1/models",
)  # fmt: skip


def asking(method, path, *headers):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "host: x", *headers, "connection: close", "", "")).encode(
        "latin-1"
    )


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
def test_no_way_in_without_a_key(locked, method, path):
    both, _ = locked
    asked = since(both)
    said = both.raw(asking(method, path))
    assert re.match(rb"HTTP/1.1 (401|404|405|307)", said), said[:200]
    assert asked() == []


@FEW
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_no_path_leads_in_without_a_key(locked, path):
    both, _ = locked
    asked = since(both)
    both.raw(asking("GET", f"/{path}"))
    assert both.raw(asking("GET", f"/v1/{path}")).startswith(b"HTTP/1.1 4")
    assert asked() == []


@FEW
@given(st.one_of(HEADER, st.builds("Bearer {}x".format, HEADER), st.just("Bearer sl-"), st.just("bearer null")))
def test_no_key_is_guessed(locked, value):
    both, _ = locked
    asked = since(both)
    assert both.http.get("/v1/models", headers={"authorization": value.encode("latin-1")}).status_code == 401
    assert asked() == []


SPELT_RIGHT = ("x-api-key: {}", "authorization: Bearer {}", "AUTHORIZATION:bearer {}", "Authorization: BEARER  {}\t")
SPELT_WRONG = (
    "authorization: {}", "authorization: Basic {}", "authorization: Bearer{}", "authorization: Bearer\t{}",
    "authorization: Bearer {}x", "authorization: Bearer x{}", "authorization: Bearer {},", 'authorization: Bearer "{}"',
    "authorization: Bearer {0} {0}", "authorization: Bearer x, Bearer {}", "authorization: Bearer {}\x80",
    "authorization: Bearer x\r\nauthorization: Bearer {}", "authorization: Bearer x\r\nx-api-key: {}", "api-key: {}",
    "x-api-key: Bearer {}", "cookie: authorization={}", "proxy-authorization: Bearer {}", "x-authorization: Bearer {}",
    "authorization : Bearer {}", "x-odd: a\r\n authorization: Bearer {}",
)  # fmt: skip


@pytest.mark.parametrize("spelt", SPELT_WRONG)
def test_a_key_spelt_oddly_lets_nobody_in(locked, spelt):
    both, key = locked
    asked = since(both)
    assert re.match(rb"HTTP/1.1 40[01]", both.raw(asking("GET", "/v1/models", spelt.format(key))))
    assert both.raw(asking("GET", f"/v1/models?api_key={key}")).startswith(b"HTTP/1.1 401")
    assert asked() == []


@given(st.data())
def test_a_key_with_a_letter_changed_lets_nobody_in(locked, data):
    both, key = locked
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(st.sampled_from(sorted({key[at].swapcase(), "a", "-", "0"} - {key[at]})))
    for odd in (key[:at] + letter + key[at + 1 :], key[:at] or "-", key[:at] + key[at + 1 :]):
        assert both.http.get("/v1/models", headers={"authorization": f"Bearer {odd}"}).status_code == 401


@pytest.mark.parametrize("spelt", SPELT_RIGHT)
def test_the_key_opens_and_goes_no_further(locked, spelt):
    both, key = locked
    asked = since(both)
    assert both.raw(asking("GET", "/v1/models", spelt.format(key))).startswith(b"HTTP/1.1 200")
    (one,) = asked()
    assert key not in str(one.headers)


def test_what_tells_nothing_of_models_needs_no_key_and_the_log_has_none(locked):
    both, key = locked
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert both.http.get(path).status_code == 200
    assert key not in both.gateway.log
    assert key[:12] not in both.http.get("/metrics").text
