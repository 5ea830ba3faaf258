"""The loop under a gate: when it looks, what it keeps, what that costs, message by message."""

from dataclasses import dataclass

import pytest
from echo_case import EchoCase, assistant, said, system, user

from secondlook.correction import (
    AcceptCritic,
    Critique,
    Form,
    ModelCritic,
    Plan,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Transcript,
    Usage,
    run,
)
from secondlook.correction.chat import WithheldError
from secondlook.correction.critics.protocol import AbstainedError
from secondlook.gate import Gate

pytestmark = pytest.mark.anyio

BETTER = Form("which?", lambda text, _: text if text in ("earlier", "latest") else None, ("earlier", "latest"))
LETTER = Form("letter?", lambda text, _: text if text in ("A", "B") else None, ("A", "B"))


@dataclass(frozen=True)
class Judged(EchoCase):
    """A case whose answers have a form and can be compared."""

    answer_form = LETTER
    preference_form = BETTER

    def verify(self, round_index: int) -> str:
        return f"verify {round_index}"


@dataclass(frozen=True)
class Unread(Judged):
    """A case whose answers are not asked for alone."""

    answer_form = None


def scripted(*replies):
    return ScriptedModel([(None, reply) for reply in replies])


def gated(when, *more, keep="new", rounds=1, **plan):
    gate = Gate(when, *more, keep=keep)
    return Plan(rounds=rounds, stop="fixed" if when == "always" else "gate", gate=gate, **plan)


@pytest.mark.parametrize(
    ("gate", "verdict", "stop"),
    [
        (("never",), None, "gate"),
        (("alarm",), "right", "gate"),
        (("alarm",), "unclear", "gate"),
        (("alarm",), "wrong", "rounds"),
        (("unsatisfied",), "right", "gate"),
        (("unsatisfied",), "unclear", "rounds"),
        (("p_wrong", 0.5), 0.4, "gate"),
        (("p_wrong", 0.5), 0.6, "rounds"),
        (("p_wrong", 0.5), None, "gate"),
    ],
)
async def test_a_gate_decides_by_what_the_critic_says(gate, verdict, stop):
    shares = {"wrong": verdict, "right": 1 - verdict} if isinstance(verdict, float) else None
    critic = ToolCritic(
        lambda exam: Critique("said", verdict if isinstance(verdict, str) else "unclear", shares=shares)
    )
    model = scripted("A", "B")
    transcript = await run(model, critic, Judged(), gated(*gate))
    assert (transcript.stop, transcript.answer) == (stop, "B" if stop == "rounds" else "A")
    assert transcript.rule == "gate"
    # Where it never looks nobody is asked; where the critic decides it is.
    assert (transcript.rounds[0].critique is None) == (gate == ("never",))


async def test_without_an_alarm_the_stop_rule_satisfied_and_its_gate_are_one():
    for verdict, answer in (("right", "A"), ("wrong", "B"), ("unclear", "B")):
        critic = ToolCritic(lambda exam, verdict=verdict: verdict)
        ends = [
            await run(scripted("A", "B"), critic, Judged(), plan)
            for plan in (Plan(stop="satisfied"), gated("unsatisfied"))
        ]
        assert [end.answer for end in ends] == [answer, answer]
        assert ends[0].messages == ends[1].messages


async def test_a_gate_on_its_own_confidence_costs_no_critique_where_it_does_not_look():
    class Sure(ScriptedModel):
        async def score(self, messages, place):
            return [0.0, -2.0] if place.before == "" else [0.0, 0.0]

    def ask(model, threshold):
        return run(model, ModelCritic(model), Judged(), gated("p_answer", threshold, confidence=True))

    sure = Sure([(None, "A")])
    transcript = await ask(sure, 0.8)  # p(A) = 1 / (1 + e^-2) = 0.88
    assert (transcript.stop, transcript.usage.calls, len(sure.calls)) == ("gate", 1, 1)
    unsure = Sure([(None, "A"), (None, "wrong"), (None, "B")])
    transcript = await ask(unsure, 0.9)
    assert (transcript.stop, transcript.answer, len(unsure.calls)) == ("rounds", "B", 3)


async def test_samples_agree_or_the_answer_is_looked_at_again():
    for samples, looks in ((("A", "A", "B"), False), (("A", "B", "?"), True)):
        model, sampler = scripted("A", "wrong", "B"), scripted(*(said(text, 7) for text in samples))
        plan = gated("agreement", 0.5, 3)
        transcript = await run(model, ModelCritic(model), Judged(), plan, sampler=sampler)
        sampler.finished()
        assert transcript.rounds[0].agreement == sum(text == "A" for text in samples) / 3
        assert transcript.rounds[0].sampled == Usage(15, 6, calls=3)
        assert transcript.stop == ("rounds" if looks else "gate")
        assert [call.messages for call in sampler.calls] == [(system("Be brief."), user("s1: query 0"))] * 3
        assert len({call.seed for call in sampler.calls}) == 3
        assert transcript.usage == sum((r.spent for r in transcript.rounds), Usage())
    refused = await run(scripted("A"), SilentCritic(), EchoCase(), gated("agreement", 0.5, 3))
    assert "agreement is of answers that have a form" in refused.error


@pytest.mark.parametrize(("judge", "kept"), [("latest", True), ("earlier", False), ("both are fine", False)])
async def test_a_new_answer_is_kept_only_if_a_judge_prefers_it(judge, kept):
    model = scripted("A", "wrong", "B", said(judge, 30))
    transcript = await run(model, ModelCritic(model), Judged(), gated("always", keep="preferred"))
    model.finished()
    asked = model.calls[-1].messages
    assert asked[-2:] == (assistant("B"), user("which?"))
    assert transcript.messages == asked[:-1]  # the judge's turn is no part of the conversation
    assert (transcript.answer, transcript.stop) == (("B", "rounds") if kept else ("A", "rejected"))
    assert transcript.rounds[1].preference.new is {"latest": True, "earlier": False}.get(judge)
    assert transcript.usage.calls == 4
    assert Transcript.from_json(transcript.to_json()) == transcript


@pytest.mark.parametrize(
    ("elicit", "reply", "new", "kept"),
    [("auto", "both are fine", None, False), ("choice", "latest", True, True), ("choice", "earlier", False, False)],
)
async def test_a_judge_who_refuses_to_say_it_alone_is_taken_at_its_word(elicit, reply, new, kept):
    judge = scripted(said(reply, 30), WithheldError("no", Usage(20, 0, calls=1)))
    transcript = await run(
        scripted("A", "B"), AcceptCritic(judge), Unread(), gated("always", keep="preferred", elicit=elicit)
    )
    judge.finished()
    assert (transcript.stop, transcript.error) == ("rounds" if kept else "rejected", None)
    assert (transcript.answer, transcript.rounds[1].preference.new) == ("B" if kept else "A", new)
    assert transcript.rounds[1].preference.cost == Usage(28 + 20, 2, calls=2)
    assert transcript.lost == Usage()


async def test_propose_then_accept_shows_no_critique():
    model = scripted("A", "B", "earlier")
    transcript = await run(model, AcceptCritic(model), Judged(), gated("always", keep="preferred", rounds=2))
    model.finished()
    assert model.calls[1].messages[-1] == user("s1: query 1, once more")
    assert (transcript.critic, transcript.answer, transcript.stop) == ("accept-reject", "A", "rejected")


async def test_a_new_answer_is_kept_only_if_it_is_confirmed_and_is_examined_once():
    model = scripted("A", "wrong", "B", "right", "C", "wrong")
    transcript = await run(model, ModelCritic(model), Judged(), gated("always", keep="confirmed", rounds=3))
    model.finished()
    assert (transcript.answer, transcript.stop) == ("B", "rejected")
    assert [round_.critique.verdict for round_ in transcript.rounds] == ["wrong", "right", "wrong"]
    assert [round_.kept for round_ in transcript.rounds] == [True, True, False]


async def test_verify_first_is_one_turn():
    model = scripted("A", "B")
    transcript = await run(model, SilentCritic("verify-first"), Judged(), Plan(verify=True))
    model.finished()
    assert transcript.messages == (
        *(system("Be brief."), user("s1: query 0"), assistant("A")),
        *(user("verify 1"), assistant("B")),
    )


async def test_who_is_no_judge_is_named():
    transcript = await run(
        scripted("A", "B"), ToolCritic(lambda _: "wrong"), Judged(), gated("always", keep="preferred")
    )
    assert "critic 'tool' is no judge of two answers; choose 'self' or 'other'" in transcript.error
    assert transcript.answer == "A"


@pytest.mark.parametrize(
    ("second", "stop"),
    [(AbstainedError("cannot say"), "abstained"), (OSError("no such tool"), "error"), (None, "tokens")],
)
async def test_a_new_answer_that_nobody_could_confirm_is_not_kept(second, stop):
    """Whatever ends the loop before its critic said that the new answer is right, the earlier one is served."""

    def examine(exam):
        if exam.round_index and second is not None:
            raise second
        return "right" if exam.round_index else "wrong"

    def ask(**limits):
        return run(scripted("A", "B"), ToolCritic(examine), Judged(), gated("always", keep="confirmed", **limits))

    transcript = await ask()
    if stop == "tokens":
        assert transcript.answer == "B"
        transcript = await ask(max_tokens=transcript.usage.total)
    assert (transcript.stop, transcript.answer) == (stop, "A")
    assert [round_.kept for round_ in transcript.rounds] == [True, False]


def test_stop_rule_and_gate_go_together():
    with pytest.raises(ValueError, match="give stop 'gate' and a gate"):
        Plan(gate=Gate("alarm"))
    with pytest.raises(ValueError, match="give stop 'gate' and a gate"):
        Plan(stop="gate")
    with pytest.raises(ValueError, match="stop 'satisfied' is a gate of its own"):
        Plan(stop="satisfied", gate=Gate("always", keep="preferred"))
    with pytest.raises(ValueError, match="'resample' looks at nothing again"):
        Plan(variant="resample", gate=Gate("always"))
