import sys

import pytest
from echo_case import HISTORY, EchoCase, assistant, system, timeless, user

from secondlook.correction import (
    CommandCritic,
    Message,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    Plan,
    RecordedCritic,
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


async def test_to_resample_is_to_ask_anew():
    """Every answer has a conversation of its own; the transcript keeps all of them, and no critic is heard."""
    opening = system("Be brief.")
    model = ScriptedModel([([opening, user(f"s1: query {index}")], answer) for index, answer in enumerate("ACB")])

    transcript = await run(model, OracleCritic(), EchoCase(), Plan("resample", rounds=2, seed=5))

    model.finished()
    assert [round_.answer for round_ in transcript.rounds] == ["A", "C", "B"]
    assert [round_.critique for round_ in transcript.rounds] == [None] * 3
    said = [part for index, answer in enumerate("ACB") for part in (user(f"s1: query {index}"), assistant(answer))]
    assert transcript.messages == (opening, *said)
    assert len({call.seed for call in model.calls}) == 3


async def test_the_conversation_in_full():
    """Two second looks by the model itself, spelled out: this is what the paper's section 4 describes."""
    first = [system("Be brief."), user("s1: query 0")]
    check = [*first, assistant("A"), user("check 0")]
    second = [*check, assistant("It is wrong ."), user("s1: query 1, given the critique")]
    recheck = [*second, assistant("C"), user("check 1")]
    third = [*recheck, assistant("Still wrong ."), user("s1: query 2, given the critique")]
    model = ScriptedModel(
        [
            (first, "A"),
            (check, "It is wrong ."),
            (second, "C"),
            (recheck, "Still wrong ."),
            (third, "B"),
        ]
    )

    transcript = await run(model, ModelCritic(model), EchoCase(), Plan(rounds=2, seed=5))

    model.finished()
    assert list(transcript.messages) == [*third, assistant("B")]
    assert transcript.answer == "B"
    assert (transcript.stop, transcript.error, transcript.lost) == ("rounds", None, Usage())
    assert [round_.answer for round_ in transcript.rounds] == ["A", "C", "B"]
    assert [round_.critique and round_.critique.verdict for round_ in transcript.rounds] == [
        "wrong",
        "wrong",
        None,
    ]
    assert (transcript.sample, transcript.prompt) == ("s1", "echo/plain@0")
    assert (transcript.model, transcript.critic, transcript.variant) == (model.info, "self", "self")
    assert transcript.usage.calls == 5
    assert all(round_.seconds >= 0 for round_ in transcript.rounds)
    assert [call.seed for call in model.calls] == [
        seed_from(5, "s1", 0, "answer"),
        seed_from(5, "s1", 0, "check"),
        seed_from(5, "s1", 1, "answer"),
        seed_from(5, "s1", 1, "check"),
        seed_from(5, "s1", 2, "answer"),
    ]


def conversations(variant, words):
    """The messages shown for each of three answers, given the critic's words (``None``: it is silent)."""
    repeated = {"self": "s1: query {}", "diverse": "s1: query {}", "self-instruct": "refine {}"}[variant]
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


def plan_for(variant, **options):
    return Plan(variant=variant, history=HISTORY if variant == "diverse" else (), **options)


def recorded(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    file.write_text(
        '{"sample": "s1", "round": 0, "verdict": "right"}\n'
        '{"sample": "s1", "round": 1, "verdict": "wrong", "text": "Ann: no."}\n'
    )
    return RecordedCritic.load(file)


def command(tmp_path):
    script = tmp_path / "critic.py"
    script.write_text(
        "import json, sys\n"
        "asked = json.load(sys.stdin)\n"
        "print(asked['sample'], asked['round'], asked['query'], asked['answer'], 'is wrong')\n"
    )
    return CommandCritic([sys.executable, str(script)])


CRITICS = {
    "tool": (
        lambda _: ToolCritic(lambda exam: f"{exam.answer} looks wrong"),
        ["A looks wrong", "C looks wrong"],
        ["wrong", "wrong"],
    ),
    "command": (
        command,
        ["s1 0 s1: query 0 A is wrong", "s1 1 s1: query 1 C is wrong"],
        ["wrong", "wrong"],
    ),
    "recorded": (recorded, ["verdict: right", "Ann: no."], ["right", "wrong"]),
    "oracle": (lambda _: OracleCritic(), ["verdict: wrong", "verdict: wrong"], ["wrong", "wrong"]),
    "noisy(1, oracle)": (
        lambda _: NoisyCritic(1, OracleCritic()),
        ["verdict: right", "verdict: right"],
        ["right", "right"],
    ),
    "none": (lambda _: SilentCritic(), None, [None, None]),
}


@pytest.mark.parametrize("variant", ["self", "diverse", "self-instruct"])
@pytest.mark.parametrize("name", CRITICS)
async def test_the_exact_messages_under_critics_that_are_not_models(variant, name, tmp_path):
    make, words, verdicts = CRITICS[name]
    critic = make(tmp_path)
    expected = list(conversations(variant, words))
    model = ScriptedModel(list(zip(expected, ANSWERS, strict=True)))

    transcript = await run(model, critic, EchoCase(), plan_for(variant, rounds=2))

    model.finished()
    assert list(transcript.messages) == [*expected[-1], assistant("B")]
    assert critic.name == ("tool" if name == "command" else name)
    assert transcript.critic == critic.name
    assert transcript.variant == variant
    assert [r.critique and r.critique.verdict for r in transcript.rounds] == [*verdicts, None]


@pytest.mark.parametrize("variant", ["self", "diverse", "self-instruct"])
@pytest.mark.parametrize("name", ["self", "other"])
async def test_the_exact_messages_under_critics_that_are_models(variant, name):
    words = ["It is wrong", "It is right"]
    expected = list(conversations(variant, words))
    answering = list(zip(expected, ANSWERS, strict=True))
    examining = [
        ([*expected[index], assistant(ANSWERS[index]), user(f"check {index}")], words[index]) for index in (0, 1)
    ]
    if name == "self":
        model = examiner = ScriptedModel([answering[0], examining[0], answering[1], examining[1], answering[2]])
    else:
        model, examiner = ScriptedModel(answering), ScriptedModel(examining)

    transcript = await run(model, ModelCritic(examiner, name), EchoCase(), plan_for(variant, rounds=2))

    model.finished()
    examiner.finished()
    assert list(transcript.messages) == [*expected[-1], assistant("B")]
    assert transcript.critic == name


async def test_critics_with_the_same_words_give_the_same_conversation():
    plan = Plan(rounds=1)
    outcomes = []
    for critic in (
        OracleCritic(),
        ToolCritic(lambda exam: "verdict: wrong"),
        ModelCritic(ScriptedModel([(None, "verdict: wrong")])),
    ):
        model = ScriptedModel([(None, "A"), (None, "B")])
        outcomes.append((await run(model, critic, EchoCase(), plan)).messages)
    assert outcomes[0] == outcomes[1] == outcomes[2]


async def test_zero_rounds_is_the_answer_alone():
    model = ScriptedModel([([user("s1: query 0")], "A")])
    transcript = await run(model, ModelCritic(model), EchoCase(system=None), Plan(rounds=0))
    model.finished()
    assert transcript.messages == (user("s1: query 0"), assistant("A"))
    assert transcript.stop == "rounds"


@pytest.mark.parametrize(
    ("verdicts", "answers", "stop"),
    [
        (["right"], 1, "satisfied"),
        (["wrong", "right"], 2, "satisfied"),
        (["unclear", "right"], 2, "satisfied"),
        (["wrong", "unclear", "wrong"], 4, "rounds"),
    ],
)
async def test_satisfied_stops_at_the_first_right(verdicts, answers, stop):
    model = ScriptedModel([(None, f"answer {index}") for index in range(answers)])
    critic = ToolCritic(lambda exam: verdicts[exam.round_index])
    transcript = await run(model, critic, EchoCase(), Plan(rounds=3, stop="satisfied"))
    model.finished()
    assert transcript.stop == stop
    assert len(transcript.rounds) == answers
    if stop == "satisfied":
        assert transcript.messages[-1] == assistant("verdict: right")
        assert transcript.rounds[-1].critique.verdict == "right"
    else:
        assert transcript.rounds[-1].critique is None


async def test_satisfied_under_silence_makes_all_rounds():
    model = ScriptedModel([(None, "A"), (None, "A")])
    transcript = await run(model, SilentCritic(), EchoCase(), Plan(rounds=1, stop="satisfied"))
    assert transcript.stop == "rounds"


async def test_fixed_goes_on_after_right():
    model = ScriptedModel([(None, "B"), (None, "B"), (None, "B")])
    transcript = await run(model, OracleCritic(), EchoCase(), Plan(rounds=2))
    model.finished()
    assert transcript.stop == "rounds"


@pytest.mark.parametrize("empty", ["", " \n\t"])
async def test_an_empty_critique_stands_as_unclear(empty):
    model = ScriptedModel([(None, "A"), (None, empty), (None, "B")])
    transcript = await run(model, ModelCritic(model), EchoCase(), Plan())
    model.finished()
    critique = transcript.rounds[0].critique
    assert (critique.text, critique.verdict) == ("verdict: unclear", "unclear")
    assert critique.usage.calls == 1
    assert model.calls[-1].messages[-2:] == (
        assistant("verdict: unclear"),
        user("s1: query 1, given the critique"),
    )


async def test_same_seed_same_transcript():
    def make():
        return ScriptedModel([(None, "A"), (None, "It is wrong"), (None, "B")])

    model, again = make(), make()
    one = await run(model, ModelCritic(model), EchoCase(), Plan(seed=3))
    two = await run(again, ModelCritic(again), EchoCase(), Plan(seed=3))
    assert timeless(one) == timeless(two)
    assert model.calls == again.calls


async def test_the_record_of_a_round():
    model = ScriptedModel([(None, "A b c")])
    transcript = await run(model, SilentCritic(), EchoCase(system=None), Plan(rounds=0))
    assert timeless(transcript).rounds == (Round(0, "A b c", "stop", Usage(3, 3, calls=1), 0.0),)
    assert transcript.usage == Usage(3, 3, calls=1)


async def test_messages_are_not_shared_with_the_model():
    class Greedy(ScriptedModel):
        async def complete(self, messages, **options):
            assert isinstance(messages, tuple)
            return await super().complete(messages, **options)

    model = Greedy([(None, "A"), (None, "B")])
    transcript = await run(model, SilentCritic(), EchoCase(), Plan())
    assert transcript.error is None
    assert all(isinstance(message, Message) for message in transcript.messages)
