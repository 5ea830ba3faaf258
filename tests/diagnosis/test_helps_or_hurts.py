"""What is said, against what it has to beat, at which cost."""

import numpy as np
import pandas as pd
import pytest

from second_looks import simulate
from secondlook.diagnosis.answer import answer_line
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.finding import Finding, adjust, controls, finding_of, vote_round
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.rounds import by_round
from secondlook.diagnosis.table import check_table

HELPED = {"false_alarm": 0.05, "miss": 0.1}
HURT = {"false_alarm": 0.8, "miss": 0.9}


def find(*frames, round_=1):
    table = check_table(pd.concat(frames, ignore_index=True))
    others = controls(table)
    return finding_of(table.arms["self"], others, table.contexts, round_)


def control(name, frame, change=None, *, rounds=2):
    """A control arm with the first answers of a table; ``change`` of its samples are wrong later and become right."""
    first = frame[frame["round"] == 0]
    parts = [first.assign(arm=name, verdict=None, round=index) for index in range(rounds)]
    for part in parts[1:]:
        wrong = part.index[~part["correct"]]
        part.loc[wrong[: int((change or 0) * len(part))], "correct"] = True
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("rates", "effect"),
    [(HELPED, "helps"), (HURT, "hurts"), ({"harm": 0.5, "repair": 0.75 * 0.2 * 0.5 / 0.7 / 0.5}, "undecided")],
)
def test_the_verdict_follows_the_paired_interval(rates, effect):
    frame = simulate(600, 1, seed=1, templates=60, **rates)
    found = find(frame)
    wide = frame.pivot_table(index="sample", columns="round", values="correct", aggfunc="first").astype(int)
    template = frame.drop_duplicates("sample").set_index("sample")["template"].loc[wide.index]
    expected = paired_change(wide[0], wide[1], template)
    (first,) = found.comparisons
    assert (first.change, first.p, first.mcnemar_p) == (expected.estimate, expected.p, expected.mcnemar)
    assert found.effect == effect
    assert (first.tokens, first.tokens_against) == (600 * 210, 600 * 100)


def test_helping_takes_more_than_every_control():
    frame = simulate(800, 1, seed=2, **HELPED)
    assert find(frame, control("none", frame)).effect == "helps"
    found = find(frame, control("none", frame, 0.4), control("always-unknown", frame, rounds=1))
    assert found.effect == "undecided"
    assert "not shown to be better than asking again" in found.reason
    assert [part.against for part in found.comparisons] == ["first answer", "none", "always-unknown"]
    # Being beaten by a control is no harm: the answers are better than the first ones.
    assert found.comparisons[1].change.value < 0
    assert find(simulate(800, 1, seed=2, **HURT), control("none", frame)).effect == "hurts"
    # Without a critic, and without asking again, it is no control.
    assert len(find(frame, control("none", frame, rounds=1)).comparisons) == 1


def test_samples_are_paired_by_name_whatever_their_order():
    frame = simulate(300, 1, seed=3)
    other = control("none", frame, 0.1)
    some = other[other["sample"].isin([f"s{index}" for index in range(100)])]
    one, two = find(frame, some), find(frame, some.sample(frac=1, random_state=0))
    assert one.comparisons == two.comparisons
    assert (one.comparisons[1].n, one.comparisons[1].left_out) == (100, 200)
    more = pd.concat([some, some.assign(sample="a" + some["sample"], correct=False)])
    assert find(frame, more).comparisons == one.comparisons
    strangers = other.assign(sample=other["sample"] + "x")
    assert "share no answered sample" in find(frame, strangers).comparisons[1].note


def test_a_vote_gets_the_tokens_of_the_second_look_failed_calls_too():
    frame = simulate(200, 1, seed=4)  # 100 + 110 tokens a sample
    votes = control("vote", frame, rounds=5).assign(tokens=60)
    first = votes["sample"].eq("s0") & votes["round"].eq(0)
    votes.loc[first, "correct"] = ~votes.loc[first, "correct"]  # one answer is turned by the vote
    found = find(frame, votes).comparisons[1]
    assert (found.tokens, found.tokens_against) == (200 * 210, 200 * 180)
    assert found.note == "3 samples a question, 86% of the tokens"
    # A failed call is paid for: 200 samples × 60 more tokens buy one vote more.
    failed = frame["round"].eq(1)
    correct = frame["correct"].astype("boolean").mask(failed)
    costly = frame.assign(tokens=np.where(failed, 170, 100), status=np.where(failed, "error", "ok"), correct=correct)
    assert find(costly, votes).comparisons[1].tokens_against == 200 * 240
    same = find(frame, votes[~votes["sample"].eq("s0")]).comparisons[1]
    assert (same.change, same.note.endswith("replies are not sampled (temperature 0) or too few")) == (None, True)
    assert "no further samples" in find(frame, votes[votes["round"] < 2]).comparisons[1].note
    assert "no equal cost" in find(frame.drop(columns="tokens"), votes.drop(columns="tokens")).comparisons[1].note
    assert [vote_round(spent, np.asarray([10, 20, 30])) for spent in (5, 10, 29, 30, 99)] == [0, 0, 1, 2, 2]


def test_a_control_that_cannot_be_compared_leaves_it_undecided():
    """To help it has to beat every control in the table, and of this one nobody knows."""
    frame = simulate(800, 1, seed=2, **HELPED)
    votes = control("vote", frame, 0.1, rounds=5).assign(tokens=60)
    strangers = control("none", frame).assign(sample=lambda rows: rows["sample"] + "x")
    assert find(frame).effect == "helps"
    for found, lacks in (
        (
            find(frame.drop(columns="tokens"), votes.drop(columns="tokens")),
            "a majority vote of samples at equal token cost is not compared: without tokens there is no equal cost",
        ),
        (find(frame, strangers), "asking again without a critique is not compared: they share no answered sample"),
    ):
        assert (found.effect, found.reason) == (
            "undecided",
            f"The answers are better than the first ones, but {lacks}.",
        )
        assert found.p == find(frame).p


def test_a_control_that_never_differed_is_not_named():
    """At temperature 0 a vote is one answer repeated: nothing is better than it, and nothing has to be."""
    frame = simulate(800, 1, seed=2, **HELPED)
    repeated = control("vote", frame, rounds=5).assign(tokens=60)
    found = find(frame, control("none", frame), repeated)
    assert found.effect == "helps"
    assert found.reason == "The answers are better than the first answers and asking again without a critique."
    assert "a majority vote of samples at equal token cost (not compared: 3 samples a question" in " ".join(
        diagnose(pd.concat([frame, repeated])).cannot
    )
    # One sample of another seed is enough for a vote that could differ; two are none, since the first of equals stands.
    turned = repeated["sample"].eq("s0") & repeated["round"].eq(2)
    voted = repeated.assign(correct=repeated["correct"] ^ turned)
    assert "a majority vote" in find(frame, control("none", frame), voted).reason
    dear = voted.assign(tokens=100)
    assert "a majority vote" not in find(frame, control("none", frame), dear).reason


def test_a_look_costs_its_critique_and_the_answer_after_it():
    """By hand: 16 tokens answer, 1,000 examine, 20 answer again; a bare answer is 16 of them, a look 1,020."""
    frame = simulate(100, 1, seed=5).assign(tokens=0)
    first = frame["round"].eq(0)
    told = frame.assign(tokens=first.map({True: 1016, False: 20}), tokens_critique=first.map({True: 1000, False: 0}))
    found = diagnose(told, price=1.0)
    assert [state.tokens for state in found.rounds] == [16, 1036]
    assert [option.tokens for option in found.recommendation.options][:3] == [16, 1036, 2056]
    assert [line.tokens for line in by_round(told.assign(tokens_in=told["tokens"], tokens_out=0, seconds=0.1))] == [
        16,
        1036,
    ]
    assert (answer_line(found).bare, answer_line(found).tokens) == (16, 1036)
    untold = told.drop(columns="tokens_critique")
    with pytest.raises(
        ValueError, match="what a first look costs is not known: the table has no column tokens_critique"
    ):
        diagnose(untold, price=1.0)
    assert "the price of a look" in " ".join(diagnose(untold).cannot)
    with pytest.raises(ValueError, match="tokens_critique is 1001 in data row 1, more than the row's 1000"):
        diagnose(told.assign(tokens_critique=1001, tokens=told["tokens"].where(~first, 1000)))


@pytest.mark.parametrize(("pair", "missing"), [(("ambig", "disambig"), "disambig"), (("harmful", "benign"), "benign")])
def test_a_verdict_needs_both_contexts(pair, missing):
    frame = simulate(600, 1, seed=5, **HELPED)
    odd = frame["sample"].str[-1].isin(list("13579"))
    assert find(frame.assign(context=np.where(odd, *pair))).effect == "helps"
    found = find(frame.assign(context=pair[0]))
    assert (found.effect, found.p) == ("undecided", None)
    assert f"no {missing} questions" in found.reason
    assert found.comparisons[0].change.low > 0


def test_a_gain_that_is_a_loss_elsewhere_is_no_verdict():
    gain = simulate(600, 1, seed=7, **HELPED).assign(context="ambig")
    loss = simulate(200, 1, seed=7, **HURT).assign(context="disambig")
    loss["sample"] += "d"
    found = find(gain, loss)
    assert (found.effect, found.comparisons[0].change.low > 0) == ("undecided", True)
    assert "on disambig ones they are worse" in found.reason
    assert found.p == find(gain.drop(columns="context"), loss.drop(columns="context")).p < 0.05
    # The other way round, too: over all it hurts, and some gain.
    found = find(gain[gain["sample"].isin([f"s{index}" for index in range(80)])], loss)
    assert "the answers are worse than the first, but on ambig ones they are better" in found.reason


def test_a_group_whose_effect_is_withdrawn_was_tested_all_the_same():
    parts = []
    for group, contexts in (("withdrawn", ("ambig", "disambig")), ("plain", ("ambig",))):
        for context, rates, n in (("ambig", HELPED, 600), ("disambig", HURT, 200)):
            part = simulate(n, 1, seed=7, **rates).assign(
                context=context if context in contexts else "ambig", group=group
            )
            parts.append(part.assign(sample=part["sample"] + group + context))
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[(frame["group"] == "plain") & (frame["sample"].str[1:4].str[-1] < "5"), "context"] = "disambig"
    alone = {group: find(rows.drop(columns="context")).p for group, rows in frame.groupby("group")}
    found = {group.group: group for group in diagnose(frame).groups}
    assert found["withdrawn"].reason.startswith(
        "Over all questions the answers are better than the first, but on disambig"
    )
    # Holm by hand: the smaller of two counts twice, and the larger is no smaller than that.
    low, high = sorted(alone.values())
    adjusted = {low: 2 * low, high: max(high, 2 * low)}
    assert {name: one.p for name, one in found.items()} == {
        name: pytest.approx(adjusted[p]) for name, p in alone.items()
    }


def test_groups_are_adjusted_for_their_number():
    effects = {"helps": 0.03, "hurts": 0.001, "undecided": None}
    before = [Finding(effect, "So.", p) for effect, p in effects.items()] + [Finding("helps", "So.", 0.02)]
    after = adjust(before)
    assert [one.effect for one in after] == [one.effect for one in before]
    assert [one.p for one in after] == [pytest.approx(0.04), pytest.approx(0.003), None, pytest.approx(0.04)]
    undecided = adjust([before[0], before[0]])[0]
    assert undecided.effect == "undecided"
    assert undecided.reason == "So, but not after adjusting for the number of groups (p = 0.06)."


def test_what_cannot_be_decided_is_not():
    same = simulate(100, 1, seed=6)
    assert "no interval" in find(same.assign(template="one")).reason
    assert "no answer" in find(same.assign(status="error", correct=None, verdict=None)).reason
    assert "not asked again" in find(same[same["round"] == 0], round_=0).reason


def test_a_null_subject_is_seldom_said_to_change():
    # At break-even: right answers harmed as often as wrong ones are repaired.
    rates = {"accuracy": 0.5, "false_alarm": 0.3, "miss": 0.7, "harm": 0.5, "repair": 0.5}
    said = [find(simulate(200, 1, seed=seed, templates=50, **rates)).effect for seed in range(40)]
    assert sum(effect != "undecided" for effect in said) <= 6  # P(more) < 1% at 5%
