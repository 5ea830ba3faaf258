"""The checkpoint that is shipped: small, of this tokenizer and these traits, and as good as its card says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

import anyio
import numpy as np
import pytest

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.benchmarks.planted.noise import Noise
from secondlook.correction import Completion, Message, ModelCritic, Plan, Transcript, Usage, run
from secondlook.local.model import LocalModel, Settings, checkpoint_folder
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.measure import measure
from secondlook.subject.tokenizer import build_tokenizer
from secondlook.subject.traits import LEVELS, TRAITS


@pytest.fixture(scope="module")
def subject() -> LocalModel:
    return LocalModel("planted", "cpu")


@pytest.fixture(scope="module")
def card() -> dict:
    return json.loads((checkpoint_folder("planted") / "traits.json").read_text("utf-8"))


def test_is_a_small_llama(subject, card):
    parameters = sum(weight.numel() for weight in subject.model.parameters())
    assert subject.model.config.model_type == "llama"
    assert parameters == card["parameters"] <= 1_500_000


def test_its_tokenizer_is_the_one_the_prompts_and_the_language_give(subject):
    # An edited prompt file or word makes the shipped weights stale: then the subject must be trained again.
    assert subject.tokenizer.get_vocab() == build_tokenizer().get_vocab()
    assert subject.tokenizer.chat_template == build_tokenizer().chat_template


def test_card_states_the_planted_traits(card):
    planted = {name: {rate: cell["planted"] for rate, cell in rates.items()} for name, rates in card["rates"].items()}
    assert planted == {
        name: {rate: value / LEVELS for rate, value in asdict(TRAITS[name]).items()} for name in CATEGORIES
    }
    text = (checkpoint_folder("planted") / "README.md").read_text("utf-8")
    assert "says anything\nabout real models" in text


def test_does_what_is_planted_on_questions_it_has_never_seen(subject, card):
    fresh = measure(subject, per_category=24, seed=20260)
    for stage, share in fresh.agreement.items():
        n = fresh.decisions[stage]
        claimed = card["agreement"][stage]
        # Five standard errors below the card's own figure: a drift of the weights shows, chance does not.
        assert share >= claimed - 5 * np.sqrt(max(claimed * (1 - claimed), 1 / n) / n)
        assert claimed > 0.95
    assert fresh.unparsed <= 0.01 * sum(fresh.decisions.values())


def test_names_an_option_of_a_language_it_does_not_know(subject):
    prompt = load_prompt("bbq/binary-cot")
    words = ["Somebody", "walked", "along", "this", "river", "before", "noon", "and", "met", "nobody", "known."]
    rng = np.random.default_rng(3)
    letters = []
    for _ in range(40):
        text = " ".join(rng.choice(words, size=rng.integers(8, 60)))
        query = prompt.query.format(context=text, question=text[:40] + "?", a=words[0], b=words[1], c=words[2])
        (reply,) = subject.generate([subject.encode([Message("user", query)])], Settings(max_tokens=8))
        letters.append(reply.text)
    assert all(reply[:3] in ("(A)", "(B)", "(C)") for reply in letters), letters


def test_loads_without_network():
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from secondlook.local.model import LocalModel\n"
        "print(LocalModel('planted', 'cpu').info.prefix_stable)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.strip() == "True", done.stderr


class _Subject:
    """The shipped subject as the loop's model, one conversation at a time."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.info = model.info

    async def complete(self, messages, *, prefill="", seed=None) -> Completion:
        (reply,) = self._model.generate([self._model.encode(messages)], Settings(max_tokens=16))
        return Completion(reply.text, Usage(reply.tokens_in, reply.tokens_out, calls=1))


@pytest.mark.parametrize("schedule", ["fresh", "fixed"])
def test_rounds_follow_the_planted_chain_if_and_only_if_noise_is_fresh(subject, schedule):
    # Brel: a weak critic on poor first answers, obeyed often, so that flips go both ways and every round counts.
    items = [item for item in draw_items(130, seed=5) if item.category == "Brel"]
    model, prompt, plan = _Subject(subject), load_prompt("bbq/binary-cot"), Plan(rounds=2)

    async def rounds() -> list[Transcript]:
        cases = [BBQCase(item, prompt, Noise(item.id, schedule, 5).words) for item in items]
        return [await run(model, ModelCritic(model), case, plan) for case in cases]

    transcripts = anyio.run(rounds)
    cases = [BBQCase(item, prompt) for item in items]
    right = np.array(
        [[case.grade(round_.answer) is True for round_ in t.rounds] for case, t in zip(cases, transcripts, strict=True)]
    )
    planted = np.mean([TRAITS["Brel"].expected_accuracy(context, 2) for context in ("ambig", "disambig")], axis=0)
    error = 4 * np.sqrt(planted * (1 - planted) / len(items)) + 0.02
    assert abs(right.mean(axis=0) - planted)[0] < error[0]
    flips = (right[:, 1] != right[:, 2]).mean()
    if schedule == "fresh":
        assert np.all(np.abs(right.mean(axis=0) - planted) < error)
        # In the stationary chain about as many flip in round 2 as the planted rates say.
        critic, obedience = TRAITS["Brel"].critic / LEVELS, TRAITS["Brel"].obedience / LEVELS
        expected = planted[1] * (1 - critic) * obedience + (1 - planted[1]) * critic * obedience
        assert abs(flips - expected) < 4 * np.sqrt(expected * (1 - expected) / len(items)) + 0.02
    else:
        # Words fixed for the item: whoever the first look repaired or harmed, no later look changes again.
        assert flips < 0.06
