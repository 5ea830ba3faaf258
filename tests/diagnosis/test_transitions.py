"""Flips, rates and obedience against a walk over the samples, and the identity that composes them."""

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from second_looks import STATES, simulate, walk
from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.diagnosis.table import check_table
from secondlook.diagnosis.transitions import transitions

VERDICTS = (None, "wrong", "right", "unclear")
ANSWERS = {"right": ("ok", True), "wrong": ("ok", False)}
ANSWERS |= {status: (status, None) for status in ("unparsed", "refused", "error")}
answers = st.tuples(st.sampled_from(list(ANSWERS)), st.sampled_from(VERDICTS), st.booleans())
talks = st.lists(st.lists(answers, min_size=1, max_size=4), min_size=1, max_size=12)


def frame_of(samples):
    rows = [
        (
            *(f"s{number}", f"t{number % 5}", index, *ANSWERS[answer], None if answer == "error" else verdict),
            kept or index == 0,
        )
        for number, rounds in enumerate(samples)
        for index, (answer, verdict, kept) in enumerate(rounds)
    ]
    columns = ["sample", "template", "round", "status", "correct", "verdict", "kept"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


@settings(deadline=None, max_examples=40)
@given(talks)
def test_every_count_and_rate_agrees_with_a_walk_over_the_samples(samples):
    frame = frame_of(samples)
    (arm,) = check_table(frame).arms.values()
    for step, found in enumerate(transitions(arm)):
        pairs, ended, failed = [], 0, 0
        asked = [rows for rows in walk(frame).values() if len(rows) > step + 1]
        # Where others were asked again, and none that the critic passed, those that it passed stand.
        stand = asked and not any(rows[step]["verdict"] == "right" and rows[step]["kept"] for rows in asked)
        for rows in walk(frame).values():
            if len(rows) <= step or rows[step]["state"] is None:
                continue
            if len(rows) == step + 1:
                ended += not rows[step]["failed"]
                if stand and rows[step]["verdict"] == "right" and rows[step]["kept"]:
                    pairs.append((rows[step]["state"], "right", rows[step]["state"], rows[0]["template"]))
            elif rows[step + 1]["failed"]:
                failed += 1
            else:
                # A verdict is on its own row's answer: on one that was rejected, it says nothing of the one in hand.
                said = (rows[step]["verdict"] if rows[step]["kept"] else None) or "none"
                pairs.append((rows[step]["state"], said, rows[step + 1]["state"], rows[0]["template"]))
        moves = Counter((before, after) for before, _, after, _ in pairs)
        assert found.counts == {a: {b: moves[a, b] for b in STATES} for a in STATES}
        assert (found.n, found.ended, found.failed) == (len(pairs), ended, failed)
        for state, rate in (("right", found.keep), ("wrong", found.repair)):
            mine = [pair for pair in pairs if pair[0] == state]
            assert rate == clustered_proportion([pair[2] == "right" for pair in mine], [pair[3] for pair in mine])
        told = [
            (rows[step]["own"], rows[step]["verdict"], rows[0]["template"])
            for rows in walk(frame).values()
            if len(rows) > step and rows[step]["verdict"] in ("right", "wrong")
        ]
        for rate, kinds, hit in (
            (found.critic.accuracy, ("right", "wrong"), lambda own, said: own == said),
            (found.critic.false_alarm, ("right",), lambda _, said: said == "wrong"),
            (found.critic.miss, ("wrong",), lambda _, said: said == "right"),
        ):
            known = [one for one in told if one[0] in kinds]
            assert rate == clustered_proportion([hit(*one[:2]) for one in known], [one[2] for one in known])
        for part in found.responses:
            mine = [pair for pair in pairs if pair[:2] == (part.state, part.verdict)]
            moved = sum((pair[2] == "right") == (part.state == "wrong") for pair in mine)
            assert (part.n, part.changed.value) == (len(mine), pytest.approx(moved / len(mine)))
        # The identity: CL and CS are nothing but what follows each verdict, weighted by how often it is given.
        for state, rate in (("right", found.keep), ("wrong", found.repair)):
            parts = [part.share * part.changed.value for part in found.responses if part.state == state]
            assert (rate is None) == (not parts)
            composed = 1 - sum(parts) if state == "right" else sum(parts)
            assert rate is None or composed == pytest.approx(rate.value, abs=1e-12)


def test_the_rates_of_a_known_subject_are_found():
    (arm,) = check_table(simulate(100_000, 1, seed=3)).arms.values()
    (step,) = transitions(arm)
    truth = {("right", "wrong"): 0.6, ("right", "right"): 0.0, ("wrong", "wrong"): 0.7, ("wrong", "right"): 0.0}
    for part in step.responses:
        assert part.changed.value == pytest.approx(truth[part.state, part.verdict], abs=0.01)
    assert step.keep.value == pytest.approx(1 - 0.2 * 0.6, abs=0.005)
    assert step.repair.value == pytest.approx(0.7 * 0.7, abs=0.007)
    assert step.critic.false_alarm.value == pytest.approx(0.2, abs=0.005)
    assert step.critic.miss.value == pytest.approx(0.3, abs=0.007)
    assert step.critic.accuracy.value == pytest.approx(0.6 * 0.8 + 0.4 * 0.7, abs=0.005)
    assert (step.critic.unclear.value, step.critic.examined) == (0.0, 100_000)
