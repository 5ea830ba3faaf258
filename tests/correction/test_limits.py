"""Budgets, errors and cancellation: the last good answer is never lost."""

import time
from dataclasses import dataclass

import anyio
import pytest
from echo_case import EchoCase, assistant, said, timeless, user

from secondlook.correction import (
    Completion,
    EmptyCompletionError,
    ModelCritic,
    OracleCritic,
    Plan,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    Usage,
    run,
)

pytestmark = pytest.mark.anyio

# Two second looks: answer, critique, answer, critique, answer; ten tokens each.
REPLIES = ("A", "It is wrong", "C", "Still wrong", "B")


def script(*replies):
    return ScriptedModel([(None, said(reply) if isinstance(reply, str) else reply) for reply in replies])


@dataclass(slots=True)
class Hanging(ScriptedModel):
    """Never comes back from the call with this index."""

    hangs_at: int = 0

    async def complete(self, messages, **options):
        if len(self.calls) == self.hangs_at:
            self.calls.append(None)
            await anyio.sleep_forever()
        return await ScriptedModel.complete(self, messages, **options)


@pytest.mark.parametrize(
    ("max_tokens", "calls", "stop"),
    [
        (1, 1, "tokens"),
        (10, 1, "tokens"),
        (11, 2, "tokens"),
        (20, 2, "tokens"),
        (39, 4, "tokens"),
        (40, 4, "tokens"),
        (41, 5, "rounds"),
        (50, 5, "rounds"),
    ],
)
async def test_no_call_is_started_once_the_tokens_are_spent(max_tokens, calls, stop):
    model = script(*REPLIES[:calls])
    plan = Plan(rounds=2, max_tokens=max_tokens)
    transcript = await run(model, ModelCritic(model), EchoCase(), plan)
    model.finished()
    assert transcript.stop == stop
    assert transcript.error is None
    assert transcript.answer == REPLIES[(calls - 1) // 2 * 2]
    assert transcript.usage == Usage(8 * calls, 2 * calls, calls=calls)
    assert transcript.lost == Usage()
    assert transcript.messages[-1] == assistant(REPLIES[calls - 1])


async def test_tokens_of_another_model_count_too():
    model, other = script("A", "B"), script("It is wrong")
    transcript = await run(model, ModelCritic(other, "other"), EchoCase(), Plan(max_tokens=15))
    assert transcript.stop == "tokens"
    assert transcript.rounds[0].critique.verdict == "wrong"


@pytest.mark.parametrize("hangs_at", range(5))
async def test_the_time_budget_cuts_off_a_call_in_flight(hangs_at):
    replies = [said(reply) for reply in REPLIES]
    model = Hanging([(None, reply) for reply in replies], hangs_at=hangs_at)
    errors = []
    transcript = await run(
        model,
        ModelCritic(model),
        EchoCase(),
        Plan(rounds=2, max_seconds=0.2),
        on_error=errors.append,
    )
    assert (transcript.stop, transcript.error, errors) == ("seconds", None, [])
    assert transcript.lost == Usage(calls=1)
    assert transcript.usage.calls == hangs_at + 1
    assert transcript.answer == [None, "A", "A", "C", "C"][hangs_at]
    assert len(model.calls) == hangs_at + 1


@pytest.mark.parametrize(("late", "made"), [("answer", 1), ("critique", 2)])
async def test_no_call_is_started_once_the_time_is_spent(late, made):
    # Blocks without yielding, so that nothing can be cut off: the late reply counts.
    class Blocking(ScriptedModel):
        async def complete(self, messages, **options):
            if len(self.calls) + 1 == made:
                time.sleep(0.25)
            return await super().complete(messages, **options)

    model = Blocking([(None, said(reply)) for reply in REPLIES[:made]])
    transcript = await run(model, ModelCritic(model), EchoCase(), Plan(rounds=2, max_seconds=0.2))
    model.finished()
    assert (transcript.stop, transcript.answer, transcript.lost) == ("seconds", "A", Usage())
    assert transcript.messages[-1] == assistant(REPLIES[made - 1])


async def test_time_to_spare_changes_nothing():
    limited, free = script(*REPLIES), script(*REPLIES)
    one = await run(limited, ModelCritic(limited), EchoCase(), Plan(rounds=2, max_seconds=600))
    two = await run(free, ModelCritic(free), EchoCase(), Plan(rounds=2))
    assert timeless(one) == timeless(two)


@pytest.mark.parametrize("position", range(5))
async def test_an_error_at_any_call_keeps_what_was_good(position):
    complete = script(*REPLIES)
    whole = timeless(await run(complete, ModelCritic(complete), EchoCase(), Plan(rounds=2)))
    failure = ConnectionError("endpoint down\nsecond line")
    model = script(*REPLIES[:position], failure)
    errors = []

    transcript = await run(model, ModelCritic(model), EchoCase(), Plan(rounds=2), on_error=errors.append)

    model.finished()
    assert (transcript.stop, transcript.error) == ("error", "ConnectionError: endpoint down")
    assert errors == [failure]
    assert transcript.answer == [None, "A", "A", "C", "C"][position]
    assert transcript.lost == Usage(calls=1)
    assert transcript.usage == Usage(8 * position, 2 * position, calls=position + 1)
    examined = position // 2
    rounds = timeless(transcript).rounds
    assert rounds[:examined] == whole.rounds[:examined]
    assert [r.answer for r in rounds] == [r.answer for r in whole.rounds[: (position + 1) // 2]]
    assert transcript.messages == whole.messages[: len(transcript.messages)]
    # The request that was not answered is kept; a check question stands only with its critique.
    assert transcript.messages[-1].role == ("assistant" if position % 2 else "user")


@pytest.mark.parametrize("position", [0, 2, 4])
@pytest.mark.parametrize("text", ["", "  \n"])
async def test_an_empty_completion_is_an_error_that_cost_something(position, text):
    empty = Completion(text, Usage(30, 1, calls=1), "length")
    model = script(*REPLIES[:position], empty)
    errors = []
    transcript = await run(model, ModelCritic(model), EchoCase(), Plan(rounds=2), on_error=errors.append)
    assert transcript.stop == "error"
    assert transcript.error == "EmptyCompletionError: empty completion (finish reason: length)"
    assert isinstance(errors[0], EmptyCompletionError)
    assert transcript.lost == empty.usage
    assert transcript.answer == [None, None, "A", None, "C"][position]
    assert transcript.messages[-1].role == "user"


async def test_an_error_without_words_is_named_by_its_type():
    transcript = await run(script(ValueError()), SilentCritic(), EchoCase(), Plan())
    assert transcript.error == "ValueError"
    assert (transcript.answer, transcript.rounds) == (None, ())


async def test_a_failing_tool_is_recorded():
    def broken(exam):
        raise KeyError(exam.answer)

    transcript = await run(script("A"), ToolCritic(broken), EchoCase(), Plan())
    assert (transcript.stop, transcript.error, transcript.answer) == ("error", "KeyError: 'A'", "A")
    assert transcript.messages[-1] == assistant("A")


async def test_a_failing_case_is_recorded():
    class Broken(EchoCase):
        def reask(self, round_index, **options):
            raise LookupError("no such prompt")

    transcript = await run(script("A"), OracleCritic(), Broken(), Plan())
    assert (transcript.error, transcript.answer) == ("LookupError: no such prompt", "A")
    assert transcript.lost == Usage()


async def test_a_truncated_answer_is_an_answer():
    model = ScriptedModel([(None, Completion("A becau", Usage(1, 1, calls=1), "length"))])
    transcript = await run(model, SilentCritic(), EchoCase(), Plan(rounds=0))
    assert (transcript.stop, transcript.rounds[0].finish) == ("rounds", "length")


async def test_cancellation_from_outside_passes_through():
    model = Hanging([(None, "A")], hangs_at=1)
    returned = False
    with anyio.move_on_after(0.05) as scope:
        await run(model, SilentCritic(), EchoCase(), Plan(max_seconds=600))
        returned = True
    assert scope.cancelled_caught
    assert not returned


async def test_an_exception_that_is_no_exception_passes_through():
    class Interrupted(ScriptedModel):
        async def complete(self, messages, **options):
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        await run(Interrupted([]), SilentCritic(), EchoCase(), Plan())


async def test_an_unanswered_request_stays_in_the_record():
    transcript = await run(script("A", OSError("gone")), SilentCritic(), EchoCase(), Plan())
    assert transcript.messages[-1] == user("s1: query 1, once more")
