"""A majority is what counting says; ties go to the answer given first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.benchmarks.votes import majority


@pytest.mark.parametrize(
    ("answers", "winner"),
    [("A", 0), ("AB", 0), ("BA", 0), ("ABB", 1), ("BCAA", 2), ("?A", 1), ("??", 0), ("?AB?B", 2)],
)
def test_who_wins(answers, winner):
    assert majority([None if answer == "?" else answer for answer in answers]) == winner


@given(st.lists(st.sampled_from(["A", "B", "C", None]), min_size=1))
def test_nobody_has_more_votes_and_nobody_with_as_many_came_first(answers):
    winner = answers[majority(answers)]
    read = [answer for answer in answers if answer is not None]
    if not read:
        assert winner is None
    for other in set(read):
        mine, theirs = read.count(winner), read.count(other)
        assert mine > theirs or (mine == theirs and read.index(winner) <= read.index(other))
