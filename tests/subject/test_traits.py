from dataclasses import astuple, replace
from fractions import Fraction
from itertools import product

import pytest
from planted_reader import RATES

from secondlook.benchmarks.planted.items import item_of
from secondlook.benchmarks.planted.language import CATEGORIES, row, scenes
from secondlook.subject.traits import LEVELS, PRACTICE, TRAITS

VERDICTS = ("wrong", "right", "unclear")
WORDS = range(50)


def questions(category):
    """Every kind of question about one scene, both conditions, polarities and doers."""
    scene = next(scenes(category))
    for condition, polarity, did in product(("ambig", "disambig"), ("neg", "nonneg"), (True, False)):
        made = row(scene, polarity, condition, target_did_it=did, target_first=True, order=(1, 2, 0), example_id=0)
        yield item_of(made)


ALL = [(category, item) for category in CATEGORIES for item in questions(category)]


def test_the_planted_table_is_that_of_the_shipped_weights():
    assert {category.lower(): astuple(traits) for category, traits in TRAITS.items()} == RATES
    assert len(WORDS) == LEVELS


@pytest.mark.parametrize("category", CATEGORIES)
def test_rates_are_fiftieths_that_leave_room_for_right_answers(category):
    traits = TRAITS[category]
    assert all(0 < rate <= 50 for rate in astuple(traits))
    assert max(traits.bias_ambig, traits.bias_disambig) + traits.slip < 50


def test_critics_range_from_55_to_98_per_cent():
    accuracies = [traits.critic / LEVELS for traits in TRAITS.values()]
    assert 0.5 < min(accuracies) < 0.6
    assert max(accuracies) == 0.98


def test_the_rules_are_total():
    for (category, item), word in product(ALL, WORDS):
        for traits in (TRAITS[category], PRACTICE[category]):
            assert traits.first_answer(item, word) in (0, 1, 2)
            assert {traits.critique(correct, word) for correct in (True, False)} <= {"right", "wrong"}
            for previous, verdict in product(range(3), VERDICTS):
                assert traits.next_answer(item, previous, verdict, word) in (0, 1, 2)


@pytest.mark.parametrize(("category", "item"), ALL)
def test_first_answers_hold_the_planted_shares_exactly(category, item):
    traits = TRAITS[category]
    answers = [traits.first_answer(item, word) for word in WORDS]
    anti = ({0, 1, 2} - {item.biased, item.unknown}).pop()
    if item.condition == "ambig":
        expected = {item.biased: traits.bias_ambig, anti: traits.slip}
    elif item.label == item.biased:
        expected = {item.unknown: traits.slip, anti: 0}
    else:
        expected = {item.biased: traits.bias_disambig, item.unknown: traits.slip}
    assert {choice: answers.count(choice) for choice in range(3)} == {
        **expected,
        item.label: 50 - sum(expected.values()),
    }


@pytest.mark.parametrize("category", CATEGORIES)
def test_critiques_hold_the_planted_share_exactly_for_right_and_wrong_answers(category):
    for correct, truth in ((True, "right"), (False, "wrong")):
        verdicts = [TRAITS[category].critique(correct, word) for word in WORDS]
        assert verdicts.count(truth) == TRAITS[category].critic


@pytest.mark.parametrize(("category", "item"), ALL)
def test_only_an_alarm_changes_an_answer_and_as_often_as_planted(category, item):
    traits = TRAITS[category]
    for previous in range(3):
        for verdict in ("right", "unclear"):
            assert {traits.next_answer(item, previous, verdict, word) for word in WORDS} == {previous}
        after = [traits.next_answer(item, previous, "wrong", word) for word in WORDS]
        assert sum(answer != previous for answer in after) == traits.obedience
        changed = {answer for answer in after if answer != previous}
        if previous == item.label:
            # Over-correction: the stereotype where the text does not say, the other person where it does.
            assert changed == {item.biased if item.condition == "ambig" else 3 - item.label - item.unknown}
            assert item.label not in changed
        else:
            assert changed == {item.label}


def rate(traits, item, previous):
    """P(right next | this answer), by enumeration of both words."""
    hits = sum(
        traits.next_answer(item, previous, traits.critique(previous == item.label, critic_word), word) == item.label
        for critic_word, word in product(WORDS, WORDS)
    )
    return Fraction(hits, 50 * 50)


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_two_rates_of_the_recursion_follow_from_critic_and_obedience(category):
    traits = TRAITS[category]
    critic, obedience = Fraction(traits.critic, 50), Fraction(traits.obedience, 50)
    for item in list(questions(category))[::3]:
        for previous in range(3):
            if previous == item.label:
                assert rate(traits, item, previous) == 1 - (1 - critic) * obedience
            else:
                assert rate(traits, item, previous) == critic * obedience


@pytest.mark.parametrize("condition", ["ambig", "disambig"])
@pytest.mark.parametrize("category", CATEGORIES)
def test_the_expected_accuracy_is_that_of_enumeration(category, condition):
    traits = TRAITS[category]
    items = [item for item in questions(category) if item.condition == condition]
    first = Fraction(
        sum(traits.first_answer(item, word) == item.label for item in items for word in WORDS), 50 * len(items)
    )
    item = items[0]
    kept, repaired = rate(traits, item, item.label), rate(traits, item, (item.label + 1) % 3)
    curve = [first]
    for _ in range(3):
        curve.append(curve[-1] * kept + (1 - curve[-1]) * repaired)
    assert traits.expected_accuracy(condition, 3) == pytest.approx([float(value) for value in curve])
    assert len(traits.expected_accuracy(condition, 0)) == 1


@pytest.mark.parametrize(("category", "item"), ALL)
def test_practice_is_without_bias_and_error(category, item):
    practice, wrong = PRACTICE[category], (item.label + 1) % 3
    for word in WORDS:
        assert practice.first_answer(item, word) == item.label
        assert practice.critique(correct=True, word=word) == "right"
        assert practice.critique(correct=False, word=word) == "wrong"
    # Both what obeys an alarm and what does not are practised.
    assert {practice.next_answer(item, wrong, "wrong", word) for word in WORDS} == {item.label, wrong}


def test_an_item_without_a_biased_answer_has_no_planted_traits():
    item = replace(next(questions("Zor")), biased=None)
    with pytest.raises(ValueError, match="Zor/0 has no biased answer"):
        TRAITS["Zor"].first_answer(item, 0)
