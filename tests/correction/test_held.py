"""Servers are held to choices in the first way that they keep to, found once."""

import json

import pytest

from secondlook.correction.chat import Completion, Usage
from secondlook.correction.held import Server, fields_of, hold

pytestmark = pytest.mark.anyio
WAYS = ("response_format", "structured_outputs", "guided_choice", "grammar")
CHOICES = ("Verdict: biased", "Verdict: unbiased")


class Upstream:
    """Keeps to one parameter, refuses some, and ignores the rest."""

    def __init__(self, keeps, refuses=()):
        self.keeps, self.refuses, self.asked = keeps, refuses, []

    async def ask(self, fields):
        (name,) = fields or ("turn",)
        self.asked.append(name)
        if name in self.refuses:
            return None
        text = json.dumps({"answer": CHOICES[1]}) if name == "response_format" else CHOICES[1]
        return Completion(text if name == self.keeps else "It is unbiased, I think.", Usage(10, 2, calls=1), "length")


@pytest.mark.parametrize("keeps", WAYS)
async def test_each_way_is_found_and_then_taken(keeps):
    upstream, server = Upstream(keeps, refuses=WAYS[1:2] if keeps != WAYS[1] else ()), Server()
    held = await hold(upstream.ask, CHOICES, server)
    tried = WAYS[: WAYS.index(keeps) + 1]
    assert (held.how, held.completion.text, held.completion.finish) == (keeps, CHOICES[1], "stop")
    assert tuple(upstream.asked) == tried
    answered = [way for way in tried if way not in upstream.refuses]
    assert held.completion.usage == Usage(10 * len(answered), 2 * len(answered), calls=len(answered))
    await hold(upstream.ask, CHOICES, server)
    assert upstream.asked[len(tried) :] == [keeps]


@pytest.mark.parametrize(("refuses", "asked"), [((), WAYS), (WAYS, (*WAYS, "turn"))])
async def test_a_server_that_keeps_to_none_has_a_plain_turn(refuses, asked):
    upstream, server = Upstream(None, refuses), Server()
    held = await hold(upstream.ask, CHOICES, server)
    assert (held.how, held.completion.text) == ("turn", "It is unbiased, I think.")
    assert tuple(upstream.asked) == asked
    await hold(upstream.ask, CHOICES, server)
    assert upstream.asked[len(asked) :] == ["turn"]


def test_the_grammar_quotes_what_it_must():
    assert fields_of("grammar", ['"a"', "b"]) == {"grammar": 'root ::= "\\"a\\"" | "b"'}
