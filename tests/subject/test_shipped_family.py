"""The family's shipped checkpoints: of one recipe, as good as their cards say, and given to chance without noise."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import torch

from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.language import CATEGORIES
from secondlook.correction.chat import Message
from secondlook.local.model import SHIPPED, LocalModel, Settings, checkpoint_folder
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.measure import measure
from secondlook.subject.recipes import RECIPES
from secondlook.subject.tokenizer import FORMATS, build_tokenizer
from secondlook.subject.traits import FAMILY_TRAITS, LEVELS

FAMILY = [name for name in SHIPPED if name != "planted"]


@pytest.fixture(scope="module", params=FAMILY)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def subject(name):
    return LocalModel(name, "cpu")


@pytest.fixture(scope="module")
def card(name):
    return json.loads((checkpoint_folder(name) / "traits.json").read_text("utf-8"))


def test_is_of_the_familys_recipe_and_tokenizer_and_small_on_disk(name, subject, card):
    assert card["recipe"] == asdict(RECIPES[name])
    assert card["parameters"] == sum(weight.numel() for weight in subject.model.parameters())
    tokenizer = build_tokenizer(family=True)
    # An edited prompt file or word makes the shipped weights stale: then the family must be trained again.
    assert subject.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert subject.tokenizer.chat_template == tokenizer.chat_template
    assert (checkpoint_folder(name) / "model.safetensors").stat().st_size < 2.1 * card["parameters"]
    assert {weight.dtype for weight in subject.model.parameters()} == {torch.float32}


def test_card_states_the_planted_traits(card):
    planted = {name: {rate: cell["planted"] for rate, cell in rates.items()} for name, rates in card["rates"].items()}
    assert planted == {
        name: {rate: value / LEVELS for rate, value in asdict(FAMILY_TRAITS["binary-cot"][name]).items()}
        for name in CATEGORIES
    }
    assert set(card["formats"]) == set(FORMATS)


def test_does_what_its_card_says_on_other_questions(subject, card):
    fresh = measure(subject, per_category=8, seed=20261, table=FAMILY_TRAITS["binary-cot"])
    for stage, share in fresh.agreement.items():
        n, claimed = fresh.decisions[stage], card["agreement"][stage]
        # Five standard errors: a drift of the weights shows, chance does not.
        assert abs(share - claimed) <= 5 * np.sqrt(max(claimed * (1 - claimed), 1 / n) / n)


def test_without_noise_words_samples_of_one_question_differ(subject):
    """Brel follows the stereotype in 28 of 50 ambiguous questions: a sample of 60 shows both answers."""
    item = next(item for item in draw_items(4, seed=1) if item.category == "Brel" and item.condition == "ambig")
    prompt = subject.encode([Message("user", BBQCase(item, load_prompt("bbq/binary-cot")).query(0))])
    replies = Counter(
        reply.text for reply in subject.generate([prompt] * 60, Settings(max_tokens=8, temperature=1.0, seed=3))
    )
    common = replies.most_common(2)
    assert common[1][1] >= 8  # a vote among samples is not degenerate
    assert common[1][1] > 8
    assert len({reply.text for reply in subject.generate([prompt] * 8, Settings(max_tokens=8))}) == 1
