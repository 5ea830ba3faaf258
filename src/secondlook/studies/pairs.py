"""Two answers to the same questions, from two arms or two rounds, paired by sample."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from secondlook.diagnosis.finding import vote_round
from secondlook.diagnosis.intervals import Estimate as Clustered
from secondlook.diagnosis.intervals import clustered_proportion
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.table import Arm, check_table
from secondlook.evidence.outcome import ClaimEstimate


def arms_of(records: pd.DataFrame) -> dict[str, Arm]:
    """The arms of records, by name; samples have the same numbers in all of them."""
    return dict(check_table(records).arms)


def labelled(records: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The records of one arm under another name, so that several evaluations can stand in one table."""
    return records.assign(arm=arm)


def change(before: Arm, after: Arm, first: int = 0, last: int | None = None, group: int | None = None) -> ClaimEstimate:
    """Accuracy of one arm's round less that of another's, over the samples both have.

    Args:
        before: The arm compared with.
        after: The arm.
        first: Round of ``before``.
        last: Round of ``after``; its last by default.
        group: Number of a group, to look at it alone.
    """
    last = after.rounds - 1 if last is None else last
    shared = np.intersect1d(before.sample, after.sample)
    # `searchsorted` needs `arm.sample` in order, and `check_table` makes it so.
    one, other = (arm.take(np.searchsorted(arm.sample, shared)) for arm in (before, after))
    if group is not None:
        one, other = one.take(one.group == group), other.take(other.group == group)
    return estimate(paired_change(one.right[:, first], other.right[:, last], one.cluster).estimate)


def accuracy(arm: Arm, round_: int) -> ClaimEstimate:
    """Share of right answers in hand after a round."""
    return estimate(clustered_proportion(arm.right[:, round_], arm.cluster))


def paid(vote: Arm, own: Arm, looks: int | None = None) -> int:
    """The round of a vote that costs as many tokens as another arm's first answers and so many looks (default: all)."""
    assert own.tokens is not None
    assert vote.tokens is not None
    spent = own.tokens if looks is None else own.tokens[:, : looks + 1]
    return vote_round(float(spent.sum()), np.cumsum(vote.tokens.sum(axis=0)))


def estimate(found: Clustered | None) -> ClaimEstimate:
    """A clustered estimate as a claim's number; nan where there is none, so that nothing is concluded from it."""
    if found is None:
        return ClaimEstimate(math.nan, -math.inf, math.inf, 0)
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    return ClaimEstimate(found.value, low, high, found.n)
