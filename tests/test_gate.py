"""A gate decides one answer, and many at once, alike."""

import math

import numpy as np
import pytest

from secondlook.gate import ALWAYS, NEVER, UNSATISFIED, Gate, Seen

GATES = (
    NEVER,
    ALWAYS,
    UNSATISFIED,
    Gate("alarm"),
    Gate("p_wrong", 0.5),
    Gate("p_answer", 0.5),
    Gate("agreement", 0.5, 3),
)


@pytest.mark.parametrize(
    ("gate", "looked_at"),
    [
        (NEVER, ()),
        (ALWAYS, (0, 1, 2, 3)),
        (UNSATISFIED, (0, 2, 3)),
        (Gate("alarm"), (0,)),
        (Gate("p_wrong", 0.5), (0,)),
        (Gate("p_answer", 0.5), (1,)),
        (Gate("agreement", 0.5, 3), (2,)),
    ],
    ids=lambda each: each.when if isinstance(each, Gate) else "",
)
def test_each_gate_looks_where_its_signal_says(gate, looked_at):
    seen = [
        Seen("wrong", 0.9, 0.5, 0.5),
        Seen("right", 0.5, 0.4, 1.0),
        Seen("unclear", math.nan, math.nan, 1 / 3),
        Seen(None),  # nothing is known: no reason by a number, and no satisfied critic
    ]
    assert [place for place, one in enumerate(seen) if gate.looks(one)] == list(looked_at)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.when)
def test_a_table_is_decided_as_its_answers_are_one_by_one(gate):
    rng = np.random.default_rng(0)
    n = 500
    verdict = np.asarray([None, "wrong", "right", "unclear"], dtype=object)[rng.integers(0, 4, n)]
    numbers = [np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 11, n) / 10) for _ in range(3)]
    together = np.broadcast_to(gate.looks(Seen(verdict, *numbers)), n)
    alone = [gate.looks(Seen(*one)) for one in zip(verdict, *numbers, strict=True)]
    assert together.tolist() == [bool(one) for one in alone]


def test_what_is_kept():
    preferred, verdicts = [True, False, None], ["right", "wrong", "unclear", None]
    for keep, by_judge, by_critic in (
        ("new", [True] * 3, [True] * 4),
        ("preferred", [True, False, False], None),
        ("confirmed", None, [True, False, False, False]),
    ):
        gate = Gate("always", keep=keep)
        if by_judge is not None:
            assert [bool(gate.keeps(preferred=one)) for one in preferred] == by_judge
        if by_critic is not None:
            assert [bool(gate.keeps(verdict=one)) for one in verdicts] == by_critic
            together = gate.keeps(verdict=np.asarray(verdicts, dtype=object))
            assert np.broadcast_to(together, 4).tolist() == by_critic


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"when": "sometimes"}, "when is 'sometimes'; choose one of never, always"),
        ({"when": "always", "keep": "both"}, "keep is 'both'; choose one of new, preferred, confirmed"),
        ({"when": "p_wrong"}, "by p_wrong with threshold None; p_wrong, p_answer, agreement have one"),
        ({"when": "alarm", "threshold": 0.5}, "by alarm with threshold 0.5"),
        ({"when": "p_wrong", "threshold": 1.5}, "threshold is 1.5; it is a share"),
        ({"when": "agreement", "threshold": 0.5}, "with None samples; agreement is of 1 or more"),
        ({"when": "p_wrong", "threshold": 0.5, "samples": 2}, "by p_wrong with 2 samples"),
    ],
)
def test_what_does_not_go_together_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Gate(**fields)
