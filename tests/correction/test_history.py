import pytest
from echo_case import EchoCase, assistant, user

from secondlook.correction import OracleCritic, Plan, ScriptedModel, SilentCritic, as_history, run

pytestmark = pytest.mark.anyio


async def transcript(sample, critic, *answers, **options):
    model = ScriptedModel([(None, answer) for answer in answers])
    plan = Plan(rounds=len(answers) - 1, **options)
    return await run(model, critic, EchoCase(sample), plan)


async def test_each_gives_query_answer_check_and_critique():
    history = as_history(
        [
            await transcript("x", OracleCritic(), "A", "B", "B"),
            await transcript("y", OracleCritic(), "B", "B", stop="satisfied"),
            await transcript("z", SilentCritic(), "C", "C"),
        ]
    )
    assert history == (
        user("x: query 0"),
        assistant("A"),
        user("check 0"),
        assistant("verdict: wrong"),
        user("y: query 0"),
        assistant("B"),
        user("check 0"),
        assistant("verdict: right"),
        user("z: query 0"),
        assistant("C"),
    )
    model = ScriptedModel([(None, "B")])
    final = await run(model, SilentCritic(), EchoCase(), Plan("diverse", rounds=0, history=history))
    assert final.messages[1:-1] == (*history, user("s1: query 0"))


async def test_no_transcripts_no_history():
    assert as_history([]) == ()


async def test_without_an_answer_there_is_nothing_to_show():
    failed = await run(ScriptedModel([(None, OSError())]), SilentCritic(), EchoCase("x"), Plan())
    with pytest.raises(ValueError, match="sample 'x' has no answer to show: leave it out"):
        as_history([failed])


async def test_a_history_is_not_made_of_histories():
    history = as_history([await transcript("x", OracleCritic(), "A", "B")])
    nested = await transcript("y", OracleCritic(), "A", "B", variant="diverse", history=history)
    with pytest.raises(ValueError, match="sample 'y' begins with a history itself"):
        as_history([nested])
