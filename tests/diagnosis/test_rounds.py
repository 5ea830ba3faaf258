"""Rounds and groups of one arm against tables written by hand, and a walk over the samples."""

import math
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.diagnosis.rounds import by_group, by_round

ANSWERS = {
    "right": ("ok", True),
    "wrong": ("ok", False),
    "garbled": ("unparsed", None),
    "refused": ("refused", None),
    "failed": ("error", None),
}
COLUMNS = ["sample", "template", "group", "round", "correct", "status", "verdict", "tokens_in", "tokens_out", "seconds"]


def table(**samples):
    """Each sample is a list of rounds: an answer of ``ANSWERS``, then the verdict on it, if there was one.

    Samples are named ``group_number``, each a template of its own unless its name goes on with the template's.
    """
    rows = []
    for sample, rounds in samples.items():
        group, number, *template = sample.split("_")
        for index, entry in enumerate(rounds):
            answer, _, verdict = entry.partition(" ")
            status, correct = ANSWERS[answer]
            names = (f"{group}/{number}", f"{group}/{(template or [number])[0]}", group)
            rows.append((*names, index, correct, status, verdict or None, 100 * (index + 1), 10, 0.25))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"correct": "boolean"})


def test_a_loop_that_stopped_early_keeps_its_answer_in_hand():
    records = table(
        a_satisfied=["right right"],
        a_budget=["wrong wrong", "right"],
        a_error=["right wrong", "failed"],
        a_full=["wrong right", "wrong right", "right"],
    )
    shown = [(of.samples, of.answered, round(of.accuracy.value * of.samples), of.errors) for of in by_round(records)]
    assert shown == [(4, 4, 2, 0), (4, 2, 3, 1), (4, 1, 4, 0)]
    overall = by_group(records)[-1]
    assert (overall.first.value, overall.last.value, overall.change.value) == (0.5, 1.0, 0.5)


def test_tokens_add_up_over_a_question_and_seconds_are_of_an_answer_failed_calls_included():
    first, second = by_round(table(a_1=["right", "right"], a_2=["right", "failed"], a_3=["wrong"]))
    assert (first.tokens, first.seconds) == (110.0, 0.25)
    # By hand: 110 + 210 tokens of two questions, 110 of the one that ended; two calls were waited for, for one answer.
    assert (second.tokens, second.seconds) == (250.0, 0.5)
    (lost,) = by_round(table(a_1=["failed"]))
    assert math.isnan(lost.seconds)
    assert lost.accuracy is None


def test_an_answer_that_was_rejected_is_not_in_hand_and_its_verdict_is_its_own():
    records = table(
        a_1=["wrong wrong", "right right"],
        a_2=["wrong wrong", "right right"],
        a_3=["right right", "wrong wrong"],
    ).assign(kept=[True, False, True, True, True, False])
    # By hand: a_2 alone was repaired, a_1 and a_3 keep their first answers; every verdict on a new answer is true.
    first, second = by_round(records)
    assert [first.accuracy.value, second.accuracy.value] == pytest.approx([1 / 3, 2 / 3])
    assert (second.answered, second.wrong_to_right, second.right_to_wrong) == (3, 1, 0)
    assert (second.critic.accuracy.value, second.critic.clear) == (1.0, 3)
    overall = by_group(records)[-1]
    assert (overall.last.value, overall.change.value) == pytest.approx((2 / 3, 1 / 3))
    assert diagnose(records).rounds[1].accuracy == second.accuracy


def test_the_critic_of_a_group_is_that_of_first_answers_and_may_be_silent():
    records = table(a_1=["right right", "right wrong", "right"], a_2=["wrong wrong", "right wrong", "wrong"])
    change, _ = by_group(records)
    assert (change.critic.accuracy.value, change.critic.clear) == (1.0, 2)
    critic = by_group(table(a_1=["right"], a_2=["wrong"]))[0].critic
    assert (critic.accuracy, critic.false_alarm, critic.miss, critic.clear, critic.unclear) == (None, None, None, 0, 0)


def test_groups_are_compared_within_themselves():
    helped = {f"help_{n}": ["wrong", "right"] if n < 15 else ["right", "right"] for n in range(20)}
    hurt = {f"hurt_{n}": ["right", "wrong"] if n < 15 else ["wrong", "wrong"] for n in range(20)}
    mixed = {f"mixed_{n}": ["right", "wrong"] if n % 2 else ["wrong", "right"] for n in range(20)}
    # One template, however often it is asked, proves nothing; and some stopped a round earlier.
    same = {f"same_{n}_template": ["wrong", "right"] for n in range(20)}
    records = table(**helped, **hurt, **mixed, **same, still_1=["right"], still_2=["wrong"])
    found = diagnose(records)
    changes = by_group(records, {group.group: group.finding for group in (*found.groups, found.overall)})
    assert {change.group: (change.effect, change.change.value) for change in changes} == {
        "help": ("helps", 0.75),
        "hurt": ("hurts", -0.75),
        "mixed": ("undecided", 0.0),
        "same": ("undecided", 1.0),
        "still": ("undecided", 0.0),
        "all": ("undecided", pytest.approx(20 / 82)),
    }
    assert (changes[0].first.value, changes[0].last.value) == (0.25, 1.0)


def test_who_asks_nobody_spends_nothing_and_a_server_that_does_not_tell_is_not_free():
    free = table(a_1=["right"], a_2=["wrong"]).assign(tokens_in=0, tokens_out=0)
    assert [line.tokens for line in by_round(free.assign(arm="always-unknown"))] == [0.0]
    assert math.isnan(by_round(free.assign(arm="self"))[0].tokens)
    assert diagnose(free.assign(arm="always-unknown")).rounds[0].tokens == 0.0


def test_no_records_are_no_rounds_and_several_arms_at_once_are_an_error():
    assert by_round(table()) == []
    (overall,) = by_group(table())
    assert (overall.group, overall.first, overall.change, overall.effect) == ("all", None, None, None)
    records = table(a_1=["right", "wrong"])
    for summarise in (by_round, by_group):
        with pytest.raises(ValueError, match="one run and arm at a time"):
            summarise(pd.concat([records, records]))
        with pytest.raises(ValueError, match="arms none, self; give the records of one run and arm at a time"):
            summarise(pd.concat([records.assign(arm="self"), records.assign(arm="none", sample="other")]))


verdicts = st.sampled_from(["", " right", " wrong", " unclear"])
given_answers = st.sampled_from(["right", "wrong", "garbled", "refused"])
answered = st.lists(st.tuples(given_answers, verdicts).map("".join), min_size=1, max_size=4)
talks = st.one_of(st.just(["failed"]), answered, answered.map(lambda talk: [*talk, "failed"]))
tables = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), talks), min_size=1, max_size=8).map(
    lambda rows: {f"{group}_{number}_{template}": talk for number, (group, template, talk) in enumerate(rows)}
)


def in_hand(talk, round_):
    """The last answer that did not fail, up to a round."""
    good = [entry.partition(" ")[0] for entry in talk[: round_ + 1] if entry != "failed"]
    return good[-1] if good else None


def share(of):
    """The share of true ones among (name, hit) pairs."""
    of = sorted(of)  # sums depend on the order in their last digit
    return clustered_proportion([hit for _, hit in of], [name.split("_")[0] + name.split("_")[2] for name, _ in of])


@settings(deadline=None, max_examples=40)
@given(tables)
def test_every_number_agrees_with_a_walk_over_the_samples(samples):
    summaries = by_round(table(**samples))
    assert len(summaries) == max(len(talk) for talk in samples.values())
    for index, found in enumerate(summaries):
        hands = {name: hand for name, talk in samples.items() if (hand := in_hand(talk, index))}
        entries = [(name, *talk[index].partition(" ")[::2]) for name, talk in samples.items() if index < len(talk)]
        before = {name: in_hand(samples[name], index - 1) if index else None for name in hands}
        flips = Counter((before[name] == "right", hand == "right") for name, hand in hands.items() if before[name])
        counts, states = Counter(hands.values()), Counter(answer for _, answer, _ in entries)
        assert (found.round, found.samples) == (index, len(hands))
        assert (found.unparsed, found.refused) == (counts["garbled"], counts["refused"])
        assert (found.answered, found.errors) == (len(entries) - states["failed"], states["failed"])
        assert (found.wrong_to_right, found.right_to_wrong) == (flips[False, True], flips[True, False])
        assert found.accuracy == share([(name, hand == "right") for name, hand in hands.items()])
        said = Counter(word for _, _, word in entries)
        assert (found.critic.clear, found.critic.unclear) == (said["right"] + said["wrong"], said["unclear"])
        for estimate, kinds, hit in (
            (found.critic.accuracy, ("right", "wrong"), lambda answer, word: answer == word),
            (found.critic.false_alarm, ("right",), lambda _, word: word == "wrong"),
            (found.critic.miss, ("wrong",), lambda _, word: word == "right"),
        ):
            known = [entry for entry in entries if entry[1] in kinds and entry[2] in ("right", "wrong")]
            assert estimate == share([(name, hit(answer, word)) for name, answer, word in known])


@settings(deadline=None, max_examples=40)
@given(tables)
def test_every_change_agrees_with_a_walk_over_the_samples(samples):
    changes = {change.group: change for change in by_group(table(**samples))}
    assert list(changes) == [*sorted({name[0] for name in samples}), "all"]
    for group, change in changes.items():
        talks = [talk for name, talk in samples.items() if group in (name[0], "all")]
        pairs = [(in_hand(talk, 0), in_hand(talk, len(talk))) for talk in talks if in_hand(talk, 0)]
        if not pairs:
            assert change.first is change.last is change.change is None
            continue
        first, last = (sum(pair[end] == "right" for pair in pairs) / len(pairs) for end in (0, 1))
        assert (change.first.value, change.last.value) == pytest.approx((first, last))
        assert (change.change.value, change.change.n) == (pytest.approx(last - first), len(pairs))
