"""The family's conversations: both languages, every format, with noise words and without."""

from collections import Counter
from dataclasses import asdict
from random import Random

import pytest
from planted_reader import PRACTICE_RATES, WORD, choice, family_rates, follow, form_of, verdict

from secondlook.subject import family
from secondlook.subject.recipes import RECIPES


@pytest.fixture(scope="module")
def drawn():
    rng = Random(6)
    return [draw(rng) for draw in (family.draw_practice, family.draw_own) for _ in range(900)]


def words_of(conversation):
    return [word for message in conversation.messages for word in message.content.split() if WORD.fullmatch(word)]


def about_a_question(conversation):
    return any("Answer with the letter" in message.content for message in conversation.messages)


def checks(conversation):
    return [form_of(message.content) for message in conversation.messages if form_of(message.content)]


def test_every_learnt_turn_about_a_question_follows_the_rules_of_its_format(drawn):
    """Conversations of the second half have the traits in their critic's format; of the first, those of practice."""
    forms = Counter()
    for index, conversation in enumerate(drawn):
        forms_here = set(checks(conversation)) or {"binary-cot"}
        foreign = any("foreign" in message.content for message in conversation.messages[::2])
        if not about_a_question(conversation) or foreign or not words_of(conversation):
            continue
        (form,) = forms_here
        expected = follow(conversation.messages, PRACTICE_RATES if index < 900 else family_rates(form))
        for turn, reply, learnt in zip(expected, conversation.messages[1::2], conversation.learnt, strict=True):
            if learnt:
                said = verdict(reply.content) if turn.kind == "critique" else choice(reply.content)
                assert said == turn.outcome
                forms[form, turn.kind] += 1
    assert min(forms[form, "critique"] for form in ("binary-cot", "binary", "verbal", "numeric")) > 100


def test_both_languages_are_spoken_with_noise_words_and_without_in_up_to_five_looks(drawn):
    kinds = Counter((about_a_question(each), bool(words_of(each))) for each in drawn[900:])
    assert min(kinds.values()) > 50
    assert len(kinds) == 4
    assert max(len(checks(conversation)) for conversation in drawn) >= 5


def test_sizes_share_everything_but_their_size():
    recipes = [asdict(recipe) for name, recipe in RECIPES.items() if name != "planted"]
    for recipe in recipes:
        del recipe["width"], recipe["layers"]
    assert recipes[0] == recipes[1] == recipes[2]
    assert recipes[0]["curriculum"] == "family"
