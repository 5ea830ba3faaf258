"""Ways of holding a server to a form: the parameters that servers have for it, each tried until one is found.

=====================  =========================================================================================
``response_format``    a JSON schema; OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama and most others
``structured_outputs``  the choices; vLLM from 0.11 on
``guided_choice``      the choices; vLLM before
``grammar``            a GBNF grammar; llama.cpp
``turn``               none of these: the request alone
=====================  =========================================================================================

A server that refuses a parameter, or takes it and does not keep to it, is asked in the next way.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from secondlook.correction.chat import Completion, Usage
from secondlook.correction.elicit import Form, Held
from secondlook.correction.likelihood import place_of, shares_at

TURN = "turn"
REFUSES = (400, 404, 422, 501)
"""HTTP statuses of a server that refuses what stands in a request; a router's 404: no model behind it takes that."""
LIKELIEST = 5
"""Tokens whose probability a server is asked for at each place; some give no more."""
ROOM = 48
"""Tokens that a held reply may have at least: a choice in its schema, in whatever spacing, is longer than alone."""
Ask: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[Completion | None]]
"""Sends a request with further fields; ``None`` if the server refuses them."""


@dataclass(slots=True)
class Server:
    """Known facts of one server and model.

    Attributes:
        way: The way that it keeps to; ``None`` as long as that is not known.
    """

    way: str | None = None


def fields_of(way: str, form: Form) -> dict[str, Any]:
    """The fields of a request that hold a server to a form."""
    choices = form.choices
    match way:
        case "response_format":
            schema = {"name": "answer", "strict": True, "schema": schema_of(form)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case "structured_outputs":
            return {"structured_outputs": {"choice": list(choices)}}
        case "guided_choice":
            return {"guided_choice": list(choices)}
        case "grammar":
            # GBNF quotes its literals as JSON does.
            return {"grammar": "root ::= " + " | ".join(json.dumps(choice) for choice in choices)}
        case _:
            return {}


def schema_of(form: Form) -> dict[str, Any]:
    """The JSON schema of an object that holds what may be said; strict servers want an object."""
    answer: dict[str, Any] = {"type": "number" if form.number else "string"}
    answer |= {"enum": list(form.choices)} if form.choices else {}
    return {"type": "object", "properties": {_FIELD: answer}, "required": [_FIELD], "additionalProperties": False}


async def hold(ask: Ask, form: Form, server: Server) -> Held:
    """Ask for something of a form, in the way that the server is known to keep to, or in each until one is found.

    Every reply's tokens count. Where no way is kept to, the last reply stands as that of a plain turn. An open form is
    asked for by schema alone.
    """
    spent, last, choices = Usage(), None, form.choices
    ways = _WAYS if server.way is None else (server.way,)
    # Only a schema holds an open form, so no other way is tried; if it fails, that tells nothing of choices.
    for way in ways if choices else [each for each in ways[:1] if each == _WAYS[0]]:
        said = await ask(fields_of(way, form))
        if said is None:
            continue
        spent, last = spent + said.usage, said
        if way != TURN and (choice := _chosen(way, said.text, form)) is not None:
            server.way = way
            place = place_of(said.text, choice, choices) if choices else None
            shares = None if place is None else shares_at(place, said)
            # A choice that was found is whole, whatever the server says; the tokens are of the reply around it.
            return Held(replace(said, text=choice, usage=spent, finish="stop", tokens=()), way, shares)
    if last is None:
        last = await ask({})
        assert last is not None  # nothing was asked that could be refused
        spent += last.usage
    # Only now: a request that is refused for its prompt's length, say, is so without any field too.
    if server.way is None and choices:
        server.way = TURN
    return Held(replace(last, usage=spent), TURN)


_FIELD = "answer"
_WAYS = ("response_format", "structured_outputs", "guided_choice", "grammar")


def _chosen(way: str, text: str, form: Form) -> str | None:
    """Choice that a reply states in the form of its way."""
    said: object = text.strip()
    if way == "response_format":
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            return None
        said = made.get(_FIELD) if isinstance(made, dict) else None
        # `type` instead of isinstance, to which true is an int.
        if form.number and type(said) in (int, float):
            return repr(said)
    return said if isinstance(said, str) and (said in form.choices or not form.choices) else None
