import math
from collections import Counter
from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.diagnosis.records import Record, to_frame
from secondlook.diagnosis.rounds import by_group, by_round, critic_quality

ANSWERS = {
    "right": ("ok", True),
    "wrong": ("ok", False),
    "garbled": ("unparsed", None),
    "refused": ("refused", None),
    "failed": ("error", None),
}


def table(**samples):
    """Records written by hand.

    Each sample is a list of rounds: an answer of ``ANSWERS``, then the verdict on it, if there was one. Samples are
    named ``category_number``; every sample is a template of its own unless its name ends with the template's.
    """
    records = []
    for sample, rounds in samples.items():
        group, number, *template = sample.split("_")
        for index, entry in enumerate(rounds):
            answer, _, verdict = entry.partition(" ")
            status, correct = ANSWERS[answer]
            records.append(
                Record(
                    run="r",
                    arm="self",
                    critic="self",
                    variant="self",
                    noise_p=0.0,
                    sample=f"{group}/{number}",
                    template=f"{group}/{template[0] if template else number}",
                    group=group,
                    context=None,
                    round=index,
                    answer=answer,
                    correct=correct,
                    status=status,
                    verdict=verdict or None,
                    tokens_in=100 * (index + 1),
                    tokens_out=10,
                    tokens_cached=0,
                    seconds=0.25,
                    model="m",
                    revision=None,
                    prompt="p",
                    chat_template=None,
                    decoding="{}",
                )
            )
    return to_frame(records)


def line(summary):
    return (
        summary.samples,
        summary.answered,
        round(summary.accuracy.value * summary.samples),
        summary.wrong_to_right,
        summary.right_to_wrong,
        summary.unparsed,
        summary.refused,
        summary.errors,
    )


def test_flips_are_counted_between_neighbouring_rounds():
    records = table(
        a_1=["right", "wrong", "right"],
        a_2=["wrong", "right", "right"],
        a_3=["wrong", "wrong", "right"],
        a_4=["right", "right", "right"],
        a_5=["right", "right", "wrong"],
    )
    #        samples, answered, right, wrong→right, right→wrong, unparsed, refused, errors
    assert [line(summary) for summary in by_round(records)] == [
        (5, 5, 3, 0, 0, 0, 0, 0),
        (5, 5, 3, 1, 1, 0, 0, 0),
        (5, 5, 4, 2, 1, 0, 0, 0),
    ]


def test_a_loop_that_stopped_early_keeps_its_answer_in_hand():
    records = table(
        a_satisfied=["right right"],
        a_budget=["wrong wrong", "right"],
        a_error=["right wrong", "failed"],
        a_full=["wrong right", "wrong right", "right"],
    )
    assert [line(summary) for summary in by_round(records)] == [
        (4, 4, 2, 0, 0, 0, 0, 0),
        (4, 2, 3, 1, 0, 0, 0, 1),
        (4, 1, 4, 1, 0, 0, 0, 0),
    ]
    (_, overall) = by_group(records)
    assert (overall.first.value, overall.last.value, overall.change.value) == (0.5, 1.0, 0.5)


def test_a_sample_without_any_answer_is_an_error_and_in_no_share():
    records = table(a_1=["failed"], a_2=["right", "right"], a_3=["wrong", "failed"])
    first, second = by_round(records)
    assert line(first) == (2, 2, 1, 0, 0, 0, 0, 1)
    assert line(second) == (2, 1, 1, 0, 0, 0, 0, 1)
    assert by_group(records)[-1].first.n == 2


def test_what_cannot_be_read_is_not_right_and_is_counted():
    records = table(
        a_1=["right", "garbled"],
        a_2=["garbled", "right"],
        a_3=["garbled", "garbled"],
        a_4=["refused", "wrong"],
        a_5=["right", "refused"],
    )
    assert [line(summary) for summary in by_round(records)] == [
        (5, 5, 2, 0, 0, 2, 1, 0),
        (5, 5, 1, 1, 2, 2, 1, 0),
    ]


def test_tokens_and_seconds_are_per_answer_failed_calls_included():
    first, second = by_round(table(a_1=["right", "right"], a_2=["right", "failed"], a_3=["wrong"]))
    assert (first.tokens, first.seconds) == (110.0, 0.25)
    # Two calls were paid for one answer.
    assert (second.tokens, second.seconds) == (420.0, 0.5)
    (lost,) = by_round(table(a_1=["failed"]))
    assert math.isnan(lost.tokens)
    assert lost.accuracy is None


def test_a_critic_is_judged_by_hand():
    records = table(
        a_1=["right right"],
        a_2=["right wrong"],
        a_3=["right wrong"],
        a_4=["right unclear"],
        a_5=["wrong wrong"],
        a_6=["wrong right"],
        a_7=["wrong wrong"],
        a_8=["wrong wrong"],
        a_9=["wrong"],
        a_10=["garbled wrong"],
        a_11=["garbled unclear"],
    )
    critic = critic_quality(records)
    assert (critic.accuracy.value, critic.accuracy.n) == (pytest.approx(4 / 7), 7)
    assert (critic.false_alarm.value, critic.false_alarm.n) == (pytest.approx(2 / 3), 3)
    assert (critic.miss.value, critic.miss.n) == (pytest.approx(1 / 4), 4)
    assert (critic.clear, critic.unclear) == (8, 2)
    assert by_round(records)[0].critic == critic
    assert by_group(records)[0].critic == critic


def test_a_silent_critic_has_no_quality():
    critic = critic_quality(table(a_1=["right"], a_2=["wrong"]))
    assert (critic.accuracy, critic.false_alarm, critic.miss, critic.clear, critic.unclear) == (None, None, None, 0, 0)


def test_the_critic_of_a_group_is_that_of_first_answers():
    change, _ = by_group(
        table(a_1=["right right", "right wrong", "right"], a_2=["wrong wrong", "right wrong", "wrong"])
    )
    assert (change.critic.accuracy.value, change.critic.clear) == (1.0, 2)


def test_groups_are_compared_within_themselves():
    helped = {f"help_{n}": ["wrong", "right"] if n < 15 else ["right", "right"] for n in range(20)}
    hurt = {f"hurt_{n}": ["right", "wrong"] if n < 15 else ["wrong", "wrong"] for n in range(20)}
    mixed = {f"mixed_{n}": ["right", "wrong"] if n % 2 else ["wrong", "right"] for n in range(20)}
    # Stopped a round earlier than the other groups: last answers are those in hand.
    changes = by_group(table(**helped, **hurt, **mixed, still_1=["right"], still_2=["wrong"]))
    assert [(change.group, change.effect) for change in changes] == [
        ("help", "helps"),
        ("hurt", "hurts"),
        ("mixed", "undecided"),
        ("still", "undecided"),
        ("all", "undecided"),
    ]
    assert [change.change.value for change in changes] == [0.75, -0.75, 0.0, 0.0, 0.0]
    assert (changes[0].first.value, changes[0].last.value) == (0.25, 1.0)


def test_a_group_in_which_everything_was_repaired_is_helped():
    everything = {f"a_{n}": ["wrong", "right"] for n in range(20)}
    assert [change.effect for change in by_group(table(**everything))] == ["helps", "helps"]
    # One template, however often it is asked, proves nothing.
    same = {f"a_{n}_template": ["wrong", "right"] for n in range(20)}
    assert [change.effect for change in by_group(table(**same))] == ["undecided", "undecided"]


def test_answers_to_one_template_are_not_independent():
    rounds = [["wrong", "right"]] * 4 + [["right", "wrong"]]
    alone = {f"a_{n}": rounds[n % 5] for n in range(50)}
    templates = {f"a_{n}_{n % 5}": rounds[n % 5] for n in range(50)}
    apart, together = (by_group(table(**samples))[-1].change for samples in (alone, templates))
    assert apart.value == together.value
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_no_records_are_no_rounds():
    empty = table()
    assert by_round(empty) == []
    (overall,) = by_group(empty)
    assert (overall.group, overall.first, overall.change, overall.effect) == ("all", None, None, "undecided")


def test_several_arms_at_once_are_an_error():
    records = table(a_1=["right", "wrong"])
    both = to_frame(Record(**{**row, "arm": arm}) for row in records.to_dict("records") for arm in ("self", "none"))
    for summarise in (by_round, by_group):
        with pytest.raises(ValueError, match="one run and arm at a time"):
            summarise(both)


given_answers = ("right", "wrong", "garbled", "refused")
verdicts = st.sampled_from(["", " right", " wrong", " unclear"])
answered = st.lists(st.tuples(st.sampled_from(given_answers), verdicts).map("".join), min_size=1, max_size=4)
ended = st.sampled_from([[], ["failed"]])
talks = st.one_of(st.just(["failed"]), st.tuples(answered, ended).map(lambda parts: parts[0] + parts[1]))
tables = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), talks), min_size=1, max_size=8).map(
    lambda rows: {f"{group}_{number}_{template}": talk for number, (group, template, talk) in enumerate(rows)}
)


@settings(deadline=None, max_examples=40)
@given(tables)
def test_a_change_of_accuracy_is_its_flips(samples):
    summaries = by_round(table(**samples))
    for before, now in pairwise(summaries):
        if now.accuracy is None:
            continue
        assert now.samples == before.samples
        flips = (now.wrong_to_right - now.right_to_wrong) / now.samples
        assert now.accuracy.value - before.accuracy.value == pytest.approx(flips)


def in_hand(talk, round_):
    """The last answer that did not fail, up to a round."""
    good = [entry.partition(" ")[0] for entry in talk[: round_ + 1] if entry != "failed"]
    return good[-1] if good else None


@settings(deadline=None, max_examples=40)
@given(tables)
def test_every_number_agrees_with_a_walk_over_the_samples(samples):
    summaries = by_round(table(**samples))
    assert len(summaries) == max(len(talk) for talk in samples.values())
    for index, summary in enumerate(summaries):
        hands = {name: hand for name, talk in samples.items() if (hand := in_hand(talk, index))}
        entries = [(name, *talk[index].partition(" ")[::2]) for name, talk in samples.items() if index < len(talk)]
        flips = Counter(
            (in_hand(talk, index - 1) == "right", in_hand(talk, index) == "right")
            for talk in samples.values()
            if index and in_hand(talk, index)
        )
        counts = Counter(hands.values())
        states = Counter(answer for _, answer, _ in entries)
        assert summary.round == index
        assert (summary.samples, summary.unparsed, summary.refused) == (
            len(hands),
            counts["garbled"],
            counts["refused"],
        )
        assert (summary.answered, summary.errors) == (len(entries) - states["failed"], states["failed"])
        assert (summary.wrong_to_right, summary.right_to_wrong) == (flips[False, True], flips[True, False])
        share = clustered_proportion(
            [hand == "right" for hand in hands.values()],
            [template(name) for name in hands],
        )
        assert alike(summary.accuracy, share)
        check_critic(summary.critic, entries)


def check_critic(critic, entries):
    judged = [(name, answer, said) for name, answer, said in entries if said in ("right", "wrong")]
    known = [(name, answer, said) for name, answer, said in judged if answer in ("right", "wrong")]
    for estimate, rows, hit in (
        (critic.accuracy, known, lambda answer, said: answer == said),
        (critic.false_alarm, [row for row in known if row[1] == "right"], lambda _, said: said == "wrong"),
        (critic.miss, [row for row in known if row[1] == "wrong"], lambda _, said: said == "right"),
    ):
        expected = clustered_proportion(
            [hit(answer, said) for _, answer, said in rows], [template(name) for name, _, _ in rows]
        )
        assert alike(estimate, expected)
    assert critic.clear == len(judged)
    assert critic.unclear == sum(said == "unclear" for _, _, said in entries)


def alike(one, other):
    """Equal up to the rounding of sums, which depends on the order of the samples."""
    if one is None or other is None:
        return one is other
    return asdict(one) == pytest.approx(asdict(other), rel=1e-12, abs=1e-12)


def template(sample):
    group, _, number = sample.split("_")
    return f"{group}/{number}"


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
        assert change.first.value == pytest.approx(first)
        assert change.last.value == pytest.approx(last)
        assert change.change.value == pytest.approx(last - first)
        assert change.change.n == len(pairs)
        if change.effect == "undecided":
            assert change.change.low is None or change.change.low <= 0 <= change.change.high
        else:
            assert (change.effect == "helps") == (change.change.value > 0)
