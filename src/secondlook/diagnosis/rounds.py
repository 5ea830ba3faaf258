"""Round by round: was the answer in hand right, who flipped, and how good was the critic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from secondlook.diagnosis.finding import Effect
from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.paired import paired_change


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
    """First against last answer in hand of one group, or of ``all``, paired by sample.

    Attributes:
        first: Accuracy of the first answers.
        last: Accuracy of the last ones.
        change: Last minus first.
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
    for round_ in _rounds(records):
        now, rows = hand[hand["round"] == round_], records[records["round"] == round_]
        errors = int((rows["status"] == "error").sum())
        answered = len(rows) - errors
        summaries.append(
            RoundSummary(
                round=round_,
                samples=len(now),
                answered=answered,
                accuracy=clustered_proportion(now["right"], now["template"]),
                right_to_wrong=int((now["flip"] == -1).sum()),
                wrong_to_right=int((now["flip"] == 1).sum()),
                unparsed=int((now["status"] == "unparsed").sum()),
                refused=int((now["status"] == "refused").sum()),
                errors=errors,
                critic=critic_quality(rows),
                tokens=float((rows["tokens_in"] + rows["tokens_out"]).sum() / answered) if answered else np.nan,
                seconds=float(rows["seconds"].sum() / answered) if answered else np.nan,
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
    right, alarm = judged["correct"].astype(bool), judged["verdict"] == "wrong"
    return CriticQuality(
        accuracy=clustered_proportion(alarm != right, judged["template"]),
        false_alarm=clustered_proportion(alarm[right], judged["template"][right]),
        miss=clustered_proportion(~alarm[~right], judged["template"][~right]),
        clear=len(clear),
        unclear=int((rows["verdict"] == "unclear").sum()),
    )


def _rounds(records: pd.DataFrame) -> range:
    return range(0 if records.empty else int(records["round"].max()) + 1)


def _in_hand(records: pd.DataFrame) -> pd.DataFrame:
    """For each sample and round, the last answer so far: columns sample, round, template, status, right and flip.

    A flip is the change of ``right`` since the round before: 1 repaired, −1 harmed.
    """
    if records.duplicated(["sample", "round"]).any():
        raise ValueError("a sample has two rows for one round; give the records of one run and arm at a time")
    good = records[records["status"] != "error"]
    grid = pd.MultiIndex.from_product([good["sample"].unique(), _rounds(records)], names=["sample", "round"])
    columns = good.assign(right=good["correct"].fillna(False).astype(bool)).set_index(["sample", "round"])
    hand = columns[["template", "status", "right"]].reindex(grid).groupby(level="sample").ffill()
    hand = hand.dropna(subset=["status"]).astype({"right": int}).reset_index()
    return hand.assign(flip=hand.groupby("sample")["right"].diff())


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
