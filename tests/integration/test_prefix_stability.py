"""Prompts only ever grow, token for token, under the planted subject's template; others are found out."""

import itertools
import shutil
from random import Random

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command import secondlook
from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import Noise
from secondlook.benchmarks.refusal.case import RefusalCase
from secondlook.benchmarks.refusal.invented import TRIGGERS, as_request, held_out, put
from secondlook.benchmarks.refusal.item import Request
from secondlook.correction import (
    Message,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    Plan,
    ScriptedModel,
    SilentCritic,
    rewritten_turn,
    run,
)
from secondlook.local import model as local
from secondlook.local.model import LocalModel
from secondlook.prompts.prompt import load_prompt

# Both are in the style of templates in use: reasoning is worth its tokens only while it is being acted upon.
FORGETFUL = """
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' }}
{%- if message['role'] == 'assistant' and not loop.last and '</think>' in message['content'] -%}
{{ message['content'].split('</think>')[-1] }}
{%- else -%}
{{ message['content'] }}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""
COUNTING = """
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' + loop.revindex|string + '. ' + message['content'] }}
{%- if message['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""
OPENING = """
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' + message['content'] }}
{%- if message['role'] == 'assistant' -%}{{ '<|end|>' }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|><think>' }}{%- endif -%}
"""

ITEMS = draw_items(1, seed=2)
REQUESTS = [
    as_request(behaviour, trigger, put(behaviour, trigger, Random(2)))
    for behaviour in held_out(forbidden=True, per_topic=1, seed=2)
    for trigger in TRIGGERS
]
HISTORY = tuple(
    Message(role, text)
    for role, text in (("user", "One?"), ("assistant", "(A)"), ("user", "Check."), ("assistant", "B"))
)
replies = st.one_of(
    st.sampled_from(["(A)", "(B) zorvan", "Verdict: biased", "The text says who.\nVerdict: unbiased", "Not known"]),
    st.text(min_size=1, max_size=30).filter(str.strip),
    st.text("<|>assistnduer ()ABC.", min_size=1, max_size=30).filter(str.strip),
)


@pytest.fixture(scope="module")
def planted():
    return LocalModel("planted", "cpu")


@settings(deadline=None, max_examples=80)
@given(
    item=st.sampled_from([*ITEMS, *REQUESTS]),
    prompt=st.sampled_from(["binary", "binary-cot", "numeric", "verbal"]),
    variant=st.sampled_from(["self", "diverse", "self-instruct"]),
    critic=st.sampled_from(["self", "oracle", "noisy", "none"]),
    rounds=st.integers(0, 4),
    said=st.lists(replies, min_size=9, max_size=9),
)
def test_every_later_prompt_begins_with_the_earlier_one(planted, item, prompt, variant, critic, rounds, said):
    model = ScriptedModel([(None, text) for text in said])
    critics = {
        "self": ModelCritic(model),
        "oracle": OracleCritic(),
        "noisy": NoisyCritic(0.5, OracleCritic()),
        "none": SilentCritic(),
    }
    plan = Plan(variant, rounds, history=HISTORY if variant == "diverse" else ())
    words = Noise(item.id, "fresh", 0).words
    if isinstance(item, Request):
        case = RefusalCase(item, load_prompt(f"refusal/{prompt}"), closing_words=words)
    else:
        case = BBQCase(item, load_prompt(f"bbq/{prompt}"), words)
    transcript = anyio.run(run, model, critics[critic], case, plan)

    assert transcript.stop == "rounds"
    shown = [planted.encode(call.messages) for call in model.calls]
    for earlier, later in itertools.pairwise(shown):
        assert len(later) > len(earlier)
        assert later[: len(earlier)] == earlier
    assert rewritten_turn(planted.encode, transcript.messages) is None
    assert planted.keeps_turns(transcript.messages)


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of the planted checkpoint with another template."""

    def make(template):
        folder = shutil.copytree(local.checkpoint("planted"), tmp_path / "checkpoint")
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


@pytest.mark.parametrize("template", [FORGETFUL, COUNTING, OPENING], ids=["forgetful", "counting", "opening"])
def test_a_template_that_rewrites_is_found_out(checkpoint, template):
    assert LocalModel(str(checkpoint(template)), "cpu").info.prefix_stable is False


@pytest.mark.parametrize(("template", "rewrites"), [(None, False), (FORGETFUL, True), (COUNTING, True)])
def test_the_report_says_so(checkpoint, tmp_path, template, rewrites):
    folder = checkpoint(template) if template else local.checkpoint("planted")
    command = ("eval", "planted", "--model", f"secondlook/{folder}", "--per-category", 1, "--limit", 2)
    done = secondlook(*command, "--reply-tokens", 16, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert ("rewrites earlier turns" in done.out) is rewrites
