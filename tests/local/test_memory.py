"""Conversations are held a part at a time where all of them do not fit the memory."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from planted_cases import GREEDY, bare, cases

from secondlook.correction import ModelCritic, Plan
from secondlook.correction.chat import Message
from secondlook.local.cache import Batch, CachedPrefix
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.memory import MOST, bytes_per_token, conversations_at_once, longest
from secondlook.local.model import LocalModel


@pytest.fixture(scope="module")
def planted():
    return LocalModel("planted", "cpu")


def test_a_token_takes_what_its_tensors_take(planted):
    ids = planted.encode([Message("user", cases(1)[0].query(0))])
    with torch.inference_mode():
        batch = Batch(planted, [ids], [CachedPrefix()], len(ids))
        batch.read_prompts()
        (kept,) = batch.take([0], [ids])
    assert sum(side.nbytes for layer in kept.layers for side in layer) == len(ids) * bytes_per_token(planted)


@pytest.mark.parametrize("plan", [Plan(rounds=0), Plan(rounds=3), Plan(rounds=2, variant="self-instruct")])
def test_no_conversation_comes_to_more_than_is_reckoned_with(planted, plan):
    model, some = LockstepModel(planted, GREEDY), cases(22)
    held = [len(planted.encode(each.messages)) for each in run_lockstep(model, ModelCritic(model), some, plan)]
    reckoned = longest(planted, GREEDY.max_tokens, some, plan)
    assert max(held) <= reckoned
    assert reckoned - max(held) <= (2 * plan.rounds + 1) * GREEDY.max_tokens, "its words are the conversation's own"


def test_asked_anew_no_conversation_grows(planted):
    some = cases(4)
    assert longest(planted, 16, some, Plan(rounds=3, variant="resample")) == longest(planted, 16, some, Plan(rounds=0))


@pytest.mark.parametrize(("fit", "held"), [(0.3, 1), (1, 1), (5.9, 4), (8.1, 8), (10**9, MOST)])
def test_as_many_as_half_of_the_free_memory_holds_twice(planted, monkeypatch, fit, held):
    some, plan = cases(4), Plan(rounds=1)
    one = longest(planted, 16, some, plan) * bytes_per_token(planted)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4 * one * fit))
    assert conversations_at_once([(planted, 16)], some, plan) == held


def test_two_models_keep_each_conversation_twice(planted, monkeypatch):
    some, plan = cases(4), Plan(rounds=1)
    one = longest(planted, 16, some, plan) * bytes_per_token(planted)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4 * one * 32.1))
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
    one = longest(planted, 16, some, plan) * bytes_per_token(planted)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4 * one * 5))
    told = []
    parts = run_lockstep(model, ModelCritic(model), some, plan, on_transcript=told.append)
    assert (most, len(going)) == (4, 11)
    assert [*map(bare, parts)] == [*map(bare, whole)]
    assert [each.sample for each in told] == [each.sample for each in whole]
