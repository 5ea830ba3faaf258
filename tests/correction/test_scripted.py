import pytest
from echo_case import EchoCase, assistant, said, user

from secondlook.correction import Plan, ScriptedModel, SilentCritic, Usage, run

pytestmark = pytest.mark.anyio


async def test_it_replays_its_script():
    completion = said("B", 9)
    model = ScriptedModel([([user("two words")], "three more words"), (None, completion)])
    first = await model.complete([user("two words")], prefill="three", seed=4)
    assert (first.text, first.finish) == ("three more words", "stop")
    assert first.usage == Usage(input=2, output=3, calls=1)
    assert await model.complete([user("anything")]) is completion
    assert (model.calls[0].prefill, model.calls[0].seed) == ("three", 4)
    assert (model.calls[1].prefill, model.calls[1].seed) == ("", None)
    model.finished()


async def test_other_messages_are_shown_as_a_difference():
    model = ScriptedModel([([user("q"), assistant("a")], "x")])
    with pytest.raises(AssertionError) as caught:
        await model.complete([user("q"), assistant("a ")])
    assert str(caught.value) == (
        "call 1: other messages than expected\n"
        "--- expected\n+++ shown\n@@ -1,2 +1,2 @@\n user: 'q'\n-assistant: 'a'\n+assistant: 'a '"
    )


async def test_scripted_exceptions_are_raised():
    with pytest.raises(ConnectionError, match="down"):
        await ScriptedModel([(None, ConnectionError("down"))]).complete([user("q")])


async def test_a_mismatch_survives_the_loop():
    model = ScriptedModel([([user("something else")], "A")])
    transcript = await run(model, SilentCritic(), EchoCase(), Plan())
    assert transcript.stop == "error"
    with pytest.raises(AssertionError, match="call 1: other messages than expected"):
        model.finished()


async def test_a_call_too_many_is_noticed():
    model = ScriptedModel([(None, "A")])
    await run(model, SilentCritic(), EchoCase(), Plan(rounds=2))
    with pytest.raises(AssertionError, match="call 2: the script has 1 steps only"):
        model.finished()


async def test_a_step_too_many_is_noticed():
    model = ScriptedModel([(None, "A"), (None, "B")])
    await run(model, SilentCritic(), EchoCase(), Plan(rounds=0))
    with pytest.raises(AssertionError, match="1 of 2 steps of the script were used"):
        model.finished()
