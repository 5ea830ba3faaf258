"""Plans by pilots of conversations whose tokens and times are known by formula, beside the formula."""

import hashlib
import shlex
from dataclasses import replace

import anyio
import numpy as np
import pytest

from secondlook.correction.chat import Completion, ModelInfo, Usage
from secondlook.correction.loop import run
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluation import Evaluation, gate_digest
from secondlook.evaluation.planning.pilot import Pilot, PilotArm, calls_of, evaluation_of, resized
from secondlook.evaluation.planning.study_plan import PlannedArm, Site, plan, wall
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.study import Study
from secondlook.evaluation.times import Times
from secondlook.prompts.prompt import load_prompt

QUESTION, WORK = 0.03, 1 / 20  # seconds of the harness; of an endpoint that holds 20 calls at a time
LENGTHS = {"self": (200, 30, 5), "none": (0, 30, 5)}
"""Tokens that a second look adds: of the check, none where nobody asks; of the request; of every reply."""


def evaluation(*arms, rounds, per_category):
    endpoint, sizes = Endpoint(model="nobody/nowhere"), {"per_category": per_category}
    return Evaluation(benchmark="planted", endpoint=endpoint, arms=arms, study={"rounds": rounds}, questions=sizes)


def arm_of(name, study, scatter=0):
    """Conversations by formula: a prompt is all before it; three in four of its tokens that could be, are cached."""
    check, request, reply = LENGTHS[name]
    samples = [sample.metadata for sample in study.task(name).dataset]
    looks = np.zeros((len(samples), study.study["rounds"] + 1, 3, 6))
    for place, sample in enumerate(samples):
        prompt, before = len(sample["category"]) * 10 + scatter * (place % 3), 0
        for look in range(looks.shape[1]):
            for kind, words in ((0, check), (1, request)):
                if look and words:
                    prompt += words
                if (look and words) or kind:
                    cached = 0.75 * before
                    seconds = 0.05 + 0.001 * (prompt - cached) + 0.02 * reply
                    looks[place, look, kind] = (1, prompt, reply, cached, before, seconds)
                    prompt, before = prompt + reply, prompt + reply
    span = QUESTION * len(samples) + WORK * looks[..., 5].sum()
    names = np.array([[sample["category"], str(sample["template"])] for sample in samples])
    return PilotArm(looks, names[:, 0], names[:, 1], np.zeros(6), span)


def pilot_of(study, **changes):
    arms = {name: arm_of(name, study, **changes) for name in study.arms}
    asking = sum(arm.span for arm in arms.values()) + 0.5 * len(arms)
    return Pilot(study, {}, arms, 0, Times(6.0, asking, 1.1, (3.0, asking, 1.1)), 4)


@pytest.mark.parametrize(("rounds", "per_category"), [(1, 1), (1, 5), (4, 2), (2, 3)])
def test_a_larger_study_takes_what_the_formula_says(rounds, per_category):
    study = evaluation("self", "none", rounds=rounds, per_category=per_category)
    planned = plan(pilot_of(evaluation("self", "none", rounds=2, per_category=1)), study, Site())
    for arm in planned.arms:
        true = arm_of(arm.name, study).looks.sum(axis=(0, 1, 2))
        found = (arm.calls, arm.tokens_in, arm.tokens_out, arm.tokens_cached, arm.tokens_reusable, arm.latency)
        assert found == pytest.approx(tuple(true), rel=1e-6)
    size, took = 11 * per_category, pilot_of(study).times.asking + planned.wall["waiting"]
    assert planned.wall["harness"] == pytest.approx(QUESTION * size * 2)
    assert planned.wall["seconds"] == pytest.approx(6 + took + 1.1 * per_category)
    assert planned.processor == pytest.approx(3 + took + 1.1 * per_category)
    assert planned.filled == pytest.approx(size / 4)


def test_one_arm_cannot_tell_the_harness_from_the_endpoint():
    asked = evaluation("self", rounds=1, per_category=1)
    planned = plan(pilot_of(asked), asked, Site())
    assert planned.wall["harness"] == 0
    assert planned.wall["endpoints"] == pytest.approx(arm_of("self", asked).span)
    assert any("has one arm" in note for note in planned.notes)


def test_intervals_hold_what_other_questions_take():
    pilot, study = (evaluation("none", rounds=1, per_category=number) for number in (4, 40))
    (arm,) = plan(pilot_of(pilot, scatter=50), study, Site()).arms
    low, high = arm.intervals["tokens_in"]
    assert low < arm.tokens_in < high
    assert low < arm_of("none", study, scatter=50).looks[..., 1].sum() < high


class Reader:
    """Answers, confirms, prefers the later answer, and counts words for tokens; its samples are of another mind."""

    info = ModelInfo("reader")

    def __init__(self, study, said="(A)"):
        verdict, better = study.file.verdicts["right"], study.file.preference_form
        self.replies, self.said = {verdict: verdict, better.ask: better.choices[-1]}, said

    async def complete(self, messages, *, seed=None):
        last = messages[-1].content
        reply = next((reply for asks, reply in self.replies.items() if asks in last), self.said)
        return Completion(reply, Usage(sum(len(one.content.split()) for one in messages), len(reply.split()), calls=1))


@pytest.mark.parametrize(
    ("parts", "keep", "calls"),
    [
        ((), "new", [[0, 1, 0], [1, 1, 0], [1, 1, 0]]),
        ((), "confirmed", [[0, 1, 0], [1, 1, 1], [0, 1, 1]]),  # what confirmed an answer is not asked again
        ((), "preferred", [[0, 1, 0], [1, 1, 1], [1, 1, 1]]),
        (("agreement", 0.5, 4), "new", [[0, 1, 0], [5, 1, 0], [5, 1, 0]]),
        (("agreement", 0.5, 4), "confirmed", [[0, 1, 0], [5, 1, 1], [4, 1, 1]]),
    ],
)
def test_every_call_of_a_conversation_is_in_its_look(gate, parts, keep, calls):
    more = {"gate": gate("self", 2, *parts, keep=keep), "rounds": 0} if parts else {"keep": keep, "rounds": 2}
    study = Study(critic="self", elicit="line", **more)
    sample = evaluation("self", rounds=0, per_category=1).task("self").dataset[0].metadata
    model, others = Reader(study), Reader(study, "(B)")
    made = anyio.run(
        lambda: run(model, study.build_critic(model), case_of(sample, study.file), study.plan(), sampler=others)
    )
    assert (made.stop, len(made.rounds)) == ("rounds", 3)
    found = calls_of(made, study)
    assert found[..., 0].tolist() == calls
    usage = made.usage
    assert found.sum(axis=(0, 1))[:4].tolist() == [usage.calls, usage.input, usage.output, usage.cached]


def test_more_looks_than_the_pilots_need_conversations_that_go_on():
    settings = {"rounds": 1, "questions": {}}
    for more, arms, said in (
        ({"keep": "confirmed"}, {"self": {}}, "--keep confirmed"),
        ({}, {"self": {}, "accept-reject": {}}, "critic accept-reject"),
    ):
        asked = evaluation(*arms, rounds=1, per_category=1)
        with pytest.raises(ValueError, match=f"rounds is 2 and the pilot has 1: with {said} nobody knows"):
            resized(Pilot(asked, {"settings": settings | more, "arms": arms}, {}, 0, None, None), rounds=2)


def test_a_pilot_of_another_gate_is_none(gate):
    file = gate("self", 2, "alarm")
    settings = {**evaluation("self", rounds=1, per_category=1).settings, "gate": file, "hash of the gate": "0"}
    settings["prompt"] = load_prompt("bbq/binary-cot").version
    with pytest.raises(ValueError, match=r"gate .* was another one \(hash 0\); run the pilot again"):
        evaluation_of(settings, {"self": {}})
    settings["hash of the gate"] = gate_digest(file)
    assert evaluation_of(settings, {"self": {}}).study_of("self").looks == 2


def test_a_pilot_of_other_verdicts_or_of_another_tool_is_none(tmp_path):
    settings = {**evaluation("self", rounds=1, per_category=1).settings}
    settings["prompt"] = load_prompt("bbq/binary-cot").version
    file = tmp_path / "verdicts.jsonl"
    file.write_text('{"sample": "a", "round": 0, "verdict": "wrong"}\n')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    tool = {"critic_command": f"python {shlex.quote(str(file))}"}
    for arm, holder, name, held, what in (
        ("recorded", {"critic_file": str(file)}, "verdicts", digest, "verdicts '.*verdicts.jsonl'"),
        ("tool", tool, "hash of the tool", {str(file): digest}, "tool 'python .*verdicts.jsonl'"),
    ):
        arms = {arm: {**holder, name: held}}
        assert evaluation_of(settings, arms).names == (arm,)
        assert evaluation_of(settings, {arm: holder}).names == (arm,)  # of a version that noted none
        arms[arm][name] = {str(file): "0"} if arm == "tool" else "0"
        with pytest.raises(
            ValueError, match=rf"the pilot's {what} was another one \(hash .*0.*\); run the pilot again"
        ):
            evaluation_of(settings, arms)


RATES = {"question": 0.02, "work": 0.05, "longest": 2.0, "opening": 6.0, "arm": 0.5, "report": 0.01}
ARM = PlannedArm("self", 1000, 3000, 6e5, 6e4, 1e5, 2e5, 1200.0, {})


def test_what_grows_is_no_longer_the_limit():
    alone, eight, many = (wall([ARM], RATES, Site(count, drivers)) for count, drivers in ((1, 1), (8, 1), (100, 100)))
    assert alone == {"opening": 6, "arms": 0.5, "harness": 20, "endpoints": 60, "waiting": 0, "reporting": 10}
    assert max(eight, key=eight.get) == "harness"
    assert max(many, key=many.get) == "reporting"
    # No arm ends before its longest conversation: twice the mean of 1.2 seconds.
    assert many["waiting"] == pytest.approx(2.4 - 20 / 100 - 60 / 100)
    few = replace(ARM, questions=10)
    assert wall([few], RATES, Site(1000, 1000)) == wall([few], RATES, Site(1000, 10))


def test_stated_rates_stand_in_place_of_the_pilots():
    site = Site(prompt_rate=1e4, reply_rate=2e3)
    assert wall([ARM], RATES, site)["endpoints"] == pytest.approx(5e5 / 1e4 + 6e4 / 2e3)
    # One question at an endpoint: nobody beside it, twice the mean work.
    far = wall([ARM], RATES, replace(site, endpoints=1000, drivers=1000), in_flight=32)
    assert far["endpoints"] + far["harness"] + far["waiting"] == pytest.approx(2 * 80 / 1000)
