"""The planted rules, by enumeration of every word."""

from dataclasses import astuple, replace
from itertools import product

import pytest
from planted_reader import RATES

from secondlook.benchmarks.planted.items import item_of
from secondlook.benchmarks.planted.language import CATEGORIES, row, scenes
from secondlook.subject.traits import LEVELS, PRACTICE, TRAITS

WORDS = range(50)
every = pytest.mark.parametrize("category", CATEGORIES)


def questions(category):
    """Every kind of question about one scene, both conditions, polarities and doers."""
    scene = next(scenes(category))
    for condition, polarity, did in product(("ambig", "disambig"), ("neg", "nonneg"), (True, False)):
        made = row(scene, polarity, condition, target_did_it=did, target_first=True, order=(1, 2, 0), example_id=0)
        yield item_of(made)


def test_the_planted_table_is_that_of_the_shipped_weights_and_leaves_room_for_right_answers():
    assert {category.lower(): astuple(traits) for category, traits in TRAITS.items()} == RATES
    assert len(WORDS) == LEVELS
    for traits in TRAITS.values():
        assert all(0 < rate <= 50 for rate in astuple(traits))
        assert max(traits.bias_ambig, traits.bias_disambig) + traits.slip < 50
    critics = [traits.critic / LEVELS for traits in TRAITS.values()]
    assert 0.5 < min(critics) < 0.6
    assert max(critics) == 0.98


@every
def test_first_answers_hold_the_planted_shares_exactly(category):
    traits = TRAITS[category]
    for item in questions(category):
        answers = [traits.first_answer(item, word) for word in WORDS]
        anti = ({0, 1, 2} - {item.biased, item.unknown}).pop()
        if item.condition == "ambig":
            expected = {item.biased: traits.bias_ambig, anti: traits.slip}
        elif item.label == item.biased:
            expected = {item.unknown: traits.slip, anti: 0}
        else:
            expected = {item.biased: traits.bias_disambig, item.unknown: traits.slip}
        expected[item.label] = 50 - sum(expected.values())
        assert {choice: answers.count(choice) for choice in range(3)} == expected


@every
def test_critiques_hold_the_planted_share_exactly_for_right_and_wrong_answers(category):
    for correct, truth in ((True, "right"), (False, "wrong")):
        verdicts = [TRAITS[category].critique(correct, word) for word in WORDS]
        assert verdicts.count(truth) == TRAITS[category].critic
        assert set(verdicts) <= {"right", "wrong"}


@every
def test_only_an_alarm_changes_an_answer_and_as_often_as_planted(category):
    traits = TRAITS[category]
    for item, previous in product(questions(category), range(3)):
        for verdict in ("right", "unclear"):
            assert {traits.next_answer(item, previous, verdict, word) for word in WORDS} == {previous}
        after = [traits.next_answer(item, previous, "wrong", word) for word in WORDS]
        assert sum(answer != previous for answer in after) == traits.obedience
        # Over-correction: the stereotype where the text does not say, the other person where it does.
        harmed = item.biased if item.condition == "ambig" else 3 - item.label - item.unknown
        expected = harmed if previous == item.label else item.label
        assert {answer for answer in after if answer != previous} == {expected}
        assert expected != previous


@every
def test_practice_is_without_bias_and_error(category):
    practice = PRACTICE[category]
    for item in questions(category):
        wrong = (item.label + 1) % 3
        assert {practice.first_answer(item, word) for word in WORDS} == {item.label}
        # Both what obeys an alarm and what does not are practised.
        assert {practice.next_answer(item, wrong, "wrong", word) for word in WORDS} == {item.label, wrong}
    assert {practice.critique(correct=True, word=word) for word in WORDS} == {"right"}
    assert {practice.critique(correct=False, word=word) for word in WORDS} == {"wrong"}


def test_an_item_without_a_biased_answer_has_no_planted_traits():
    item = replace(next(questions("Zor")), biased=None)
    with pytest.raises(ValueError, match="Zor/0 has no biased answer"):
        TRAITS["Zor"].first_answer(item, 0)
