"""What most tests of the gateway ask, and how they read what comes back."""

from __future__ import annotations

import json

from servers import HTTP, completion

from secondlook.prompts.prompt import load_prompt

CHAT = {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]}
WRONG, RIGHT = "It is wrong.\nVerdict: wrong", "It is so.\nVerdict: correct"
PROMPT = load_prompt("own/binary-cot")
FAILING = [
    (500, [("content-type", "application/json")], b"{}"),
    completion(None),
    (200, [], b"no json"),
    (200, [], [None]),
]
"""Ways in which a check or a later answer fails."""


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


def read(line):
    return json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else None
