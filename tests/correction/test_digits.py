"""Numbers held to their digits, by scripted likelihoods and by a model's own."""

import math

import anyio
import pytest

from secondlook.correction import Message
from secondlook.correction.digits import likeliest_number
from secondlook.correction.elicit import Form
from secondlook.correction.likelihood import Place
from secondlook.local.lockstep import LockstepModel, together
from secondlook.local.model import DecodingSettings, LocalModel


def scores(chances):
    """Scores of a model that would say each of some texts with some probability."""

    async def score(ways):
        begun = [sum(chance for text, chance in chances.items() if text.startswith(way)) for way in ways]
        return [math.log(one) if one else -math.inf for one in begun], 7

    return score


@pytest.mark.parametrize(
    ("chances", "number"),
    [
        ({"5 apples": 0.6, "4": 0.4}, "5"),
        ({"12": 0.4, "13": 0.1, "9": 0.3, "seven": 0.2}, "12"),
        ({"1": 0.3, "12": 0.2, "13": 0.2, "2": 0.1}, "1"),
        ({"-3.": 0.9, "3": 0.1}, "-3"),
        ({"3.25 pounds": 0.9, "3.": 0.1}, "3.25"),
        ({"1,250 coins": 1.0}, "1250"),
        ({"4, I think": 1.0}, "4"),
        ({"0.5.": 1.0}, "0.5"),
        ({"the answer is 5": 0.99, "8": 0.01}, "8"),
    ],
)
def test_the_likeliest_digits_make_the_number(chances, number):
    held = anyio.run(likeliest_number, scores(chances))
    assert held.text == number
    assert held.tokens_in == 7


def test_a_digit_without_end_is_cut():
    held = anyio.run(likeliest_number, scores({"3" * 500: 1.0}))
    assert held.text == "3" * 16


def test_a_model_that_does_not_tell_has_none():
    async def nothing(ways):
        return None

    assert anyio.run(likeliest_number, nothing) is None


def test_a_real_model_is_held_to_a_number(smollm2):
    """The oracle: no digit in any place is likelier, by a pass of the model over the whole conversation."""
    model = LockstepModel(LocalModel(str(smollm2), "cpu"), DecodingSettings(max_tokens=8))
    form = Form("State the number alone.", lambda text, finish: text, number=True)
    asked = [Message("user", "Ada has 2 apples and gets 3 more. How many apples does Ada have? Only say if you know.")]
    (held,) = anyio.run(together, [lambda: model.choose(asked, form)])
    assert held.how == "logits"
    assert float(held.completion.text) == int(held.completion.text)
    (logprobs,) = anyio.run(together, [lambda: model.score(asked, Place("", (*"0123456789", "-")))])
    assert "0123456789-"[logprobs.index(max(logprobs))] == held.completion.text[0]
