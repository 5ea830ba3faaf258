"""The fast path gives the transcripts of the slow one, and computes no token twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial

import anyio
import jinja2
import pandas as pd
import pytest
from planted_cases import GREEDY, Alone, bare, cases, held_alone

from command import CACHED, TIMES, secondlook
from secondlook.correction import Critique, Message, ModelCritic, OracleCritic, Plan, SilentCritic, Usage
from secondlook.correction.likelihood import Place
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.fast import run_study
from secondlook.evaluation.logs import read_logged
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import HISTORY
from secondlook.local.lockstep import LockstepModel, run_lockstep, together
from secondlook.local.model import DecodingSettings, LocalModel, checkpoint


@pytest.fixture(scope="module")
def planted():
    return LocalModel("planted", "cpu")


def test_no_conversations_wait_for_nobody():
    async def held():
        with anyio.fail_after(5):
            return await together([])

    assert anyio.run(held) == []


@pytest.mark.parametrize(
    ("critic", "study", "questions", "temperature"),
    [
        ("self", {"rounds": 1}, {"limit": 44, "per_category": 4}, 0.0),
        ("oracle", {"rounds": 1, "variant": "diverse", "noise": 0.3, "history": 2}, {"limit": 12}, 0.0),
        (
            "self",
            {"rounds": 2, "variant": "self-instruct", "stop": "satisfied", "budget_tokens": 120},
            {"limit": 9},
            0.7,
        ),
    ],
)
def test_transcripts_are_those_of_inspects_path(planted, tmp_path, critic, study, questions, temperature):
    endpoint = Endpoint(model="secondlook/planted", max_tokens=16, temperature=temperature)
    evaluation = Evaluation(
        benchmark="planted", endpoint=endpoint, arms=(critic,), study=study, questions=questions, seed=4
    )
    run_evaluation(evaluation, tmp_path, quiet=True)
    slow = {logged.item.id: logged.transcript for logged in read_logged(tmp_path)}

    task = evaluation.task(critic)
    model = LockstepModel(planted, DecodingSettings(max_tokens=16, temperature=temperature))
    fast = run_study(
        Study.of(seed=4, **evaluation.arm(critic)),
        [sample.metadata for sample in task.dataset],
        model,
        history=task.metadata[HISTORY],
    )
    assert len(fast) == questions["limit"]
    # Which sample pays for a shared history is chance where all start at once.
    for transcript in fast:
        assert bare(transcript, lost=Usage()) == bare(slow[transcript.sample], lost=Usage())
    paid = [sum(one.lost.total for one in some) for some in (fast, slow.values())]
    assert paid[0] == paid[1]
    assert (paid[0] > 0) == (study.get("variant") == "diverse")


def test_counts_are_exact(planted):
    model, some = LockstepModel(planted, GREEDY), cases(60)
    transcripts = run_lockstep(model, ModelCritic(model), some, Plan(rounds=2))
    fresh = decoded = 0
    for transcript in transcripts:
        asked = [index for index, message in enumerate(transcript.messages) if message.role == "user"]
        calls = [(round_.usage, round_.critique and round_.critique.usage) for round_ in transcript.rounds]
        usages = [usage for pair in calls for usage in pair if usage]
        known = 0
        for index, usage in zip(asked, usages, strict=True):
            prompt = planted.encode(transcript.messages[: index + 1])
            assert usage.input == len(prompt)
            fresh += len(prompt) - known
            # All the model said but its last token has been read as well.
            known = len(prompt) + usage.output - 1
            decoded += usage.output - 1
    first = [planted.encode(transcript.messages[:1]) for transcript in transcripts]
    shared = 0
    while len({tuple(ids[: shared + 1]) for ids in first}) == 1:
        shared += 1
    fresh -= shared * (len(transcripts) - 1)
    total = sum((transcript.usage for transcript in transcripts), Usage())
    assert model.counts.fresh == fresh == total.input - total.cached
    assert model.counts.decoded == decoded
    assert fresh <= model.counts.prefilled <= 1.1 * fresh


def test_replies_wait_for_what_is_scored_so_that_all_are_decoded_together(planted, monkeypatch):
    """Conversations of which some are held to a choice ask for their next replies at once, as all others do."""
    model, replied = LockstepModel(planted, GREEDY), []
    answer = model.reply_all

    def reply_all(calls):
        replied.append(["score" if call.continuations else "reply" for call in calls])
        answer(calls)

    monkeypatch.setattr(model, "reply_all", reply_all)
    choices = planted.tokenizer.convert_ids_to_tokens([11, 12])

    async def conversation(number):
        for turn in range(3):
            shown = (Message("user", f"lantern {number} {turn}"),)
            await model.complete(shown)
            if number % 2:
                await model.score(shown, Place("", tuple(choices)))

    async def all_of_them():
        await together([partial(conversation, number) for number in range(6)])

    anyio.run(all_of_them)
    assert replied == [["reply"] * 6, ["score"] * 3] * 3


def test_a_shared_history_is_read_once(planted):
    history = tuple(
        message
        for number in "ABC"
        for message in (Message("user", f"lantern {number} " * 40), Message("assistant", f"({number})"))
    )
    model = LockstepModel(planted, GREEDY)
    transcripts = run_lockstep(model, OracleCritic(), cases(50), Plan("diverse", 1, history=history), chunk=20)
    length = len(planted.encode(history[:5])) + 1
    inputs = sum(transcript.rounds[0].usage.input for transcript in transcripts)
    assert length > 200
    assert inputs > 50 * length
    # 50 times would be 10,000: the history, and some tens of tokens of each conversation.
    assert model.counts.prefilled < length + 50 * 70


def test_no_transcript_depends_on_the_company(planted):
    settings = DecodingSettings(max_tokens=16, temperature=1.0, top_p=0.9)
    model, alone, seen = LockstepModel(planted, settings), Alone(planted, settings), []
    some, plan = cases(8), Plan(rounds=1, seed=3)
    expected = held_alone(alone, ModelCritic(alone), some, plan)
    for chunk in (1, 3, 100):
        got = run_lockstep(model, ModelCritic(model), some, plan, chunk=chunk, on_transcript=seen.append)
        assert [bare(transcript) for transcript in got] == expected
        assert seen[-8:] == got
    again = run_lockstep(model, ModelCritic(model), some[::-1], plan)
    assert [bare(transcript) for transcript in again[::-1]] == expected
    other = run_lockstep(model, ModelCritic(model), some, replace(plan, seed=4))
    assert [it.messages for it in other] != [it.messages for it in expected]


FORGETFUL = """
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' }}
{%- if message['role'] == 'assistant' and not loop.last -%}Still{%- else -%}{{ message['content'] }}{%- endif -%}
{%- if message['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""
COUNTING = FORGETFUL.replace("'|>' }}", "'|>' + 'lantern ' * loop.revindex }}", 1)
OPENING = FORGETFUL.replace("'<|assistant|>' }}", "'<|assistant|>Perhaps' }}")
REFUSING = FORGETFUL + "{% if 'Verdict' in messages[-1]['content'] %}{{ raise_exception('no checks here') }}{% endif %}"


@pytest.fixture
def rendering(tmp_path):
    """The planted model with another template."""

    def make(template):
        folder = shutil.copytree(checkpoint("planted"), tmp_path / "checkpoint")
        (folder / "chat_template.jinja").write_text(template)
        return LocalModel(str(folder), "cpu")

    return make


@pytest.mark.parametrize("template", [FORGETFUL, COUNTING, OPENING], ids=["forgetful", "counting", "opening"])
def test_a_template_that_rewrites_earlier_turns_is_followed(rendering, template):
    local, some, plan = rendering(template), cases(6), Plan(rounds=2)
    assert local.info.prefix_stable is False
    model, alone = LockstepModel(local, GREEDY), Alone(local)
    transcripts = run_lockstep(model, ModelCritic(model), some, plan)
    assert [bare(it) for it in transcripts] == held_alone(alone, ModelCritic(alone), some, plan)
    total = sum((transcript.usage for transcript in transcripts), Usage())
    assert model.counts.fresh == total.input - total.cached


def test_a_model_that_fails_ends_the_run(rendering):
    model = LockstepModel(rendering(REFUSING), GREEDY)
    with pytest.raises(jinja2.TemplateError, match="no checks here"):
        run_lockstep(model, ModelCritic(model), cases(5), Plan(rounds=1))


def test_a_conversation_that_grows_too_long_ends_alone(planted):
    long, *rest = cases(3)
    long = replace(long, item=replace(long.item, context="lantern " * 2015))
    model, alone, plan = LockstepModel(planted, GREEDY), Alone(planted), Plan(rounds=2)
    transcripts = run_lockstep(model, ModelCritic(model), [long, *rest], plan)
    assert transcripts[0].stop == "error"
    assert "reads 2048 with the reply" in transcripts[0].error
    assert [bare(it) for it in transcripts] == held_alone(alone, ModelCritic(alone), [long, *rest], plan)


class TwoAtOnce:
    """Asks twice at the same time; of one sample it also makes a call that it gives no time at all."""

    name = "two"

    def __init__(self, model):
        self.model = model

    async def examine(self, exam):
        shown = (*exam.messages, Message("user", exam.case.check(exam.round_index)))
        said = {}

        async def ask(seed):
            said[seed] = await self.model.complete(shown, seed=seed)

        if exam.case.sample == cases(1)[0].sample:
            with anyio.move_on_after(0):
                await self.model.complete(shown, seed=3)
        else:
            await anyio.sleep(0.05)
        async with anyio.create_task_group() as group:
            for seed in (1, 2):
                group.start_soon(ask, seed)
        return Critique(f"{said[1].text} {said[2].text}", "wrong", said[1].usage + said[2].usage)


def test_critics_may_ask_several_models_and_several_times(planted):
    settings = DecodingSettings(max_tokens=5, temperature=1.0)
    other, alone = LockstepModel(planted, settings), Alone(planted, settings)
    model, some, plan = LockstepModel(planted, GREEDY), cases(4), Plan(rounds=2)
    transcripts = run_lockstep(model, TwoAtOnce(other), some, plan)
    assert [bare(it) for it in transcripts] == held_alone(Alone(planted), TwoAtOnce(alone), some, plan)
    # What nobody waited for was not computed.
    usage = sum((it.critique.usage for transcript in transcripts for it in transcript.rounds[:-1]), Usage())
    assert other.counts.fresh == usage.input - usage.cached


def test_what_cannot_be_done_is_said(planted):
    model = LockstepModel(planted)
    with pytest.raises(ValueError, match=r"max_seconds is 5\.0"):
        run_lockstep(model, SilentCritic(), cases(1), Plan(max_seconds=5.0))
    with pytest.raises(ValueError, match="chunk is 0"):
        run_lockstep(model, SilentCritic(), cases(1), Plan(), chunk=0)
    with pytest.raises(RuntimeError, match="within run_lockstep"):
        anyio.run(model.complete, [Message("user", "One?")])
    assert run_lockstep(model, SilentCritic(), [], Plan()) == []


def test_the_command_runs_it_and_writes_the_same_records(tmp_path):
    command = ("eval", "planted", "--model", "secondlook/planted", "--limit", 6, "--reply-tokens", 16)
    tables = {}
    for way in ((), ("--fast",)):
        done = secondlook(*command, "--noise", 0.5, "--out", tmp_path / "".join(way), *way)
        assert done.code == 0, done.err
        assert ("lock-step" in " ".join(done.out.split())) is bool(way)
        table = pd.read_csv(tmp_path / "".join(way) / "records.csv").sort_values(["arm", "sample", "round"])
        tables[way] = table.drop(columns=[*TIMES, *CACHED]).reset_index(drop=True)
    pd.testing.assert_frame_equal(tables[()], tables["--fast",], atol=1e-5)
    done = secondlook("eval", "planted", "--model", "mockllm/model", "--limit", 1, "--fast", "--out", tmp_path / "mock")
    assert done.code == 2
    assert "mockllm/model is not a local one" in done.err
