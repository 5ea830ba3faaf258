"""The official clients through the gateway before llama.cpp's own server with a real model."""

import json

import anthropic
import openai
import pytest
from deployed import deployed
from test_gateway_clients import in_node

from llama_server import MODEL, llama_server
from node_packages import NODE

ASKED = [{"role": "user", "content": "What is 40 + 31? Answer with the number."}]
LOOKED = ("corrected", "kept", "failed")  # so small a model may state no verdict


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a gateway that looks at everything."""
    folder = tmp_path_factory.mktemp("llama")
    with (
        llama_server() as upstream,
        deployed(folder, upstream=upstream, policy="always", critic_tokens=16, timeout=600) as gateway,
    ):
        yield gateway.address


def test_openais_python_client(address):
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=600) as client:
        chat = {"model": MODEL, "messages": ASKED, "temperature": 0, "max_tokens": 12}
        raw = client.chat.completions.with_raw_response.create(**chat)
        whole = raw.parse()
        assert raw.headers["x-secondlook-status"] in LOOKED
        assert whole.choices[0].message.content.strip()
        items = whole.usage.model_extra["secondlook"]["items"]
        # So small a model states no verdict in so few tokens: it is asked for one alone, held to it by a schema.
        assert [item["call"] for item in items] == ["answer", "critique", "critique", "answer"]
        assert whole.usage.completion_tokens == sum(item["completion_tokens"] for item in items)

        chunks = list(client.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip()
        assert chunks[-1].usage.model_extra["secondlook"]["calls"] == 4

        responses = client.responses.with_raw_response.create(model=MODEL, input=ASKED, max_output_tokens=12)
        assert responses.headers["x-secondlook-status"] in LOOKED
        assert responses.parse().output_text.strip()
        # The events as they come: this server leaves out what the client's own collector needs (content_index).
        events = [*client.responses.create(model=MODEL, input=ASKED, max_output_tokens=12, stream=True)]
        assert events[-1].response.output_text.strip()


def test_anthropics_python_client(address):
    with anthropic.Anthropic(base_url=address.removesuffix("/v1"), api_key="none", max_retries=0) as client:
        raw = client.messages.with_raw_response.create(model=MODEL, messages=ASKED, max_tokens=12)
        assert raw.headers["x-secondlook-status"] in LOOKED
        assert raw.parse().content[0].text.strip()
        with client.messages.stream(model=MODEL, messages=ASKED, max_tokens=12) as stream:
            assert stream.get_final_text().strip()


def test_openais_node_client(address):
    found = json.loads(in_node(NODE / "conformance.mjs", address, MODEL, "none", ASKED[0]["content"]))
    for way in ("plain", "streamed"):
        assert found[way]["headers"]["x-secondlook-status"] in (*LOOKED, "passed")
    assert found["plain"]["whole"]["choices"][0]["message"]["content"].strip()
    assert found["streamed"]["text"].strip()
    assert len(found["transcript"]["whole"]["secondlook"]["transcript"]["rounds"]) == 2
    assert found["badBody"]["status"] == 400
    assert found["models"] == [MODEL]
