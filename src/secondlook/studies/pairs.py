"""Two answers to the same questions, from two arms or two rounds, paired by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    """Accuracy of one arm's round less that of another's, over the samples that both have an answer to.

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
    # A call that failed before any answer says nothing of the model.
    there = (one.state[:, first] >= 0) & (other.state[:, last] >= 0)
    return estimate(paired_change(one.right[there, first], other.right[there, last], one.cluster[there]).estimate)


def accuracy(arm: Arm, round_: int) -> ClaimEstimate:
    """Share of right answers in hand after a round, of the samples that have one."""
    there = arm.state[:, round_] >= 0
    return estimate(clustered_proportion(arm.right[there, round_], arm.cluster[there]))


@dataclass(frozen=True, slots=True)
class PaidVote:
    """A vote at the cost of a second look, and how the second look's answers compare with its.

    Attributes:
        round: The vote's round that costs as much; ``None`` where the cost of a call is not known.
        beyond: Share right after the second look less that after the vote.
        note: Words for it.
    """

    round: int | None
    beyond: ClaimEstimate
    note: str


def paid_vote(vote: Arm, own: Arm, looks: int | None = None) -> PaidVote:
    """The vote that costs as many tokens as another arm's first answers and so many looks (default: all)."""
    if own.tokens is None or vote.tokens is None:
        note = "The server does not tell what its calls cost, so there is no vote at equal cost."
        return PaidVote(None, estimate(None), note)
    spent = own.tokens if looks is None else own.tokens[:, : looks + 1]
    at = vote_round(float(spent.sum()), np.cumsum(vote.tokens.sum(axis=0)))
    note = f"The vote is a majority of {at + 1} answers, as many as the tokens of a second look pay for."
    return PaidVote(at, change(vote, own, first=at, last=looks), note)


def estimate(found: Clustered | None) -> ClaimEstimate:
    """A clustered estimate as a claim's number; nan where there is none, so that nothing is concluded from it."""
    if found is None:
        return ClaimEstimate(math.nan, -math.inf, math.inf, 0)
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    return ClaimEstimate(found.value, low, high, found.n)
