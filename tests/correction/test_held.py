"""Servers are held to choices in the first way that they keep to, found once."""

import json

import pytest

from secondlook.correction.chat import Completion, ServerError, Usage
from secondlook.correction.elicit import Form
from secondlook.correction.held import Server, fields_of, hold

pytestmark = pytest.mark.anyio
WAYS = ("response_format", "structured_outputs", "guided_choice", "grammar")
CHOICES = ("Verdict: biased", "Verdict: unbiased")


def read(text, finish):
    return text


FORM = Form("?", read, CHOICES)


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
    held = await hold(upstream.ask, FORM, server)
    tried = WAYS[: WAYS.index(keeps) + 1]
    assert (held.how, held.completion.text, held.completion.finish) == (keeps, CHOICES[1], "stop")
    assert tuple(upstream.asked) == tried
    answered = [way for way in tried if way not in upstream.refuses]
    assert held.completion.usage == Usage(10 * len(answered), 2 * len(answered), calls=len(answered))
    await hold(upstream.ask, FORM, server)
    assert upstream.asked[len(tried) :] == [keeps]


@pytest.mark.parametrize(("refuses", "asked"), [((), WAYS), (WAYS, (*WAYS, "turn"))])
async def test_a_server_that_keeps_to_none_has_a_plain_turn(refuses, asked):
    upstream, server = Upstream(None, refuses), Server()
    held = await hold(upstream.ask, FORM, server)
    assert (held.how, held.completion.text) == ("turn", "It is unbiased, I think.")
    assert tuple(upstream.asked) == asked
    await hold(upstream.ask, FORM, server)
    assert upstream.asked[len(asked) :] == ["turn"]


async def test_a_request_that_is_refused_for_itself_tells_nothing_of_the_server():
    """A prompt that is too long is refused with every field and with none; the next one is asked in each way again."""

    async def too_long(fields):
        if not fields:
            raise ServerError("maximum context length", 400)

    server = Server()
    with pytest.raises(ServerError, match="context length"):
        await hold(too_long, FORM, server)
    assert server.way is None


def test_the_grammar_quotes_what_it_must():
    assert fields_of("grammar", Form("", read, ('"a"', "b"))) == {"grammar": 'root ::= "\\"a\\"" | "b"'}


@pytest.mark.parametrize(("number", "said", "text"), [(True, 12.5, "12.5"), (False, "Paris", "Paris")])
async def test_what_is_open_has_a_schema_and_no_other_way(number, said, text):
    async def ask(fields):
        schema = fields["response_format"]["json_schema"]["schema"]["properties"]["answer"]
        assert schema == {"type": "number" if number else "string"}
        return Completion(json.dumps({"answer": said}), Usage(calls=1))

    held = await hold(ask, Form("?", read, number=number), Server())
    assert (held.how, held.completion.text, held.shares) == ("response_format", text, None)


async def test_true_is_no_number():
    async def ask(fields):
        return Completion('{"answer": true}', Usage(calls=1))

    held = await hold(ask, Form("?", read, number=True), Server())
    assert (held.how, held.completion.text) == ("turn", '{"answer": true}')


async def test_what_is_open_tells_nothing_of_the_ways_for_choices():
    upstream, server = Upstream("grammar"), Server()
    assert (await hold(upstream.ask, Form("?", read), server)).how == "turn"
    assert upstream.asked == ["response_format"]
    assert (await hold(upstream.ask, FORM, server)).how == "grammar"
    assert (await hold(upstream.ask, Form("?", read), server)).how == "turn"
    assert upstream.asked[-1] == "turn"
