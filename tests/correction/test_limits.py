"""Budgets, errors and cancellation: the last good answer is never lost."""

import asyncio
from dataclasses import dataclass

import anyio
import pytest
from echo_case import EchoCase, assistant, said, timeless, user

from secondlook.correction import (
    AcceptCritic,
    Completion,
    EmptyCompletionError,
    FittedCritic,
    Form,
    ModelCritic,
    OracleCritic,
    Plan,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Usage,
    run,
)
from secondlook.fitted import Fitted, Input, Linear
from secondlook.gate import Gate

pytestmark = pytest.mark.anyio

# Two second looks: answer, critique, answer, critique, answer; ten tokens each.
REPLIES = ("A", "It is wrong", "C", "Still wrong", "B")


def script(*replies):
    return ScriptedModel([(None, said(reply) if isinstance(reply, str) else reply) for reply in replies])


async def looked(model, errors=None, case=None, **limits):
    """Two second looks by the model itself."""
    keep = None if errors is None else errors.append
    return await run(model, ModelCritic(model), case or EchoCase(), Plan(rounds=2, **limits), on_error=keep)


@dataclass(slots=True)
class Hanging(ScriptedModel):
    """Never comes back from the call with this index, in which 400 seconds pass at once."""

    hangs_at: int = 0

    async def complete(self, messages, **options):
        if len(self.calls) == self.hangs_at:
            self.calls.append(None)
            loop = asyncio.get_running_loop()
            loop.time = lambda before=loop.time: before() + 400  # whatever the machine is busy with
            await anyio.sleep_forever()
        return await ScriptedModel.complete(self, messages, **options)


@pytest.mark.parametrize(
    ("max_tokens", "calls"), [(1, 1), (10, 1), (11, 2), (20, 2), (39, 4), (40, 4), (41, 5), (50, 5)]
)
async def test_no_call_is_started_once_the_tokens_are_spent(max_tokens, calls):
    model = script(*REPLIES[:calls])
    transcript = await looked(model, max_tokens=max_tokens)
    model.finished()
    assert (transcript.stop, transcript.error) == ("rounds" if calls == 5 else "tokens", None)
    assert transcript.answer == REPLIES[(calls - 1) // 2 * 2]
    assert (transcript.usage, transcript.lost) == (Usage(8 * calls, 2 * calls, calls=calls), Usage())
    assert transcript.messages[-1] == assistant(REPLIES[calls - 1])


async def test_tokens_of_another_model_count_too():
    model, other = script("A", "B"), script("It is wrong")
    transcript = await run(model, ModelCritic(other, "other"), EchoCase(), Plan(max_tokens=15))
    assert (transcript.stop, transcript.rounds[0].critique.verdict) == ("tokens", "wrong")


@pytest.mark.parametrize("hangs_at", range(5))
async def test_the_time_budget_cuts_off_a_call_in_flight(hangs_at):
    model, errors = Hanging([(None, said(reply)) for reply in REPLIES], hangs_at=hangs_at), []
    transcript = await looked(model, errors, max_seconds=300)
    assert (transcript.stop, transcript.error, errors) == ("seconds", None, [])
    assert (transcript.lost, transcript.usage.calls, len(model.calls)) == (Usage(calls=1), hangs_at + 1, hangs_at + 1)
    assert transcript.answer == [None, "A", "A", "C", "C"][hangs_at]


@pytest.mark.parametrize(("late", "made"), [("answer", 1), ("critique", 2)])
async def test_no_call_is_started_once_the_time_is_spent(late, made, monkeypatch):
    now = anyio.current_time()
    monkeypatch.setattr(anyio, "current_time", lambda: now)

    class Late(ScriptedModel):
        async def complete(self, messages, **options):
            nonlocal now
            now += 400 if len(self.calls) + 1 == made else 0  # without yielding: the late reply counts
            return await super().complete(messages, **options)

    model = Late([(None, said(reply)) for reply in REPLIES[:made]])
    transcript = await looked(model, max_seconds=300)
    model.finished()
    assert (transcript.stop, transcript.answer, transcript.lost) == ("seconds", "A", Usage())
    assert transcript.messages[-1] == assistant(REPLIES[made - 1])


async def test_time_to_spare_changes_nothing():
    one, two = await looked(script(*REPLIES), max_seconds=600), await looked(script(*REPLIES))
    assert timeless(one) == timeless(two)


@pytest.mark.parametrize("position", range(5))
async def test_an_error_at_any_call_keeps_what_was_good(position):
    whole, errors = timeless(await looked(script(*REPLIES))), []
    failure = ConnectionError("endpoint down\nsecond line")
    model = script(*REPLIES[:position], failure)
    transcript = await looked(model, errors)
    model.finished()
    assert (transcript.stop, transcript.error, errors) == ("error", "ConnectionError: endpoint down", [failure])
    assert transcript.answer == [None, "A", "A", "C", "C"][position]
    assert transcript.lost == Usage(calls=1)
    assert transcript.usage == Usage(8 * position, 2 * position, calls=position + 1)
    rounds = timeless(transcript).rounds
    assert rounds[: position // 2] == whole.rounds[: position // 2]
    assert [r.answer for r in rounds] == [r.answer for r in whole.rounds[: (position + 1) // 2]]
    assert transcript.messages == whole.messages[: len(transcript.messages)]
    # The request that was not answered is kept; a check question stands only with its critique.
    assert transcript.messages[-1].role == ("assistant" if position % 2 else "user")


@pytest.mark.parametrize("position", [0, 2, 4])
@pytest.mark.parametrize("text", ["", "  \n"])
async def test_an_empty_completion_is_an_error_that_cost_something(position, text):
    empty, errors = Completion(text, Usage(30, 1, calls=1), "length"), []
    transcript = await looked(script(*REPLIES[:position], empty), errors)
    assert transcript.error.startswith("EmptyCompletionError: empty completion (finish reason: length); it came to")
    assert isinstance(errors[0], EmptyCompletionError)
    assert (transcript.stop, transcript.lost) == ("error", empty.usage)
    assert transcript.answer == [None, None, "A", None, "C"][position]
    assert transcript.messages[-1].role == "user"


class AskingCase(EchoCase):
    verdict_form = preference_form = Form("which?", lambda text, _: None, ("one", "other"))


@pytest.mark.parametrize(
    ("judged", "answered"),
    [("examined", 1), ("compared", 1), ("fitted", 1), ("fitted", 2), ("fitted", 3)],
)
@pytest.mark.parametrize("late", [False, True])
async def test_calls_before_the_one_that_fails_have_cost_something(judged, answered, late):
    """A critique may take several calls: with the last of them the others are lost too, ten tokens each."""
    replies = [(None, said("I cannot tell"))] * answered
    critic = Hanging(replies, hangs_at=answered) if late else ScriptedModel([*replies, (None, OSError("gone"))])
    wrapped = {
        "examined": ModelCritic(critic),
        "compared": AcceptCritic(critic),
        "fitted": FittedCritic(
            Fitted([Input("verdict of a", "wrong")], Linear("linear", [2.0], -1.0), 0.5),
            {"a": ModelCritic(critic), "b": ModelCritic(critic)},
        ),
    }[judged]
    gate = Gate("always", keep="preferred" if judged == "compared" else "new")
    plan = Plan(elicit="auto", gate=gate, max_seconds=300 if late else None)
    transcript = await run(script("A", "B"), wrapped, AskingCase(), plan)
    assert transcript.stop == ("seconds" if late else "error")
    assert transcript.lost == Usage(8 * answered, 2 * answered, calls=answered + 1)


class BrokenCase(EchoCase):
    def reask(self, round_index, **options):
        raise LookupError("no such prompt")


@pytest.mark.parametrize(
    ("replies", "critic", "case", "error", "answer", "last"),
    [
        ((ValueError(),), SilentCritic(), EchoCase(), "ValueError", None, user("s1: query 0")),
        (("A",), ToolCritic(lambda exam: {}[exam.answer]), EchoCase(), "KeyError: 'A'", "A", assistant("A")),
        (("A",), OracleCritic(), BrokenCase(), "LookupError: no such prompt", "A", assistant("verdict: wrong")),
        (("A", OSError("gone")), SilentCritic(), EchoCase(), "OSError: gone", "A", user("s1: query 1, once more")),
    ],
)
async def test_whatever_fails_is_recorded_and_the_request_stays(replies, critic, case, error, answer, last):
    transcript = await run(script(*replies), critic, case, Plan())
    assert (transcript.stop, transcript.error, transcript.answer) == ("error", error, answer)
    assert transcript.messages[-1] == last


async def test_a_truncated_answer_is_an_answer():
    model = ScriptedModel([(None, Completion("A becau", Usage(1, 1, calls=1), "length"))])
    transcript = await run(model, SilentCritic(), EchoCase(), Plan(rounds=0))
    assert (transcript.stop, transcript.rounds[0].finish) == ("rounds", "length")


async def test_cancellation_and_what_is_no_exception_pass_through():
    with anyio.move_on_after(0.05) as scope:
        await run(Hanging([(None, "A")], hangs_at=1), SilentCritic(), EchoCase(), Plan(max_seconds=600))
    assert scope.cancelled_caught

    class Interrupted(ScriptedModel):
        async def complete(self, messages, **options):
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        await run(Interrupted([]), SilentCritic(), EchoCase(), Plan())
