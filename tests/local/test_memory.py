"""Conversations are held a part at a time where all of them do not fit the memory."""

from types import SimpleNamespace

import psutil
import pytest
from jinja2 import TemplateError
from planted_cases import GREEDY, bare, cases

from secondlook.correction import ModelCritic, Plan, SilentCritic
from secondlook.correction.chat import Message
from secondlook.gate import Gate
from secondlook.local import memory
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.memory import MOST, bytes_per_token, conversations_at_once, longest
from secondlook.local.model import LocalModel


@pytest.fixture(scope="module")
def planted():
    return LocalModel("planted", "cpu")


def free_for(conversations, model, some, plan, monkeypatch):
    """Have so much memory free that half of it holds so many conversations twice."""
    one = longest(model, 16, some, plan) * bytes_per_token(model)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4 * one * conversations))


def test_a_token_takes_what_its_keys_and_values_take(planted):
    shape = planted.model.config
    head = shape.hidden_size // shape.num_attention_heads
    assert bytes_per_token(planted) == 2 * shape.num_hidden_layers * shape.num_key_value_heads * head * 4


@pytest.mark.parametrize(
    "plan",
    [
        Plan(rounds=0),
        Plan(rounds=0, elicit="choice"),
        Plan(rounds=3),
        Plan(rounds=2, variant="self-instruct"),
        Plan(rounds=1, verify=True),
        Plan(rounds=2, variant="resample"),
        Plan(rounds=2, gate=Gate("always", keep="confirmed")),
    ],
)
def test_no_conversation_comes_to_more_than_is_reckoned_with(planted, plan, monkeypatch):
    model, some, held = LockstepModel(planted, GREEDY), cases(22), []
    reply_all = model.reply_all

    def counted(calls):
        reply_all(calls)
        for call in calls:
            turns = [planted.encode([*call.messages, Message("assistant", text)]) for text in call.continuations]
            written = 0 if call.continuations else call.outcome.usage.output
            held.append(max(map(len, turns or [planted.encode(call.messages)])) + written)

    monkeypatch.setattr(model, "reply_all", counted)
    critic = SilentCritic() if plan.verify else ModelCritic(model)
    run_lockstep(model, critic, some, plan)
    reckoned = longest(planted, GREEDY.max_tokens, some, plan)
    assert max(held) <= reckoned
    assert reckoned <= 4 * max(held), "nor to many times what comes"


def test_asked_anew_no_conversation_grows(planted):
    some = cases(4)
    assert longest(planted, 16, some, Plan(rounds=3, variant="resample")) == longest(planted, 16, some, Plan(rounds=0))


@pytest.mark.parametrize(("fit", "held"), [(0.3, 1), (1, 1), (5.9, 4), (8.1, 8), (10**9, MOST)])
def test_as_many_as_half_of_the_free_memory_holds_twice(planted, monkeypatch, fit, held):
    some, plan = cases(4), Plan(rounds=1)
    free_for(fit, planted, some, plan, monkeypatch)
    assert conversations_at_once([(planted, 16)], some, plan) == held


def test_two_models_keep_each_conversation_twice(planted, monkeypatch):
    some, plan = cases(4), Plan(rounds=1)
    free_for(32.1, planted, some, plan, monkeypatch)
    assert conversations_at_once([(planted, 16)] * 2, some, plan) == 16


def test_little_memory_changes_no_transcript(planted, monkeypatch):
    model, some, plan = LockstepModel(planted, GREEDY), cases(11), Plan(rounds=1)
    whole = run_lockstep(model, ModelCritic(model), some, plan)
    going, most = set(), 0
    reply_all = model.reply_all

    def counted(calls):
        nonlocal most
        going.update(call.conversation for call in calls)
        most = max(most, len({call.conversation for call in calls}))
        reply_all(calls)

    monkeypatch.setattr(model, "reply_all", counted)
    free_for(5, planted, some, plan, monkeypatch)
    told = []
    parts = run_lockstep(model, ModelCritic(model), some, plan, on_transcript=told.append)
    assert (most, len(going)) == (4, 11)
    assert [*map(bare, parts)] == [*map(bare, whole)]
    assert [each.sample for each in told] == [each.sample for each in whole]


def test_a_container_has_less_memory_than_its_machine(planted, monkeypatch, tmp_path):
    some, plan = cases(4), Plan(rounds=1)
    one = longest(planted, 16, some, plan) * bytes_per_token(planted)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text(f"{one}\n")
    (tmp_path / "memory.max").write_text(f"{int(one * (4 * 16.1 + 1))}\n")
    assert conversations_at_once([(planted, 16)], some, plan) == 16
    (tmp_path / "memory.max").write_text("max\n")
    assert conversations_at_once([(planted, 16)], some, plan) == MOST


def test_a_template_that_refuses_turns_without_words_is_no_hindrance():
    strict = LocalModel("planted", "cpu")
    refuse = "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty turn') }}{% endif %}{% endfor %}"
    strict.tokenizer.chat_template = refuse + strict.tokenizer.chat_template
    with pytest.raises(TemplateError, match="empty turn"):
        strict.encode([Message("user", "")])
    assert longest(strict, 16, cases(4), Plan(rounds=2)) == longest(
        LocalModel("planted", "cpu"), 16, cases(4), Plan(rounds=2)
    )
