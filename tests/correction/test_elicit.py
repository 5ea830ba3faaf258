"""What could not be read is asked for once more, alone, and is no part of the conversation that goes on."""

from dataclasses import dataclass

import pytest
from echo_case import EchoCase, assistant, said, system, user

from secondlook.correction import (
    Completion,
    Form,
    Held,
    ModelCritic,
    OracleCritic,
    Plan,
    ScriptedModel,
    Transcript,
    Usage,
    run,
)
from secondlook.correction.chat import TokenLogprob
from secondlook.correction.likelihood import place_of, shares_at, shares_of

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class AskingCase(EchoCase):
    """Answers are letters; verdicts are `verdict: wrong` and `verdict: right`."""

    @property
    def answer_form(self):
        return Form("letter?", lambda text, _: text if text in "ABC" else None, ("A", "B", "C"))

    @property
    def verdict_form(self):
        read = {"wrong": "verdict: wrong", "right": "verdict: right"}.get
        return Form("verdict?", lambda text, _: read(self.verdict(text)), ("verdict: wrong", "verdict: right"))


FIRST = (system("Be brief."), user("s1: query 0"))
CHECK = (*FIRST, assistant("Hm."), user("check 0"))
SECOND = (*CHECK, assistant("Well."), user("s1: query 1, given the critique"))


async def test_auto_asks_once_more_where_nothing_can_be_read_and_nowhere_else():
    model = ScriptedModel(
        [
            (FIRST, said("Hm.", 10)),
            ((*FIRST, assistant("Hm."), user("letter?")), said("B", 100)),
            (CHECK, said("Well.", 1000)),
            ((*CHECK, assistant("Well."), user("verdict?")), said("verdict: wrong", 10_000)),
            (SECOND, said("A", 7)),
        ]
    )
    transcript = await run(model, ModelCritic(model), AskingCase(), Plan(elicit="auto"))
    model.finished()
    first, second = transcript.rounds
    assert transcript.messages == (*SECOND, assistant("A"))
    assert (first.answer, first.stated, first.elicited.how, second.elicited) == ("Hm.", ("B", "stop"), "turn", None)
    assert (first.critique.text, first.critique.verdict) == ("Well.", "wrong")
    assert (first.cost.total, first.critique.cost.total, transcript.usage.total) == (110, 11_000, 11_117)
    assert transcript.usage.calls == 5
    assert Transcript.from_json(transcript.to_json()) == transcript


@pytest.mark.parametrize(("elicit", "calls"), [("line", 3), ("auto", 3), ("choice", 6)])
async def test_what_can_be_read_is_asked_for_by_choice_alone(elicit, calls):
    model = ScriptedModel(
        [(None, text) for text in (["A", "wrong", "B"] if calls == 3 else ["A", "C", *["wrong"] * 2, *"BB"])]
    )
    transcript = await run(model, ModelCritic(model), AskingCase(), Plan(elicit=elicit))
    model.finished()
    assert transcript.rounds[0].stated[0] == ("A" if calls == 3 else "C")


async def test_the_truth_is_told_of_what_was_elicited():
    model = ScriptedModel([(None, "Hm."), (None, "B"), (None, "A")])
    transcript = await run(model, OracleCritic(), AskingCase(truth="B"), Plan(elicit="auto"))
    assert transcript.rounds[0].critique.verdict == "right"


@pytest.mark.parametrize("again", ["Hm.", RuntimeError("gone")])
async def test_an_answer_is_kept_whatever_comes_of_asking_once_more(again):
    model = ScriptedModel([(None, "Hm."), (None, again)])
    transcript = await run(model, OracleCritic(), AskingCase(), Plan(rounds=0, elicit="auto"))
    (round_,) = transcript.rounds
    assert round_.stated == ("Hm.", "stop")
    assert transcript.stop == ("rounds" if again == "Hm." else "error")


async def test_a_spent_budget_asks_for_nothing_more():
    model = ScriptedModel([(None, said("Hm.", 50))])
    transcript = await run(model, OracleCritic(), AskingCase(), Plan(elicit="auto", max_tokens=50))
    model.finished()
    assert (transcript.stop, transcript.rounds[0].elicited) == ("tokens", None)


@dataclass
class Sure(ScriptedModel):
    """Has logits: chooses the second, and scores a place as the test says."""

    async def choose(self, messages, form, *, seed=None):
        assert messages[-1].content == "verdict?"
        return Held(Completion(form.choices[1], Usage(5, 1, calls=1)), "logits", (0.25, 0.75))

    async def score(self, messages, place):
        assert (place.before, place.continuations) == ("It is", (" (A", " (B", " (C"))
        return (-1.0, -2.0, -3.0)


@pytest.mark.parametrize("confidence", [True, False])
async def test_how_sure_it_was_of_what_it_said_and_of_what_was_elicited(confidence):
    loose = Form("letter?", lambda text, _: "B" if "(B)" in text else None, ("A", "B", "C"))
    model = Sure([(None, "It is (B)."), (None, "Well."), (None, "It is (B).")])
    patched = type("Patched", (AskingCase,), {"answer_form": property(lambda _: loose)})()
    transcript = await run(model, ModelCritic(model), patched, Plan(elicit="auto", confidence=confidence))
    first = transcript.rounds[0]
    assert (first.critique.verdict, first.critique.elicited.how) == ("right", "logits")
    if not confidence:
        assert first.shares is first.critique.shares is None
        return
    assert first.critique.shares == {"wrong": 0.25, "right": 0.75}
    total = sum(2.718281828459045**-each for each in (1, 2, 3))
    assert first.shares == pytest.approx(
        {"A": 0.3678794 / total, "B": 0.1353353 / total, "C": 0.0497871 / total}, abs=1e-5
    )


@pytest.mark.parametrize(
    ("reply", "said_", "choices", "before", "continuations"),
    [
        ("(B)", "B", ("A", "B"), "", ("(A", "(B")),
        ("A or B? Answer: **B**", "B", ("A", "B"), "A or B? Answer:", (" **A", " **B")),
        (
            "Verdict: Biased.",
            "Verdict: biased",
            ("Verdict: biased", "Verdict: unbiased"),
            "Verdict:",
            (" Biased", " Unbiased"),
        ),
        ("Score: 10", "Score: 10", ("Score: 1", "Score: 10"), "Score:", (" 1", " 10")),
    ],
)
def test_the_place_where_a_choice_is_stated(reply, said_, choices, before, continuations):
    place = place_of(reply, said_, choices)
    assert (place.before, place.continuations) == (before, continuations)


def test_a_choice_in_other_words_has_no_place():
    assert place_of("It is not biased.", "Verdict: unbiased", ("Verdict: biased", "Verdict: unbiased")) is None
    assert place_of("Bad.", "B", ("A", "B")) is None


def spoken(text, tokens):
    return Completion(text, Usage(), tokens=tokens)


def test_probabilities_of_the_likeliest_tokens():
    """Mass on the choices alone; a token that could begin several counts for none."""
    place = place_of("Verdict: unbiased", "Verdict: unbiased", ("Verdict: biased", "Verdict: unbiased"))
    tokens = (
        TokenLogprob("Verdict:", 0.0),
        TokenLogprob(" un", -0.5, {" un": -0.5, " biased": -1.5, " ": -2.0, " wrong": -1.0}),
        TokenLogprob("biased", 0.0),
    )
    wrong, right = 2.718281828459045**-1.5, 2.718281828459045**-0.5
    assert shares_at(place, spoken("Verdict: unbiased", tokens)) == pytest.approx(
        (wrong / (wrong + right), right / (wrong + right)), abs=1e-5
    )
    score = place_of("Score: 10", "Score: 10", ("Score: 1", "Score: 10"))
    whole = (TokenLogprob("Score:", 0.0), TokenLogprob(" 10", -1.0, {" 1": -1.0, " 10": -1.0}))
    assert shares_at(score, spoken("Score: 10", whole)) == (0.5, 0.5)
    fenced = (TokenLogprob("```", -3.0), TokenLogprob("\n", 0.0), *whole, TokenLogprob("```", 0.0))
    assert shares_at(score, spoken("Score: 10", fenced)) == (0.5, 0.5)
    letter = place_of("(A)", "A", ("A", "B"))
    stripped = (TokenLogprob(" (", 0.0), TokenLogprob("A", -1.0, {"B": -1.0}), TokenLogprob(")", 0.0))
    assert shares_at(letter, spoken("(A)", stripped)) == (0.5, 0.5)
    joined = (TokenLogprob(" (A", -1.0, {" (B": -1.0}), TokenLogprob(")", 0.0))
    assert shares_at(letter, spoken("(A)", joined)) == (0.5, 0.5)
    assert shares_at(place, spoken("Verdict: unbiased", ())) is None
    assert shares_of((0.0, -1e9)) == (1.0, 0.0)
