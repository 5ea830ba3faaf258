"""Round by round: was the answer in hand right, who flipped, and how good was the critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.paired import paired_change

Effect = Literal["helps", "hurts", "undecided"]


@dataclass(frozen=True, slots=True)
class CriticQuality:
    """How well verdicts agree with the truth.

    The shares are over the verdicts that could be read, on answers of which it is known whether they are right
    (``accuracy.n`` of them); the two counts are over all answers that were examined.

    Attributes:
        accuracy: Share of correct verdicts.
        false_alarm: Share of right answers called wrong.
        miss: Share of wrong answers called right.
        clear: Verdicts that could be read.
        unclear: Verdicts that could not.
    """

    accuracy: Estimate | None
    false_alarm: Estimate | None
    miss: Estimate | None
    clear: int
    unclear: int


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """One round over all samples.

    A sample whose loop ended earlier keeps its last good answer: the table shows the answer in hand.

    Attributes:
        round: 0 for the first answer.
        samples: Samples with an answer in hand.
        answered: Answers given in this very round.
        accuracy: Share of right answers among those in hand; one that cannot be read is not right.
        right_to_wrong: Samples that were right a round ago and are not now.
        wrong_to_right: Samples that were not right a round ago and are now.
        unparsed: Answers in hand that cannot be read.
        refused: Answers in hand that refuse.
        errors: Calls of this round that failed.
        critic: The critic's verdicts on the answers of this round.
        tokens: Mean tokens per answer given in this round, its critique included.
        seconds: Mean seconds per answer given in this round, its critique included.
    """

    round: int
    samples: int
    answered: int
    accuracy: Estimate | None
    right_to_wrong: int
    wrong_to_right: int
    unparsed: int
    refused: int
    errors: int
    critic: CriticQuality
    tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class GroupChange:
    """First against last answer of one group, paired by sample.

    Attributes:
        group: Name of the group, or ``all``.
        first: Accuracy of the first answers.
        last: Accuracy of the last answers in hand.
        change: Paired difference, last minus first.
        effect: ``helps`` or ``hurts`` if the interval of the change excludes zero, else ``undecided``.
        critic: The critic on the first answers.
    """

    group: str
    first: Estimate | None
    last: Estimate | None
    change: Estimate | None
    effect: Effect
    critic: CriticQuality


def by_round(records: pd.DataFrame) -> list[RoundSummary]:
    """Summarise the rounds of one arm.

    Args:
        records: Records of one run and arm (:class:`secondlook.diagnosis.records.Record`).

    Raises:
        ValueError: If a sample has two rows for one round, as in records of several runs or arms.
    """
    hand = _in_hand(records)
    summaries = []
    for round_ in range(_last_round(records) + 1):
        now = hand[hand["round"] == round_]
        rows = records[records["round"] == round_]
        given = rows[rows["status"] != "error"]
        flips = _flips(hand, round_)
        summaries.append(
            RoundSummary(
                round=round_,
                samples=len(now),
                answered=len(given),
                accuracy=clustered_proportion(now["right"], now["template"]),
                right_to_wrong=int((flips == -1).sum()),
                wrong_to_right=int((flips == 1).sum()),
                unparsed=int((now["status"] == "unparsed").sum()),
                refused=int((now["status"] == "refused").sum()),
                errors=int((rows["status"] == "error").sum()),
                critic=critic_quality(rows),
                tokens=_mean(rows["tokens_in"] + rows["tokens_out"], len(given)),
                seconds=_mean(rows["seconds"], len(given)),
            )
        )
    return summaries


def by_group(records: pd.DataFrame) -> list[GroupChange]:
    """First against last answer, for every group and over all (the last entry, group ``all``).

    Args:
        records: Records of one run and arm.

    Raises:
        ValueError: If a sample has two rows for one round.
    """
    groups = [(str(name), part) for name, part in records.groupby("group", sort=True)]
    return [_change(name, part) for name, part in [*groups, ("all", records)]]


def critic_quality(rows: pd.DataFrame) -> CriticQuality:
    """How well the verdicts on these answers agree with the truth."""
    clear = rows[rows["verdict"].isin(["wrong", "right"])]
    judged = clear[clear["correct"].notna()]
    right = judged["correct"].astype(bool)
    alarm = judged["verdict"] == "wrong"
    return CriticQuality(
        accuracy=clustered_proportion(alarm != right, judged["template"]),
        false_alarm=clustered_proportion(alarm[right], judged["template"][right]),
        miss=clustered_proportion(~alarm[~right], judged["template"][~right]),
        clear=len(clear),
        unclear=int((rows["verdict"] == "unclear").sum()),
    )


def _in_hand(records: pd.DataFrame) -> pd.DataFrame:
    """For each sample and round, the last answer so far: columns sample, template, round, status, right."""
    if records.duplicated(["sample", "round"]).any():
        raise ValueError("a sample has two rows for one round; give the records of one run and arm at a time")
    good = records[records["status"] != "error"]
    rounds = range(_last_round(records) + 1)
    grid = pd.MultiIndex.from_product([good["sample"].unique(), rounds], names=["sample", "round"])
    columns = good.assign(right=good["correct"].fillna(False).astype(bool)).set_index(["sample", "round"])
    hand = columns[["template", "status", "right"]].reindex(grid).groupby(level="sample").ffill()
    return hand.dropna(subset=["status"]).astype({"right": bool}).reset_index()


def _last_round(records: pd.DataFrame) -> int:
    """Index of the last round; −1 if there are no records."""
    return -1 if records.empty else int(records["round"].max())


def _flips(hand: pd.DataFrame, round_: int) -> pd.Series:
    """Change of rightness since the round before: 1 repaired, −1 harmed, 0 neither; by sample."""
    now = hand[hand["round"] == round_].set_index("sample")["right"].astype(int)
    before = hand[hand["round"] == round_ - 1].set_index("sample")["right"].astype(int)
    return (now - before).dropna()


def _change(name: str, records: pd.DataFrame) -> GroupChange:
    hand = _in_hand(records).set_index("sample")
    first = hand[hand["round"] == 0]
    last = hand[hand["round"] == hand["round"].max()].loc[first.index]
    change = paired_change(first["right"], last["right"], first["template"]).estimate
    effect: Effect = "undecided"
    if change is not None and change.low is not None and change.high is not None:
        effect = "helps" if change.low > 0 else "hurts" if change.high < 0 else "undecided"
    return GroupChange(
        group=name,
        first=clustered_proportion(first["right"], first["template"]),
        last=clustered_proportion(last["right"], last["template"]),
        change=change,
        effect=effect,
        critic=critic_quality(records[records["round"] == 0]),
    )


def _mean(values: pd.Series, count: int) -> float:
    return float(values.sum() / count) if count else float(np.nan)
