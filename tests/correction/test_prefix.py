"""Prompts only ever grow, and a template that rewrites earlier turns is noticed."""

import itertools

import anyio
import pytest
from echo_case import HISTORY, EchoCase, assistant, system, user
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.correction import (
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    Plan,
    ScriptedModel,
    SilentCritic,
    ToolCritic,
    rewritten_turn,
    run,
)

TURNS = [user("query 0"), assistant("A"), user("check 0"), assistant("wrong"), user("query 1"), assistant("B")]
CONVERSATION = (system("Be brief."), *TURNS)


def plain(messages):
    return "".join(f"<{message.role}>{message.content}" for message in messages) + "<assistant>"


def words(messages):
    return [hash(word) for word in plain(messages).replace("<", " <").replace(">", "> ").split()]


def forgetful(messages):
    """Drops the words of all assistant turns but the last, as templates do with earlier reasoning."""
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    return plain([assistant("") if index in answers[:-1] else message for index, message in enumerate(messages)])


def system_last(messages):
    """Puts the system message before the last user message."""
    first, *rest = messages
    return plain([*rest[:-1], first, rest[-1]])


@pytest.mark.parametrize(
    ("render", "turn"),
    [
        (plain, None),
        (words, None),
        (forgetful, 5),
        (system_last, 3),
        (lambda messages: plain(messages) + "<think></think>", 3),  # a generation prompt that is taken back
        (lambda messages: [0] * (9 - len(messages)), 3),  # a shorter rendering
    ],
)
def test_the_first_prompt_that_no_longer_begins_with_the_one_before_is_named(render, turn):
    assert rewritten_turn(render, CONVERSATION) == turn


def test_only_prompts_are_rendered():
    seen = []
    rewritten_turn(lambda messages: seen.append(messages[-1].role) or "", CONVERSATION)
    assert seen == ["user"] * 3
    assert rewritten_turn(plain, ()) is None


texts = st.text(min_size=1, max_size=20).filter(str.strip)


@settings(deadline=None)
@given(
    variant=st.sampled_from(["self", "diverse", "self-instruct"]),
    critic=st.sampled_from(["self", "tool", "noisy", "none"]),
    stop=st.sampled_from(["fixed", "satisfied"]),
    rounds=st.integers(0, 4),
    replies=st.lists(texts, min_size=9, max_size=9),
    opening=st.none() | texts,
)
def test_every_later_message_list_begins_with_the_earlier_one(variant, critic, stop, rounds, replies, opening):
    model = ScriptedModel([(None, reply) for reply in replies])
    critics = {
        "self": ModelCritic(model),
        "tool": ToolCritic(lambda exam: replies[-1 - exam.round_index]),
        "noisy": NoisyCritic(0.5, OracleCritic()),
        "none": SilentCritic(),
    }
    plan = Plan(variant, rounds, stop, history=HISTORY if variant == "diverse" else ())
    transcript = anyio.run(run, model, critics[critic], EchoCase(system=opening), plan)
    assert transcript.stop in ("rounds", "satisfied")
    shown = [call.messages for call in model.calls] + [transcript.messages]
    for earlier, later in itertools.pairwise(shown):
        assert later[: len(earlier)] == earlier
        assert len(later) > len(earlier)
    roles = [message.role for message in transcript.messages if message.role != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert rewritten_turn(plain, transcript.messages) is None
