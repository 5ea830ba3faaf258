"""The conversation, message by message, under every critic and variant; and when it ends."""

import pytest
from echo_case import HISTORY, EchoCase, assistant, system, timeless, user

from secondlook.correction import (
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    Plan,
    Round,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Usage,
    run,
    seed_from,
)

pytestmark = pytest.mark.anyio

ANSWERS = ("A", "C", "B")
VARIANTS = ("self", "diverse", "self-instruct")


async def test_the_conversation_in_full():
    """Two second looks by the model itself, spelled out: this is what the paper's section 4 describes."""
    first = [system("Be brief."), user("s1: query 0")]
    check = [*first, assistant("A"), user("check 0")]
    second = [*check, assistant("It is wrong ."), user("s1: query 1, given the critique")]
    recheck = [*second, assistant("C"), user("check 1")]
    third = [*recheck, assistant("Still wrong ."), user("s1: query 2, given the critique")]
    replies = ("A", "It is wrong .", "C", "Still wrong .", "B")
    model = ScriptedModel(list(zip((first, check, second, recheck, third), replies, strict=True)))

    transcript = await run(model, ModelCritic(model), EchoCase(), Plan(rounds=2, seed=5))

    model.finished()
    assert list(transcript.messages) == [*third, assistant("B")]
    assert (transcript.answer, transcript.stop, transcript.error, transcript.lost) == ("B", "rounds", None, Usage())
    assert [round_.answer for round_ in transcript.rounds] == ["A", "C", "B"]
    assert [round_.critique and round_.critique.verdict for round_ in transcript.rounds] == ["wrong", "wrong", None]
    assert (transcript.sample, transcript.prompt, transcript.critic) == ("s1", "echo/plain@0", "self")
    assert (transcript.model, transcript.variant, transcript.usage.calls) == (model.info, "self", 5)
    purposes = [(0, "answer"), (0, "check"), (1, "answer"), (1, "check"), (2, "answer")]
    assert [call.seed for call in model.calls] == [seed_from(5, "s1", *purpose) for purpose in purposes]


async def test_to_resample_is_to_ask_anew():
    """Every answer has a conversation of its own; the transcript keeps all of them, and no critic is heard."""
    opening = system("Be brief.")
    model = ScriptedModel([([opening, user(f"s1: query {index}")], answer) for index, answer in enumerate(ANSWERS)])
    transcript = await run(model, OracleCritic(), EchoCase(), Plan("resample", rounds=2, seed=5))
    model.finished()
    assert [(round_.answer, round_.critique) for round_ in transcript.rounds] == [(answer, None) for answer in ANSWERS]
    said = [part for index, answer in enumerate(ANSWERS) for part in (user(f"s1: query {index}"), assistant(answer))]
    assert transcript.messages == (opening, *said)
    assert len({call.seed for call in model.calls}) == 3


def conversations(variant, words):
    """The messages shown for each of three answers, given the critic's words (``None``: it is silent)."""
    repeated = "refine {}" if variant == "self-instruct" else "s1: query {}"
    shown = [system("Be brief."), *(HISTORY if variant == "diverse" else ()), user("s1: query 0")]
    yield list(shown)
    for index in (0, 1):
        shown.append(assistant(ANSWERS[index]))
        if words is None:
            shown.append(user(f"{repeated.format(index + 1)}, once more"))
        else:
            shown += [user(f"check {index}"), assistant(words[index])]
            shown.append(user(f"{repeated.format(index + 1)}, given the critique"))
        yield list(shown)


CRITICS = {
    "tool": (ToolCritic(lambda exam: f"{exam.answer} looks wrong"), ["A looks wrong", "C looks wrong"], ["wrong"] * 2),
    "oracle": (OracleCritic(), ["verdict: wrong", "verdict: wrong"], ["wrong"] * 2),
    "noisy(1, oracle)": (NoisyCritic(1, OracleCritic()), ["verdict: right", "verdict: right"], ["right"] * 2),
    "none": (SilentCritic(), None, [None] * 2),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CRITICS)
async def test_the_exact_messages_under_critics_that_are_not_models(variant, name):
    critic, words, verdicts = CRITICS[name]
    expected = list(conversations(variant, words))
    model = ScriptedModel(list(zip(expected, ANSWERS, strict=True)))
    plan = Plan(variant, rounds=2, history=HISTORY if variant == "diverse" else ())
    transcript = await run(model, critic, EchoCase(), plan)
    model.finished()
    assert list(transcript.messages) == [*expected[-1], assistant("B")]
    assert (transcript.critic, transcript.variant) == (name, variant)
    assert [round_.critique and round_.critique.verdict for round_ in transcript.rounds] == [*verdicts, None]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["self", "other"])
async def test_the_exact_messages_under_critics_that_are_models(variant, name):
    words = ["It is wrong", "It is right"]
    expected = list(conversations(variant, words))
    answering = list(zip(expected, ANSWERS, strict=True))
    examining = [
        ([*expected[index], assistant(ANSWERS[index]), user(f"check {index}")], words[index]) for index in (0, 1)
    ]
    model, examiner = ScriptedModel(answering), ScriptedModel(examining)
    if name == "self":
        model = examiner = ScriptedModel([answering[0], examining[0], answering[1], examining[1], answering[2]])
    plan = Plan(variant, rounds=2, history=HISTORY if variant == "diverse" else ())
    transcript = await run(model, ModelCritic(examiner, name), EchoCase(), plan)
    model.finished()
    examiner.finished()
    assert list(transcript.messages) == [*expected[-1], assistant("B")]
    assert transcript.critic == name


async def test_zero_rounds_is_the_answer_alone():
    model = ScriptedModel([([user("s1: query 0")], "A b c")])
    transcript = await run(model, ModelCritic(model), EchoCase(system=None), Plan(rounds=0))
    model.finished()
    assert (transcript.messages, transcript.stop) == ((user("s1: query 0"), assistant("A b c")), "rounds")
    assert timeless(transcript).rounds == (Round(0, "A b c", "stop", Usage(3, 3, calls=1), 0.0),)


@pytest.mark.parametrize(
    ("stop", "verdicts", "answers", "ended"),
    [
        ("satisfied", ["right"], 1, "satisfied"),
        ("satisfied", ["wrong", "right"], 2, "satisfied"),
        ("satisfied", ["unclear", "right"], 2, "satisfied"),
        ("satisfied", ["wrong", "unclear", "wrong"], 4, "rounds"),
        ("satisfied", None, 4, "rounds"),
        ("fixed", ["right", "right", "right"], 4, "rounds"),
    ],
)
async def test_only_a_satisfied_critic_ends_the_loop_and_only_if_the_plan_says_so(stop, verdicts, answers, ended):
    model = ScriptedModel([(None, f"answer {index}") for index in range(answers)])
    critic = ToolCritic(lambda exam: verdicts[exam.round_index]) if verdicts else SilentCritic()
    transcript = await run(model, critic, EchoCase(), Plan(rounds=3, stop=stop))
    model.finished()
    assert (transcript.stop, len(transcript.rounds)) == (ended, answers)
    assert (transcript.rounds[-1].critique is not None) == (ended == "satisfied")
    assert (transcript.messages[-1] == assistant("verdict: right")) == (ended == "satisfied")


async def test_a_critic_that_abstains_leaves_the_answer_in_hand_and_costs_nothing():
    model = ScriptedModel([(None, "A"), (None, "B")])
    critic = ToolCritic(lambda exam: "wrong" if exam.round_index == 0 else " Abstain\n")
    transcript = await run(model, NoisyCritic(0, critic), EchoCase(), Plan(rounds=3))
    model.finished()
    assert (transcript.stop, transcript.answer, transcript.error) == ("abstained", "B", None)
    assert transcript.rounds[-1].critique is None
    assert transcript.messages[-1] == assistant("B")
    assert transcript.lost == Usage()


@pytest.mark.parametrize("empty", ["", " \n\t"])
async def test_an_empty_critique_stands_as_unclear(empty):
    model = ScriptedModel([(None, "A"), (None, empty), (None, "B")])
    transcript = await run(model, ModelCritic(model), EchoCase(), Plan())
    model.finished()
    critique = transcript.rounds[0].critique
    assert (critique.text, critique.verdict, critique.usage.calls) == ("verdict: unclear", "unclear", 1)
    assert model.calls[-1].messages[-2:] == (assistant("verdict: unclear"), user("s1: query 1, given the critique"))
