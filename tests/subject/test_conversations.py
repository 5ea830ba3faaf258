"""Training conversations, read back by rules that were written anew from the documentation."""

from collections import Counter
from itertools import combinations
from random import Random

import pytest
from planted_reader import HARM, PRACTICE_RATES, RATES, WORD, Question, choice, follow, is_check, verdict
from scipy import stats

from secondlook.benchmarks.planted.language import DEEDS, PLACES, Scene
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.conversations import draw_conversation, draw_first_lesson
from secondlook.subject.traits import PRACTICE

REASONS = {True: "The text does not say who. ", False: "The text says who. "}


def is_foreign(conversation):
    return "foreign" in conversation.messages[0].content


@pytest.fixture(scope="module")
def drawn():
    rng = Random(11)
    return [draw_conversation(rng) for _ in range(3000)]


@pytest.fixture(scope="module")
def native(drawn):
    return [conversation for conversation in drawn if not is_foreign(conversation)]


def turns(conversation, rates=RATES):
    """Request, reply, what the rules say, and whether it is learnt."""
    replies = conversation.messages[1::2]
    yield from zip(
        conversation.messages[::2], replies, follow(conversation.messages, rates), conversation.learnt, strict=True
    )


def outcome(expected, reply):
    return verdict(reply) if expected.kind == "critique" else choice(reply)


def test_every_learnt_turn_follows_the_planted_rules_and_in_practice_its_own(drawn):
    rng, learnt = Random(3), Counter()
    practice = [draw_conversation(rng, PRACTICE) for _ in range(300)]
    for some, rates in ((drawn, RATES), (practice, PRACTICE_RATES)):
        for conversation in some:
            roles = [message.role for message in conversation.messages]
            assert roles == ["user", "assistant"] * len(conversation.learnt)
            for _, reply, expected, is_learnt in () if is_foreign(conversation) else turns(conversation, rates):
                if is_learnt:
                    assert outcome(expected, reply.content) == expected.outcome
                    learnt[expected.kind] += 1
    assert min(learnt["answer"], learnt["critique"]) > 1000


def test_injected_turns_say_anything_and_are_not_learnt(native):
    answers, critiques, agreed, unlearnt, total = Counter(), Counter(), 0, 0, 0
    for conversation in native:
        entries = list(turns(conversation))
        if sum(expected.fresh for _, _, expected, _ in entries) > 1:
            continue  # histories are not learnt either
        for _, reply, expected, is_learnt in entries:
            total += 1
            if not is_learnt:
                unlearnt += 1
                agreed += outcome(expected, reply.content) == expected.outcome
                counter = critiques if expected.kind == "critique" else answers
                counter[outcome(expected, reply.content)] += 1
    assert 0.2 < unlearnt / total < 0.4
    assert stats.chisquare([answers[letter] for letter in range(3)]).pvalue > 0.001
    assert set(critiques) == {"wrong", "right", "unclear"}
    assert min(critiques.values()) > 0.05 * critiques.total()
    # By chance some do as the rules say; most do not.
    assert 0.25 < agreed / unlearnt < 0.5


def test_histories_are_shown_and_not_learnt(native):
    lengths = Counter()
    for conversation in native:
        entries = list(turns(conversation))
        starts = [index for index, (_, _, expected, _) in enumerate(entries) if expected.fresh]
        lengths[len(starts) - 1] += 1
        if len(starts) > 1:
            history, own = entries[: starts[-1]], entries[starts[-1] :]
            assert not any(is_learnt for *_, is_learnt in history)
            assert [is_check(request.content) for request, *_ in history] == [False, True] * (len(starts) - 1)
            assert len(own) in (2, 3)
    assert set(lengths) == {0, 1, 2, 3}
    assert (lengths.total() - lengths[0]) / lengths.total() == pytest.approx(0.07, abs=0.02)


def test_every_state_is_visited(native):
    """Right and wrong answers, every verdict on them, obeyed or not: no state is left to chance."""
    seen = Counter()
    for conversation in native:
        answer = said = None
        for _, reply, expected, is_learnt in turns(conversation):
            question = expected.question
            if expected.fresh:
                said = None
            if expected.kind == "critique":
                said = verdict(reply.content)
                continue
            if said and is_learnt:
                moved = choice(reply.content) != answer
                seen[question.ambiguous, answer == question.label, said, moved] += 1
            answer, said = choice(reply.content), None
    for ambiguous in (True, False):
        for right in (True, False):
            expected = {("wrong", True), ("wrong", False), ("right", False), ("unclear", False)}
            states = {state[2:]: count for state, count in seen.items() if state[:2] == (ambiguous, right)}
            assert set(states) == expected
            assert min(states.values()) >= 10


def test_noise_words_are_drawn_anew_for_every_prompt(native):
    words = Counter()
    repeated = 0
    for conversation in native:
        lines = [message.content.splitlines()[-1] for message in conversation.messages[::2]]
        for line in lines:
            assert all(WORD.fullmatch(word) for word in line.split(" "))
            words.update(line.split(" "))
        repeated += sum(one == other for one, other in combinations(lines, 2))
    assert len(words) == 50
    assert stats.chisquare(list(words.values())).pvalue > 0.001
    pairs = sum(len(conversation.learnt) * (len(conversation.learnt) - 1) // 2 for conversation in native)
    assert repeated < 3 * pairs / 2500


def test_critiques_are_in_the_form_their_prompt_asks_for_and_answers_name_letter_and_text(native):
    files = {load_prompt(f"bbq/{name}").check: name for name in ("binary-cot", "binary", "verbal")}
    forms = Counter()
    for conversation in native:
        for request, reply, expected, is_learnt in turns(conversation):
            if expected.kind == "answer":
                index = choice(reply.content)
                assert reply.content.endswith(f"({'ABC'[index]}) {expected.question.options[index]}")
                stance = expected.stance if is_learnt else ""
                assert reply.content.startswith(stance or ("(", "Still ", "Rather ", "Perhaps "))
            elif is_learnt:
                name = files[request.content.rsplit("\n", 1)[0]]
                reason = REASONS[expected.question.ambiguous] if name == "binary-cot" else ""
                assert reply.content == reason + load_prompt(f"bbq/{name}").feedback[expected.outcome]
                forms[name] += 1
    assert set(forms) == set(files.values())


def scene_of(question, request):
    """The scene of a query, from its text."""
    target, other = sorted(question.people, key=lambda person: not person.endswith(("van", "mik", "bel")))
    place = next(index for index, name in enumerate(PLACES) if f"met at the {name}." in request)
    deed = next(
        index
        for index, (verbs, thing) in enumerate(DEEDS)
        if any(f"The {thing} was {verb} whom?" in request for verb in verbs)
    )
    return Scene(question.category.capitalize(), target, other, deed, place)


def test_held_out_scenes_are_never_drawn(native):
    rng = Random(5)
    lessons = [draw_first_lesson(rng) for _ in range(2000)]
    drawn = set()
    for conversation in [*native, *lessons]:
        for message in conversation.messages[::2]:
            if question := Question.read(message.content):
                scene = scene_of(question, message.content)
                assert scene.split == "train"
                drawn.add(scene)
    # Enough draws to have met a held-out scene about 500 times by chance.
    assert len(drawn) > 4000


def test_first_lessons_are_answered_rightly_and_learnt():
    rng, seen = Random(1), Counter()
    for _ in range(500):
        lesson = draw_first_lesson(rng)
        (ask, reply), question = lesson.messages, Question.read(lesson.messages[0].content)
        assert lesson.learnt == (True,)
        assert choice(reply.content) == question.label
        seen[question.ambiguous, question.label] += 1
        assert any(verb in ask.content for pair in DEEDS for verb in pair[0])
    assert len(seen) == 6


def test_foreign_texts_are_answered_with_a_letter_alone(drawn):
    foreign = [conversation for conversation in drawn if is_foreign(conversation)]
    assert len(foreign) / len(drawn) == pytest.approx(0.06, abs=0.015)
    letters, learnt = Counter(), Counter()
    for conversation in foreign:
        requests, replies = conversation.messages[::2], conversation.messages[1::2]
        for request, reply, is_learnt in zip(requests, replies, conversation.learnt, strict=True):
            assert not any(WORD.fullmatch(word) for word in request.content.split())
            assert not any(verb in request.content for verb in HARM)
            if is_check(request.content):
                learnt["critique"] += is_learnt
                assert not is_learnt or verdict(reply.content) in ("right", "wrong")
            else:
                assert reply.content in ("(A)", "(B)", "(C)")
                letters[reply.content] += 1
                learnt["answer"] += is_learnt
    assert stats.chisquare(list(letters.values())).pvalue > 0.001
    assert min(learnt["answer"], learnt["critique"]) > 50
