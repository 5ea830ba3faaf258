"""Every critic by itself."""

import functools
import math
import random
import sys
import threading
import time
from dataclasses import replace

import anyio
import pytest
from echo_case import EchoCase, examination, said, user, verdict_of

from secondlook.correction import (
    CommandCritic,
    CriticError,
    Critique,
    FittedCritic,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Usage,
)
from secondlook.fitted import Fitted, Input, Linear

pytestmark = pytest.mark.anyio


async def test_a_model_is_shown_the_conversation_and_the_check():
    exam = examination(answer="A", round_index=2)
    model = ScriptedModel([([*exam.messages, user("check 2")], said("It is wrong", 20)), (None, "right or wrong ?")])
    critique = await ModelCritic(model).examine(exam)
    assert (critique.text, critique.verdict, critique.usage) == ("It is wrong", "wrong", Usage(18, 2, calls=1))
    assert critique.seconds > 0
    assert model.calls[0].seed == exam.seed
    assert await verdict_of(ModelCritic(model), exam) == "unclear"  # it states both verdicts
    model.finished()


@pytest.mark.parametrize(
    ("answer", "truth", "verdict"), [("B", "B", "right"), ("A", "B", "wrong"), ("A", None, "unclear")]
)
async def test_the_oracle_says_the_truth_and_nothing_else(answer, truth, verdict):
    exam = examination(EchoCase(truth=truth), answer)
    assert await OracleCritic().examine(exam) == Critique(f"verdict: {verdict}", verdict)


async def test_the_silent_critic_says_nothing():
    assert await SilentCritic().examine(examination()) is None
    assert await NoisyCritic(1, SilentCritic()).examine(examination()) is None


# ---- noise


async def flips(p, count, *, seed=1, answer="A", round_index=0, order=None):
    """Whether noise flips the truth's verdict, by sample."""
    samples = [f"s{index}" for index in range(count)]
    if order:
        random.Random(order).shuffle(samples)
    critic, truth = NoisyCritic(p, OracleCritic(), seed=seed), "wrong" if answer == "A" else "right"
    exams = {sample: examination(EchoCase(sample), answer, round_index) for sample in samples}
    return {sample: await verdict_of(critic, exam) != truth for sample, exam in exams.items()}


@pytest.mark.parametrize(("p", "answer"), [(0.05, "A"), (0.25, "A"), (0.25, "B"), (0.5, "A"), (0.75, "A")])
async def test_noise_flips_at_its_rate_both_ways(p, answer):
    rate = sum((await flips(p, 4000, answer=answer)).values()) / 4000
    assert abs(rate - p) < 4 * (p * (1 - p) / 4000) ** 0.5


async def test_noise_does_not_depend_on_the_order_of_calls_but_on_round_and_seed():
    first = await flips(0.5, 2000)
    assert first == await flips(0.5, 2000, order=3)
    for other in (await flips(0.5, 2000, seed=2), await flips(0.5, 2000, round_index=1)):
        agree = sum(other[sample] == flipped for sample, flipped in first.items()) / 2000
        assert abs(agree - 0.5) < 0.05


async def test_what_little_noise_flips_more_noise_flips_too():
    little, more = await flips(0.2, 300), await flips(0.6, 300)
    assert all(more[sample] for sample, flipped in little.items() if flipped)
    assert sum(more.values()) > sum(little.values()) > 0


async def test_a_flip_keeps_the_cost_and_changes_the_words_and_unclear_stays():
    usage = Usage(5, 3, calls=1)
    inner = ToolCritic(lambda exam: Critique("wrong, I say", "wrong", usage, 0.5))
    assert await NoisyCritic(0, inner).examine(examination()) == Critique("wrong, I say", "wrong", usage, 0.5)
    assert await NoisyCritic(1, inner).examine(examination()) == Critique("verdict: right", "right", usage, 0.5)
    restored = await NoisyCritic(1, NoisyCritic(1, inner)).examine(examination())
    assert restored == Critique("verdict: wrong", "wrong", usage, 0.5)
    unclear = await NoisyCritic(1, ToolCritic(lambda exam: "no idea")).examine(examination())
    assert (unclear.text, unclear.verdict) == ("no idea", "unclear")


def test_noise_is_named_by_its_rate_and_that_is_a_probability():
    names = [NoisyCritic(p, OracleCritic()).name for p in (0.25, 1, 0.1)]
    assert names == ["noisy(0.25, oracle)", "noisy(1, oracle)", "noisy(0.1, oracle)"]
    for p in (-0.1, 1.01, float("nan")):
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
    free = threading.Event()  # set by another task while the tool waits for it
    async with anyio.create_task_group() as group:
        group.start_soon(ToolCritic(lambda exam: free.wait(60) and "right").examine, examination())
        await anyio.sleep(0)
        free.set()


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
    assert (critique.verdict, critique.usage) == ("wrong", Usage())
    assert critique.seconds > 0


async def test_a_command_may_leave_its_input_unread(tmp_path):
    critic = command(tmp_path, "print('all right')")
    assert await verdict_of(critic, examination(answer="long " * 100_000)) == "right"


async def test_no_more_commands_run_at_once_than_the_limit(tmp_path):
    running = tmp_path / "running"
    running.mkdir()
    critic = command(
        tmp_path,
        "import os, pathlib, time\n"
        f"mine = pathlib.Path({str(running)!r}, str(os.getpid()))\n"
        "mine.touch()\n"
        "time.sleep(0.1)\n"
        "print(len(list(mine.parent.iterdir())))\n"
        "mine.unlink()\n",
        limiter=anyio.CapacityLimiter(2),
    )
    counts = []

    async def one():
        counts.append(int((await critic.examine(examination())).text))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(one)
    assert (len(counts), max(counts) <= 2) == (5, True)


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


async def test_a_command_that_hangs_is_ended_and_one_that_is_missing_told(tmp_path):
    critic = command(tmp_path, "import time; time.sleep(600)", timeout=0.3)
    start = time.perf_counter()
    with pytest.raises(CriticError, match=r"took longer than 0\.3 s; let it be faster, or give more: --critic-seconds"):
        await critic.examine(examination())
    assert time.perf_counter() - start < 300
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
def test_a_bad_command_is_refused_at_once(argv, timeout, message):
    with pytest.raises(ValueError, match=message):
        CommandCritic(argv, timeout)


async def test_a_fitted_critic_asks_others_and_shows_the_words_of_one_that_agrees():
    alarm = Fitted(
        [Input("verdict of a", "wrong"), Input("verdict of b", "wrong")], Linear("linear", [2.0, 2.0], -1.0), 0.5
    )
    for first, second, verdict, text in (
        ("wrong", "right", "wrong", "a: wrong"),
        ("right", "wrong", "wrong", "b: wrong"),
        ("right", "right", "right", "a: right"),
        ("unclear", "unclear", "right", "verdict: right"),
    ):
        asked = {
            name: ToolCritic(lambda _, name=name, said=said: Critique(f"{name}: {said}", said, Usage(5, 2, calls=1)))
            for name, said in (("a", first), ("b", second))
        }
        critique = await FittedCritic(alarm, asked).examine(examination())
        assert (critique.verdict, critique.text) == (verdict, text)
        assert critique.usage == Usage(10, 4, calls=2)
        assert critique.shares["wrong"] == pytest.approx(
            alarm.wrong({"verdict of a": first, "verdict of b": second}), abs=1e-6
        )


async def test_a_fitted_critic_decides_without_one_that_abstains():
    alarm = Fitted([Input("verdict of b", "wrong", 0.0, 1.0)], Linear("linear", [2.0], -1.0), 0.5)
    asked = {"a": ToolCritic(lambda _: "abstain"), "b": ToolCritic(lambda _: "wrong")}
    critique = await FittedCritic(alarm, asked).examine(examination())
    assert (critique.verdict, critique.text) == ("wrong", "verdict: wrong")


async def test_a_fitted_critic_hears_the_answers_own_probability_and_knows_when_it_knows_nothing():
    unsure = Fitted([Input("p_answer", None, 0.5, -0.1)], Linear("linear", [1.0], 0.0), 0.5)
    for likely, verdict in ((0.4, "wrong"), (0.6, "right"), (math.nan, "unclear")):
        critique = await FittedCritic(unsure).examine(replace(examination(), p_answer=likely))
        assert critique.verdict == verdict
        assert (critique.shares is None) == math.isnan(likely)
