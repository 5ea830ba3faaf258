"""Round by round: was the answer in hand right, who flipped, and how good was the critic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from secondlook.diagnosis.columns import ALARM, PASS, REFUSED, UNCLEAR, UNPARSED
from secondlook.diagnosis.finding import Effect
from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.paired import paired_change
from secondlook.diagnosis.table import Arm, check_table
from secondlook.diagnosis.transitions import critic_of

_NEEDED = (
    # The arm's name tells that who asks nobody spends nothing.
    *("arm", "sample", "template", "round", "correct", "status", "verdict", "kept", "elicited", "elicited_verdict"),
    *("tokens_in", "tokens_out", "tokens_critique"),
)


@dataclass(frozen=True, slots=True)
class CriticQuality:
    """Agreement of verdicts with the truth (as in :class:`.transitions.CriticRates`).

    Attributes:
        clear: Verdicts that could be read.
        unclear: Those that could not.
        elicited: Those that were asked for once more, alone.
    """

    accuracy: Estimate | None
    false_alarm: Estimate | None
    miss: Estimate | None
    clear: int
    unclear: int
    elicited: int = 0


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """One round over all samples.

    A sample whose loop ended earlier keeps its last good answer: the table shows the answer in hand.

    Attributes:
        samples: Samples with an answer in hand.
        answered: Answers given in this very round.
        accuracy: Share of right answers among those in hand; one that cannot be read is not right.
        right_to_wrong: Samples that were right a round ago and are not now.
        wrong_to_right: Samples that were not right a round ago and are now.
        unparsed: Answers in hand that cannot be read.
        refused: Answers in hand that refuse and are not judged.
        errors: Calls of this round that failed.
        elicited: Answers of this round that were asked for once more, alone.
        tokens: Mean tokens of a question up to this answer: of all answers so far and the critiques between them.
        seconds: Mean wall time of an answer given in this round and its critique.
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
    elicited: int = 0


@dataclass(frozen=True, slots=True)
class GroupChange:
    """First against last answer in hand of one group, or of ``all``, paired by sample.

    Its ``effect`` is the finding of the diagnosis, ``None`` where there is none; its critic is judged on the first
    answers.
    """

    group: str
    first: Estimate | None
    last: Estimate | None
    change: Estimate | None
    effect: Effect | None
    critic: CriticQuality


def by_round(records: pd.DataFrame) -> list[RoundSummary]:
    """Every round of the records of one run and arm (:class:`secondlook.diagnosis.records.Record`).

    Raises:
        ValueError: If there are several arms, or a sample has two rows for one round, as in records of several runs.
    """
    if records.empty:
        return []
    arm = _arm(records)
    seconds = records.groupby("round")["seconds"].sum()
    summaries = []
    for round_ in range(arm.rounds):
        state, answered, last = arm.state[:, round_], int(arm.answered[:, round_].sum()), max(round_ - 1, 0)
        # Round 0 is compared with itself. Who had no answer a round ago has not flipped.
        before, now, held, began = arm.right[:, last], arm.right[:, round_], state >= 0, arm.state[:, last] >= 0
        summaries.append(
            RoundSummary(
                round=round_,
                samples=int(held.sum()),
                answered=answered,
                accuracy=clustered_proportion(now[held], arm.cluster[held]),
                right_to_wrong=int((before & ~now).sum()),
                wrong_to_right=int((began & ~before & now).sum()),
                unparsed=int((state == UNPARSED).sum()),
                refused=int((state == REFUSED).sum()),
                errors=int(arm.failed[:, round_].sum()),
                critic=_critic(arm, round_),
                tokens=np.nan if arm.spent is None else float(arm.spent[:, round_].mean()),
                # Failed calls took time too; it is shared by the answers there are.
                seconds=float(seconds[round_] / answered) if answered else np.nan,
                elicited=int(arm.elicited[:, round_].sum()),
            )
        )
    return summaries


def by_group(records: pd.DataFrame, findings: Mapping[str, Effect] | None = None) -> list[GroupChange]:
    """First against last answer, for every group and over all (the last entry, group ``all``); errors as above.

    Args:
        records: Of one run and arm.
        findings: Of a diagnosis, by group: nothing is found twice, and in two ways.
    """
    groups = [(str(name), part) for name, part in records.groupby("group", sort=True)]
    return [_change(name, part, (findings or {}).get(name)) for name, part in [*groups, ("all", records)]]


def _arm(records: pd.DataFrame) -> Arm:
    """The records as one arm."""
    if records.duplicated(["sample", "round"]).any():
        raise ValueError("a sample has two rows for one round; give the records of one run and arm at a time")
    arms = check_table(records[[name for name in _NEEDED if name in records]]).arms
    if len(arms) > 1:
        raise ValueError(f"there are arms {', '.join(arms)}; give the records of one run and arm at a time")
    return next(iter(arms.values()))


def _change(name: str, records: pd.DataFrame, effect: Effect | None) -> GroupChange:
    if records.empty:
        return GroupChange(name, None, None, None, effect, CriticQuality(None, None, None, 0, 0))
    arm = _arm(records)
    at = arm.state[:, 0] >= 0
    first, last, cluster = arm.right[at, 0], arm.right[at, -1], arm.cluster[at]
    change = paired_change(first, last, cluster).estimate
    before, after = (clustered_proportion(answers, cluster) for answers in (first, last))
    return GroupChange(name, before, after, change, effect, _critic(arm, 0))


def _critic(arm: Arm, round_: int) -> CriticQuality:
    rates, verdict = critic_of(arm, round_), arm.verdict[:, round_]
    clear, unclear = (int(np.isin(verdict, said).sum()) for said in ((ALARM, PASS), (UNCLEAR,)))
    asked = int(arm.elicited_verdict[:, round_].sum())
    return CriticQuality(rates.accuracy, rates.false_alarm, rates.miss, clear, unclear, asked)
