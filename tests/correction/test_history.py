import pytest
from echo_case import EchoCase, assistant, user

from secondlook.correction import OracleCritic, Plan, ScriptedModel, SilentCritic, as_history, run

pytestmark = pytest.mark.anyio


async def transcript(sample, critic, *answers, **options):
    model = ScriptedModel([(None, answer) for answer in answers])
    return await run(model, critic, EchoCase(sample), Plan(rounds=len(answers) - 1, **options))


async def test_each_gives_query_answer_check_and_critique():
    history = as_history(
        [
            await transcript("x", OracleCritic(), "A", "B", "B"),
            await transcript("y", OracleCritic(), "B", "B", stop="satisfied"),
            await transcript("z", SilentCritic(), "C", "C"),
        ]
    )
    said = ("x: query 0", "A", "check 0", "verdict: wrong", "y: query 0", "B", "check 0", "verdict: right")
    said += ("z: query 0", "C")
    assert history == tuple((assistant if index % 2 else user)(text) for index, text in enumerate(said))
    final = await transcript("s1", SilentCritic(), "B", variant="diverse", history=history)
    assert final.messages[1:-1] == (*history, user("s1: query 0"))


async def test_what_has_no_answer_or_a_history_itself_makes_none():
    assert as_history([]) == ()
    failed = await run(ScriptedModel([(None, OSError())]), SilentCritic(), EchoCase("x"), Plan())
    with pytest.raises(ValueError, match="sample 'x' has no answer to show: leave it out"):
        as_history([failed])
    history = as_history([await transcript("x", OracleCritic(), "A", "B")])
    nested = await transcript("y", OracleCritic(), "A", "B", variant="diverse", history=history)
    with pytest.raises(ValueError, match="sample 'y' begins with a history itself"):
        as_history([nested])
