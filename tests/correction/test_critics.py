import functools
import random
import sys
import time

import anyio
import pytest
from echo_case import EchoCase, examination, said, user, verdict_of

from secondlook.correction import (
    CommandCritic,
    CriticError,
    Critique,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Usage,
)

pytestmark = pytest.mark.anyio


async def test_a_model_is_shown_the_conversation_and_the_check():
    exam = examination(answer="A", round_index=2)
    model = ScriptedModel([([*exam.messages, user("check 2")], said("It is wrong", 20))])
    critique = await ModelCritic(model).examine(exam)
    model.finished()
    assert (critique.text, critique.verdict) == ("It is wrong", "wrong")
    assert critique.usage == Usage(18, 2, calls=1)
    assert critique.seconds > 0
    assert model.calls[0].seed == exam.seed


async def test_a_model_that_states_both_verdicts_is_unclear():
    model = ScriptedModel([(None, "right or wrong ?")])
    assert await verdict_of(ModelCritic(model), examination()) == "unclear"


@pytest.mark.parametrize(
    ("answer", "truth", "verdict"), [("B", "B", "right"), ("A", "B", "wrong"), ("A", None, "unclear")]
)
async def test_the_oracle_says_the_truth_and_nothing_else(answer, truth, verdict):
    exam = examination(EchoCase(truth=truth), answer)
    assert await OracleCritic().examine(exam) == Critique(f"verdict: {verdict}", verdict)


async def test_the_silent_critic_says_nothing():
    assert await SilentCritic().examine(examination()) is None
    assert await NoisyCritic(1, SilentCritic()).examine(examination()) is None
    assert SilentCritic().name == "none"


# ---- noise


async def flips(critic, exams):
    return [await verdict_of(critic, exam) == "right" for exam in exams]


def wrong_answers(count):
    return [examination(EchoCase(f"s{index}"), "A") for index in range(count)]


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.75])
async def test_noise_flips_at_its_rate(p):
    count = 4000
    rate = sum(await flips(NoisyCritic(p, OracleCritic(), seed=1), wrong_answers(count))) / count
    assert abs(rate - p) < 4 * (p * (1 - p) / count) ** 0.5


async def test_noise_flips_both_ways_at_the_same_rate():
    exams = [examination(EchoCase(f"s{index}"), "B") for index in range(4000)]
    kept = sum(await flips(NoisyCritic(0.25, OracleCritic(), seed=1), exams)) / 4000
    assert abs(kept - 0.75) < 0.03


async def test_noise_does_not_depend_on_the_order_of_calls():
    exams = wrong_answers(300)
    critic = NoisyCritic(0.5, OracleCritic(), seed=1)
    in_order = dict(zip((exam.case.sample for exam in exams), await flips(critic, exams), strict=True))
    random.Random(0).shuffle(exams)
    again = NoisyCritic(0.5, OracleCritic(), seed=1)
    shuffled = dict(zip((exam.case.sample for exam in exams), await flips(again, exams), strict=True))
    assert in_order == shuffled
    assert set(in_order.values()) == {True, False}


async def test_noise_differs_between_rounds_and_seeds_independently():
    first = await flips(NoisyCritic(0.5, OracleCritic(), seed=1), wrong_answers(2000))
    reseeded = await flips(NoisyCritic(0.5, OracleCritic(), seed=2), wrong_answers(2000))
    later = [examination(EchoCase(f"s{index}"), "A", 1) for index in range(2000)]
    second = await flips(NoisyCritic(0.5, OracleCritic(), seed=1), later)
    for other in (reseeded, second):
        agree = sum(one == two for one, two in zip(first, other, strict=True)) / 2000
        assert abs(agree - 0.5) < 0.05


async def test_what_little_noise_flips_more_noise_flips_too():
    exams = wrong_answers(300)
    little = await flips(NoisyCritic(0.2, OracleCritic(), seed=1), exams)
    more = await flips(NoisyCritic(0.6, OracleCritic(), seed=1), exams)
    assert all(later for earlier, later in zip(little, more, strict=True) if earlier)
    assert sum(more) > sum(little) > 0


@pytest.mark.parametrize("answer", ["A", "B"])
async def test_no_noise_is_the_inner_critic(answer):
    inner = ToolCritic(lambda exam: Critique("wrong, I say", "wrong", Usage(5, 3, calls=1), 0.5))
    exam = examination(answer=answer)
    assert await NoisyCritic(0, inner).examine(exam) == await inner.examine(exam)


async def test_a_flip_keeps_the_cost_and_changes_the_words():
    usage = Usage(5, 3, calls=1)
    inner = ToolCritic(lambda exam: Critique("wrong, I say", "wrong", usage, 0.5))
    flipped = await NoisyCritic(1.0, inner).examine(examination())
    assert flipped == Critique("verdict: right", "right", usage, 0.5)
    restored = await NoisyCritic(1.0, NoisyCritic(1.0, inner)).examine(examination())
    assert restored == Critique("verdict: wrong", "wrong", usage, 0.5)


async def test_unclear_stays_unclear():
    inner = ToolCritic(lambda exam: "no idea")
    critique = await NoisyCritic(1.0, inner).examine(examination())
    assert (critique.text, critique.verdict) == ("no idea", "unclear")


@pytest.mark.parametrize(
    ("p", "name"), [(0.25, "noisy(0.25, oracle)"), (1, "noisy(1, oracle)"), (0.1, "noisy(0.1, oracle)")]
)
async def test_noise_is_named_by_its_rate(p, name):
    assert NoisyCritic(p, OracleCritic()).name == name


@pytest.mark.parametrize("p", [-0.1, 1.01, float("nan")])
async def test_a_rate_is_a_probability(p):
    with pytest.raises(ValueError, match=f"p is {p!r}: give a probability from 0 to 1"):
        NoisyCritic(p, OracleCritic())


# ---- tools


async def async_tool(exam):
    await anyio.sleep(0)
    return "right"


@pytest.mark.parametrize(
    ("function", "text", "verdict"),
    [
        (lambda exam: f"{exam.answer} is wrong", "A is wrong", "wrong"),
        (lambda exam: "right", "verdict: right", "right"),
        (lambda exam: "unclear", "verdict: unclear", "unclear"),
        (lambda exam: Critique("my words", "right"), "my words", "right"),
        (async_tool, "verdict: right", "right"),
        (functools.partial(lambda word, exam: async_tool(exam), "x"), "verdict: right", "right"),
    ],
)
async def test_a_tool_may_return_a_critique_a_verdict_or_text(function, text, verdict):
    critique = await ToolCritic(function).examine(examination())
    assert (critique.text, critique.verdict) == (text, verdict)


async def test_a_tool_that_returns_nothing_is_told_so():
    with pytest.raises(CriticError, match="critic 'mine' returned None: return a Critique, a verdict"):
        await ToolCritic(lambda exam: None, "mine").examine(examination())


async def test_a_blocking_tool_does_not_hold_up_others():
    critic = ToolCritic(lambda exam: time.sleep(0.2) or "right")
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await critic.examine(examination())
        group.cancel_scope.cancel()
    assert ticks >= 3


# ---- commands


def command(tmp_path, code, **options):
    script = tmp_path / "critic.py"
    script.write_text(code)
    return CommandCritic([sys.executable, str(script)], **options)


async def test_a_command_gets_json_and_prints_a_critique(tmp_path):
    critic = command(
        tmp_path,
        "import json, sys\n"
        "asked = json.load(sys.stdin)\n"
        "assert sorted(asked) == ['answer', 'query', 'round', 'sample'], asked\n"
        "sys.stdout.reconfigure(encoding='utf-8')\n"
        "print(asked['answer'], 'is wrong for', asked['sample'], asked['round'], asked['query'])\n",
    )
    critique = await critic.examine(examination(EchoCase("sé"), "naïve\n", 1))
    assert critique.text == "naïve\n is wrong for sé 1 sé: query 1"
    assert critique.verdict == "wrong"
    assert critique.seconds > 0
    assert critique.usage == Usage()


async def test_a_command_may_leave_its_input_unread(tmp_path):
    critic = command(tmp_path, "print('all right')")
    assert await verdict_of(critic, examination(answer="long " * 100_000)) == "right"


async def test_commands_run_side_by_side_up_to_the_limit(tmp_path):
    critic = command(tmp_path, "print('right')", limiter=anyio.CapacityLimiter(2))
    verdicts = []

    async def one():
        verdicts.append(await verdict_of(critic, examination()))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    assert verdicts == ["right"] * 4


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import sys; print('warming up', file=sys.stderr); sys.exit('no rubric')", "code 1: no rubric"),
        ("import sys; sys.exit(3)", "code 3: nothing on standard error"),
        ("raise KeyError('query')", "code 1: KeyError: 'query'"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "printed something that is not UTF-8: .*0xff"),
    ],
)
async def test_a_failing_command_is_one_clear_line(tmp_path, code, complaint):
    with pytest.raises(CriticError, match=complaint) as caught:
        await command(tmp_path, code).examine(examination())
    assert "\n" not in str(caught.value)
    assert repr(sys.executable) in str(caught.value)


async def test_a_hanging_command_is_ended(tmp_path):
    critic = command(tmp_path, "import time; time.sleep(60)", timeout=0.3)
    start = time.perf_counter()
    with pytest.raises(CriticError, match=r"took longer than 0\.3 s: raise the timeout"):
        await critic.examine(examination())
    assert time.perf_counter() - start < 30


async def test_a_missing_command_is_one_clear_line():
    with pytest.raises(CriticError, match=r"command 'no-such-program' cannot be started: .*No such file"):
        await CommandCritic(["no-such-program"]).examine(examination())


@pytest.mark.parametrize(
    ("argv", "timeout", "message"),
    [
        ([], 1, r"argv is \[\]: give the program and its arguments as a list"),
        ("critic --fast", 1, "argv is 'critic --fast': give the program and its arguments as a list"),
        (["critic"], 0, "timeout is 0: give a positive number of seconds"),
        (["critic"], -1.5, r"timeout is -1\.5: give a positive number of seconds"),
    ],
)
async def test_a_bad_command_is_refused_at_once(argv, timeout, message):
    with pytest.raises(ValueError, match=message):
        CommandCritic(argv, timeout)
