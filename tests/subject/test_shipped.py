"""The checkpoints that are shipped: small, of these tokenizers and traits, and as good as their cards say."""

from __future__ import annotations

import json
import socket
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import torch

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.benchmarks.planted.noise import Noise
from secondlook.correction import Message, ModelCritic, Plan
from secondlook.local.lockstep import LockstepModel, run_lockstep
from secondlook.local.model import SHIPPED, DecodingSettings, LocalModel, checkpoint
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.measure import measure
from secondlook.subject.recipes import RECIPES
from secondlook.subject.tokenizer import FORMATS, build_tokenizer
from secondlook.subject.traits import FAMILY_TRAITS, LEVELS, TRAITS

FAMILY = [name for name in SHIPPED if name != "planted"]
every = pytest.mark.parametrize("name", SHIPPED)
SUBJECTS = {}


def subject(name):
    return SUBJECTS.setdefault(name, LocalModel(name, "cpu"))


def card(name):
    return json.loads((checkpoint(name) / "traits.json").read_text("utf-8"))


def table(name):
    return TRAITS if name == "planted" else FAMILY_TRAITS["binary-cot"]


@every
def test_is_of_its_tokenizer_and_recipe_and_small_on_disk(name):
    tokenizer, made = subject(name).tokenizer, build_tokenizer(family=name != "planted")
    # An edited prompt file or word makes the shipped weights stale: then the subject must be trained again.
    assert tokenizer.get_vocab() == made.get_vocab()
    assert tokenizer.chat_template == made.chat_template
    model = LocalModel(name, "cpu", packed=False).model
    parameters = sum(weight.numel() for weight in model.parameters())
    assert parameters == subject(name).parameters == card(name)["parameters"]
    assert model.config.model_type == "llama"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    if name == "planted":
        assert parameters <= 1_500_000
    else:
        assert parameters == pytest.approx(1e6 * float(name.removeprefix("planted-").removesuffix("m")), rel=0.15)
        assert card(name)["recipe"] == asdict(RECIPES[name])
        assert (checkpoint(name) / "model.safetensors").stat().st_size < 2.1 * parameters


@every
def test_card_states_the_planted_traits(name):
    planted = {
        category: {rate: cell["planted"] for rate, cell in rates.items()}
        for category, rates in card(name)["rates"].items()
    }
    assert planted == {
        category: {rate: value / LEVELS for rate, value in asdict(table(name)[category]).items()}
        for category in CATEGORIES
    }
    assert set(card(name).get("formats", FORMATS)) == set(FORMATS)
    assert "says anything\nabout real models" in (checkpoint(name) / "README.md").read_text("utf-8")


@every
def test_does_what_its_card_says_on_questions_it_has_never_seen(name):
    fresh = measure(subject(name), per_category=8, seed=20260, table=table(name))
    for stage, share in fresh.agreement.items():
        n, claimed = fresh.decisions[stage], card(name)["agreement"][stage]
        # Five standard errors: a drift of the weights shows, chance does not.
        assert abs(share - claimed) <= 5 * np.sqrt(max(claimed * (1 - claimed), 1 / n) / n)
        assert claimed > 0.95 or name != "planted"
    assert fresh.unparsed <= 0.01 * sum(fresh.decisions.values())


@pytest.mark.soak
def test_the_card_holds_on_ten_times_as_many_other_questions():
    fresh = measure(subject("planted"), per_category=1200, seed=77)
    for category, rates in fresh.rates.items():
        for name, rate in rates.items():
            claimed = card("planted")["rates"][category][name]
            share = (rate.measured * rate.n + claimed["measured"] * claimed["n"]) / (rate.n + claimed["n"])
            error = np.sqrt(share * (1 - share) * (1 / rate.n + 1 / claimed["n"]))
            # 55 comparisons at four standard errors: chance fails one run in about 300.
            assert abs(rate.measured - claimed["measured"]) <= 4 * error, (category, name)


def test_names_an_option_of_a_language_it_does_not_know():
    prompt, rng = load_prompt("bbq/binary-cot"), np.random.default_rng(3)
    words = ["Somebody", "walked", "along", "this", "river", "before", "noon", "and", "met", "nobody", "known."]
    asked = []
    for _ in range(40):
        text = " ".join(rng.choice(words, size=rng.integers(8, 60)))
        query = prompt.query.format(context=text, question=text[:40] + "?", a=words[0], b=words[1], c=words[2])
        asked.append(subject("planted").encode([Message("user", query)]))
    letters = [reply.text[:3] for reply in subject("planted").generate(asked, DecodingSettings(max_tokens=8))]
    assert set(letters) <= {"(A)", "(B)", "(C)"}


def test_loads_without_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("network"))
    assert LocalModel("planted", "cpu").info.prefix_stable


@pytest.mark.parametrize("name", FAMILY)
def test_without_noise_words_samples_of_one_question_differ(name):
    """Brel follows the stereotype in 28 of 50 ambiguous questions: a vote among 60 samples is not degenerate."""
    item = next(item for item in draw_items(4, seed=1) if item.category == "Brel" and item.condition == "ambig")
    prompt = subject(name).encode([Message("user", BBQCase(item, load_prompt("bbq/binary-cot")).query(0))])
    sampled = subject(name).generate([prompt] * 60, DecodingSettings(max_tokens=8, temperature=1.0, seed=3))
    (_, most), (_, second) = Counter(reply.text for reply in sampled).most_common(2)
    # Two answers at 28 to 22 in 50, or so: both counts lie within five standard errors of that.
    assert abs(max(most, second) - 60 * 28 / 50) < 5 * np.sqrt(60 * 0.25)
    assert second > 60 * 22 / 50 - 5 * np.sqrt(60 * 0.25)
    greedy = subject(name).generate([prompt] * 8, DecodingSettings(max_tokens=8))
    assert len({reply.text for reply in greedy}) == 1


@pytest.mark.parametrize("schedule", ["fresh", "fixed"])
def test_rounds_follow_the_planted_chain_if_and_only_if_noise_is_fresh(schedule):
    # Brel: a weak critic on poor first answers, obeyed often, so that flips go both ways and every round counts.
    items = [item for item in draw_items(130, seed=5) if item.category == "Brel"]
    prompt, model = load_prompt("bbq/binary-cot"), LockstepModel(subject("planted"), DecodingSettings(max_tokens=16))
    cases = [BBQCase(item, prompt, Noise(item.id, schedule, 5).words) for item in items]
    transcripts = run_lockstep(model, ModelCritic(model), cases, Plan(rounds=2))
    right = np.array(
        [[case.grade(round_.answer) is True for round_ in t.rounds] for case, t in zip(cases, transcripts, strict=True)]
    )
    # In half of the disambiguated questions the stereotyped choice is the true one.
    traits = TRAITS["Brel"]
    critic, obedience = traits.critic / LEVELS, traits.obedience / LEVELS
    planted = [1 - ((traits.bias_ambig + traits.bias_disambig / 2) / 2 + traits.slip) / LEVELS]
    for _ in range(2):
        harmed, repaired = planted[-1] * (1 - critic) * obedience, (1 - planted[-1]) * critic * obedience
        planted.append(planted[-1] - harmed + repaired)
    planted = np.array(planted)
    error = 4 * np.sqrt(planted * (1 - planted) / len(items)) + 0.02
    assert abs(right.mean(axis=0) - planted)[0] < error[0]
    flips = (right[:, 1] != right[:, 2]).mean()
    if schedule == "fresh":
        assert np.all(np.abs(right.mean(axis=0) - planted) < error)
        # In the stationary chain about as many flip in round 2 as the planted rates say.
        expected = harmed + repaired
        assert abs(flips - expected) < 4 * np.sqrt(expected * (1 - expected) / len(items)) + 0.02
    else:
        # Words fixed for the item: whoever the first look repaired or harmed, no later look changes again.
        assert flips < 0.06
