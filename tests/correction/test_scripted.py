"""The scripted model: what tests lean on must itself notice every mismatch, and keep it through the loop."""

import pytest
from echo_case import EchoCase, assistant, said, user

from secondlook.correction import Plan, ScriptedModel, SilentCritic, Usage, run

pytestmark = pytest.mark.anyio


async def test_it_replays_its_script():
    completion = said("B", 9)
    script = [([user("two words")], "three more words"), (None, completion), (None, ConnectionError("down"))]
    model = ScriptedModel(script)
    first = await model.complete([user("two words")], seed=4)
    assert (first.text, first.finish, first.usage) == ("three more words", "stop", Usage(input=2, output=3, calls=1))
    assert await model.complete([user("anything")]) is completion
    with pytest.raises(ConnectionError, match="down"):
        await model.complete([user("q")])
    assert [call.seed for call in model.calls] == [4, None, None]
    model.finished()


async def test_other_messages_are_shown_as_a_difference():
    model = ScriptedModel([([user("q"), assistant("a")], "x")])
    with pytest.raises(AssertionError) as caught:
        await model.complete([user("q"), assistant("a ")])
    assert str(caught.value) == (
        "call 1: other messages than expected\n"
        "--- expected\n+++ shown\n@@ -1,2 +1,2 @@\n user: 'q'\n-assistant: 'a'\n+assistant: 'a '"
    )


@pytest.mark.parametrize(
    ("script", "rounds", "said"),
    [
        ([([user("something else")], "A")], 0, "call 1: other messages than expected"),
        ([(None, "A")], 2, "call 2: the script has 1 steps only"),
        ([(None, "A"), (None, "B")], 0, "1 of 2 steps of the script were used"),
    ],
)
async def test_a_mismatch_survives_the_loop(script, rounds, said):
    model = ScriptedModel(script)
    await run(model, SilentCritic(), EchoCase(), Plan(rounds=rounds))
    with pytest.raises(AssertionError, match=said):
        model.finished()
