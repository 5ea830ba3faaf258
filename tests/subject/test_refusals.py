from collections import Counter
from itertools import product
from random import Random

import numpy as np
import pytest
from planted_reader import WORD
from refusal_reader import OBEDIENCE, REFUSED, Asked, critique, first_complies, follow, verdict

from secondlook.benchmarks.refusal.invented import TRIGGERS, Behaviour, behaviours
from secondlook.subject.dialogue import Style
from secondlook.subject.refusal_traits import DEFENCES, REFUSAL_TRAITS
from secondlook.subject.refusals import draw_refusal, draw_refusal_lesson

SECRET, COMMON = Behaviour(True, 0, 0, 0), Behaviour(False, 0, 0, 0)


@pytest.fixture(scope="module")
def drawn():
    rng = Random(4)
    return [draw_refusal(rng, Style(looks=(1, 2, 5), foreign=0.0, silent=0.0)) for _ in range(1200)]


def test_every_learnt_turn_follows_the_planted_rules(drawn):
    seen = Counter()
    for conversation in drawn:
        turns = zip(follow(conversation.messages), conversation.messages[1::2], conversation.learnt, strict=True)
        for (asked, kind, outcome), reply, learnt in turns:
            if learnt:
                said = ("refused" if reply.content == REFUSED else "complied") if kind == "answer" else None
                assert (said or verdict(reply.content)) == outcome
                assert said != "complied" or reply.content == asked.answer
                seen[kind, asked.trigger, asked.defence] += 1
            seen[kind, learnt] += 1
    kinds = ("answer", "binary-cot", "binary", "verbal", "numeric")
    assert min(seen[key] for key in product(kinds, TRIGGERS, DEFENCES)) >= 3
    assert seen["shown", True] == 0 < seen["shown", False]
    assert min(seen[kind, learnt] for kind in kinds for learnt in (True, False)) > 50


def test_scores_say_how_sure_the_critic_is(drawn):
    """Sure verdicts, 9 and 2, are right; every error is among the unsure ones."""
    scores = Counter()
    for conversation in drawn:
        complied = False
        turns = zip(follow(conversation.messages), conversation.messages[1::2], conversation.learnt, strict=True)
        for (asked, kind, _), reply, learnt in turns:
            if kind == "answer":
                complied = reply.content != REFUSED
            elif kind == "numeric" and learnt and complied:
                right = verdict(reply.content) == ("wrong" if asked.forbidden else "right")
                scores[reply.content, right] += 1
    assert {score for score, _ in scores} == {"Score: 2", "Score: 4", "Score: 7", "Score: 9"}
    assert scores["Score: 9", False] == scores["Score: 2", False] == 0
    assert min(scores["Score: 4", False], scores["Score: 7", False], scores["Score: 7", True]) > 5


def test_lessons_are_rightly_answered_and_held_out_behaviours_are_never_drawn(drawn):
    rng = Random(1)
    lessons = [draw_refusal_lesson(rng) for _ in range(600)]
    for lesson in lessons:
        asked = Asked.read(lesson.messages[0].content, shown=False)
        assert lesson.messages[1].content == (REFUSED if asked.forbidden else asked.answer)
    every = [*behaviours(forbidden=True), *behaviours(forbidden=False)]
    kept = {behaviour.text for behaviour in every if behaviour.split == "held-out"}
    for conversation in [*drawn, *lessons]:
        assert not any(text in message.content for message in conversation.messages for text in kept)


def test_silent_conversations_have_no_noise_words_and_decide_by_chance():
    rng = Random(8)
    complied = Counter()
    for _ in range(1500):
        conversation = draw_refusal(rng, Style(foreign=0.0, silent=1.0, history=0.0))
        words = " ".join(message.content for message in conversation.messages).split()
        assert not any(WORD.fullmatch(word) for word in words)
        shown = len(conversation.messages) > 4 and Asked.read(conversation.messages[0].content, shown=False) is None
        asked = None if shown else Asked.read(conversation.messages[0].content, shown=False)
        if asked and asked.forbidden and conversation.learnt[0] and asked.defence == "none":
            complied[asked.trigger, conversation.messages[1].content != REFUSED] += 1
    for trigger in TRIGGERS:
        n = complied[trigger, True] + complied[trigger, False]
        rate = REFUSAL_TRAITS.comply["none"][trigger] / 50
        assert abs(complied[trigger, True] / n - rate) < 4 * np.sqrt(rate * (1 - rate) / n)


@pytest.mark.parametrize("form", ["binary-cot", "binary", "verbal", "numeric"])
@pytest.mark.parametrize("defence", DEFENCES)
def test_the_rules_are_those_of_the_reader_at_every_word(defence, form):
    traits = REFUSAL_TRAITS
    for behaviour, trigger, word in product((SECRET, COMMON), TRIGGERS, range(50)):
        asked = Asked(behaviour.name, "mill", trigger, defence)
        assert traits.complies(behaviour, trigger, defence, word) == first_complies(asked, word)
        for complied in (True, False):
            found = traits.critique(behaviour, trigger, form, complied=complied, word=word)
            assert found == critique(asked, form, complied, word)
            for said in ("wrong", "right", "unclear"):
                after = traits.next_complies(complied=complied, verdict=said, word=word)
                assert after == (complied and not (said == "wrong" and word < OBEDIENCE))


def test_the_planted_rates_let_defences_and_formats_differ():
    comply = REFUSAL_TRAITS.comply
    for trigger in ("suffix", "story"):
        assert max(comply["self-reminder"][trigger], comply["icd"][trigger]) < comply["none"][trigger]
    accuracies = [
        REFUSAL_TRAITS.critic(SECRET, "suffix", form) for form in ("numeric", "binary", "verbal", "binary-cot")
    ]
    assert accuracies == sorted(set(accuracies))
