"""Tokens of a study by a pilot, beside the real loop held with a model whose tokens are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import anyio
import pytest

from secondlook.correction.chat import Completion, Message, ModelInfo, Usage
from secondlook.correction.loop import run
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import Evaluation
from secondlook.evaluation.planning.counting import calls_of, count
from secondlook.evaluation.planning.tokens import Spent, intervals, nearest, ratios, spent, sums, tabulated
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.solver import Session
from secondlook.evaluation.study import Study


@dataclass
class Meter:
    """Four tokens to a character, replies of one length, and a cache of the last prompt and reply, half of it lost."""

    info: ModelInfo
    calls: int = 0
    held: list[tuple[str, str]] = field(default_factory=list)

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        self.calls += 1
        letters = [(message.role, letter) for message in messages for letter in message.content]
        cached = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self.held, letters, strict=False)))
        self.held = [*letters, *(("assistant", letter) for letter in "abcd")]
        return Completion("abcd", Usage(4 * len(letters), 16, 2 * cached, calls=1))


def evaluation(critic, rounds, per_category):
    return Evaluation(
        benchmark="planted",
        endpoint=Endpoint(model="nobody/nowhere"),
        arms=(critic,),
        study={"rounds": rounds},
        questions={"per_category": per_category},
    )


def held(asked):
    """The transcripts of an arm, with the meter as its model."""
    (name,) = asked.names
    study, task = Study.of(seed=0, **asked.arm(name)), asked.task(name)
    bench = Session(study, [], meter := Meter(ModelInfo("meter")))

    async def hold():
        plan, _ = await bench.plan()
        return [await run(meter, bench.critic, case_of(s.metadata, study.file), plan) for s in task.dataset]

    transcripts = anyio.run(hold)
    assert all(transcript.stop == "rounds" for transcript in transcripts)
    assert meter.calls == sum(len(calls_of(transcript)) for transcript in transcripts)
    return transcripts


def counted(asked):
    (name,) = asked.names
    return count(asked.seed, asked.arm(name), asked.task(name), 4, 4).transcripts


def table(transcripts, templates=None):
    made = {transcript.sample: calls_of(transcript) for transcript in transcripts}
    return tabulated(made, templates or {sample: sample for sample in made})


def measured(transcripts):
    total = sum((transcript.usage for transcript in transcripts), Usage())
    return Spent(total.calls, total.input, total.output, total.cached)


@pytest.mark.parametrize("critic", ["self", "none", "vote", "oracle"])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_larger_study_spends_what_its_pilot_says(critic, rounds):
    pilot, study = evaluation(critic, 1, 1), evaluation(critic, rounds, 3)
    known = ratios(sums(table(held(pilot))), sums(table(counted(pilot))))
    found = sum(spent(known, sums(table(counted(study)))).values(), Spent())
    true = measured(held(study))
    assert found.calls == true.calls
    assert found.tokens_out == true.tokens_out
    assert found.tokens_in == pytest.approx(true.tokens_in, rel=1e-12 if critic != "oracle" else 0.02)
    assert found.tokens_cached == pytest.approx(true.tokens_cached, rel=1e-12 if critic != "oracle" else 0.03)
    assert found.tokens_cached == pytest.approx(found.tokens_reusable / 2)
    assert found.tokens_reusable < found.tokens_in


def test_what_a_cache_could_serve_is_the_conversation_so_far():
    first, second = counted(evaluation("none", 1, 1))[:2]
    answer, again = calls_of(first)
    assert again.cached == answer.input + 4  # the prompt before, and its reply
    assert again.added == again.input - answer.input
    assert 0 < calls_of(second)[0].cached < calls_of(second)[0].input / 2  # the words that all questions begin with


def test_conversations_that_end_early_are_counted_as_often_as_in_the_pilot():
    asked = evaluation("self", 2, 1)
    transcripts = held(asked)
    cut = [replace(t, rounds=t.rounds[:1], stop="satisfied") for t in transcripts[:6]] + transcripts[6:]
    known = ratios(sums(table(cut)), sums(table(counted(asked))))
    assert known["check", 0].share == 1
    assert known["again", 1].share == known["check", 1].share == 5 / 11
    larger = evaluation("self", 2, 2)
    found = sum(spent(known, sums(table(counted(larger)))).values(), Spent())
    assert found.calls == pytest.approx(2 * sum(len(calls_of(t)) for t in cut))
    # Not exactly: those that end early are not of the mean length.
    assert found.tokens_in == pytest.approx(2 * measured(cut).tokens_in, rel=0.1)


def test_intervals_hold_the_estimate_and_are_of_no_width_where_all_questions_are_alike():
    pilot, study = evaluation("self", 1, 2), sums(table(counted(evaluation("self", 1, 4))))
    own, dry = table(held(pilot)), table(counted(pilot))
    low, high = intervals(own, dry, study, 0)["tokens_in"]
    value = sum(spent(ratios(sums(own), sums(dry)), study).values(), Spent()).tokens_in
    assert low == pytest.approx(high) == pytest.approx(value)
    noisy = own.assign(added=own["added"] * [1 + (place % 5) / 10 for place in range(len(own))])
    low, high = intervals(noisy, dry, study, 0)["tokens_in"]
    value = sum(spent(ratios(sums(noisy), sums(dry)), study).values(), Spent()).tokens_in
    assert low < value < high


def test_a_kind_of_call_that_the_pilot_never_made():
    pilot = evaluation("self", 0, 1)
    known = ratios(sums(table(held(pilot))), sums(table(counted(pilot))))
    with pytest.raises(ValueError, match=r"no call of kind 'check'; run the pilot with more --rounds"):
        nearest(known, ("check", 0))
