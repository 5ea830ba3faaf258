"""First answers, what critics said of them, and what another critic's verdicts would have made of them.

An answer is followed by a right one with a probability that depends on whether it is right and on what is said of it.
Both are on record for the critic that was asked: repair_v = P(right next | not right, v) and harm_v =
P(not right next | right, v). A critic whose verdicts are known but not their consequences, a vote or a trained one, is
given those of the same words:

    gain = mean over answers of   repair_v if the answer is not right,   −harm_v if it is,   with v its verdict on it.

For the critic that was asked this is the measured change. For another one it is a prediction, which supposes that the
model minds the verdict and not who passed it: run the better critic to see (`secondlook eval --critic recorded`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, SILENT, UNCLEAR, VERDICTS, corrects, rounds, tokens, verdicts
from secondlook.diagnosis.intervals import Estimate, clustered_mean, clustered_proportion
from secondlook.diagnosis.transitions import ended_satisfied

Verdicts = NDArray[np.int8]

_CELLS = tuple(product((True, False), (ALARM, PASS, UNCLEAR)))  # whether the answer is right, what was said of it


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """The first answers of one arm that were followed by another; every array has one entry an answer.

    Attributes:
        rows: The answers' records, with a column ``template`` in any case.
        right: Whether the answer is right; one that cannot be read is not.
        known: Whether it could be judged.
        after: Whether the answer in hand after the next one is right.
        verdict: What the arm's critic said, an index into ``columns.VERDICTS``.
        tokens: Tokens of answer and critique; NaN if the table has none.
    """

    arm: str
    rows: pd.DataFrame
    right: NDArray[np.bool_]
    known: NDArray[np.bool_]
    after: NDArray[np.bool_]
    verdict: Verdicts
    tokens: Array

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def templates(self) -> pd.Series:
        """The template of each answer."""
        return self.rows["template"]

    def take(self, which: NDArray[np.bool_]) -> Examined:
        """Select some of the answers."""
        parts: tuple[Any, ...] = (self.right, self.known, self.after, self.verdict, self.tokens)
        return Examined(self.arm, self.rows[which].reset_index(drop=True), *(part[which] for part in parts))


def examined(records: pd.DataFrame, arm: str) -> Examined:
    """The first answers of an arm and what became of them.

    Of the records' columns ``sample``, ``round``, ``correct`` and ``verdict`` are needed; without ``template`` samples
    count as independent.

    Raises:
        ValueError: If a column is missing, a sample has two rows for one round, or no answer of the arm was both
            examined and followed.
    """
    rows = arms(records)[arm]
    if (double := rows.duplicated(["sample", "round"])).any():
        raise ValueError(f"two rows for sample {rows.loc[double, 'sample'].iloc[0]!r} and one round in arm {arm!r}")
    number = rounds(rows["round"])
    first, second = (rows[(number == round_) & answered(rows)] for round_ in (0, 1))
    names, verdict, state = first["sample"].astype(str), verdicts(first["verdict"]), corrects(first["correct"])
    following = pd.Series(corrects(second["correct"]) == 1, index=second["sample"].astype(str)).reindex(names)
    # A loop that ends when the critic is satisfied keeps the answer it has.
    ended = ended_satisfied(verdict, names.isin(rows["sample"][number == 1].astype(str)).to_numpy())
    rejected = second["sample"][corrects(second["kept"], "kept") == 0] if "kept" in second else second["sample"][:0]
    stays = ended | names.isin(rejected.astype(str)).to_numpy()
    keep = (following.notna().to_numpy() | ended) & (verdict != SILENT)
    if not keep.any():
        raise ValueError(
            f"no first answer of arm {arm!r} was examined and followed by another; what a verdict leads to takes a run "
            "with a critic and at least one second look"
        )
    everything = Examined(
        arm=arm,
        rows=first.assign(template=first.get("template", names)),
        right=state == 1,
        known=state >= 0,
        after=np.where(stays, state == 1, following.fillna(False).to_numpy(bool)),
        verdict=verdict,
        tokens=tokens(first),
    )
    return everything.take(keep)


def arms(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The records of each arm, by name; a missing column is an error."""
    if missing := [name for name in ("sample", "round", "correct", "verdict") if name not in records]:
        raise ValueError(f"the table has no column {missing[0]!r}; a critic needs sample, round, correct and verdict")
    name = next((name for name in ("arm", "critic") if name in records), None)
    if name is None:
        return {"critic": records}
    return {str(arm): rows for arm, rows in records.groupby(name, sort=True, observed=True)}


def answered(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether a row has an answer: its call did not fail."""
    good = (rows["status"] != "error").to_numpy(bool) if "status" in rows else np.ones(len(rows), dtype=bool)
    return np.asarray(good, dtype=np.bool_)


def mean_tokens(spent: Array) -> float | None:
    """Tokens an answer; ``None`` if any are missing."""
    return float(spent.mean()) if spent.size and not np.isnan(spent).any() else None


def predicted(of: Examined, verdict: Verdicts) -> Array | str:
    """Gain that each answer adds under another critic's verdicts, as its mean's influence; or why none is known.

    The mean of the values is the predicted gain. Their spread over templates is that of the prediction, the measured
    consequences' uncertainty included (linearised: every answer also moves the rate of its own cell).
    """
    gain, moved = np.zeros(len(of)), np.zeros(len(of))
    for right, said in _CELLS:
        meant = (of.right == right) & (verdict == said)
        shown = (of.right == right) & (of.verdict == said)
        if not meant.any():
            continue
        if not shown.any():
            state = "right" if right else "wrong"
            return f"no {state} answer was called {VERDICTS[said]} in arm {of.arm!r}, so what follows is not known"
        step = of.after[shown].astype(float) - right
        gain[meant] = step.mean()
        # These sum to zero over a cell: they widen the spread and leave the mean.
        moved[shown] += meant.sum() / shown.sum() * (step - step.mean())
    return gain + moved


@dataclass(frozen=True, slots=True)
class CriticRow:
    """One critic, judged on the same first answers as the one that was asked.

    Attributes:
        accuracy: Share of correct verdicts among those that can be read, on answers that can be judged.
        false_alarm: Share of right answers called wrong, among the same.
        miss: Share of wrong answers called right, among the same.
        unclear: Share of answers on which it has no verdict.
        more_accuracy: Accuracy of its verdicts minus that of the critic that was asked, paired, an unclear verdict
            being no correct one.
        gain: Change of answers' accuracy over one second look: measured for the critic that was asked, else predicted.
        more_gain: ``gain`` minus that of the critic that was asked, paired.
        tokens: Tokens per answer, of the answer and of every critique the verdict takes; ``None`` if not known.
        reason: Why there is no gain.
    """

    name: str
    answers: int
    accuracy: Estimate | None
    false_alarm: Estimate | None
    miss: Estimate | None
    unclear: float
    more_accuracy: Estimate | None
    gain: Estimate | None
    more_gain: Estimate | None
    tokens: float | None
    reason: str | None = None


def judge(of: Examined, name: str, verdict: Verdicts, tokens: float | None) -> CriticRow:
    """Quality of a critic's verdicts (indices into ``columns.VERDICTS``), and the gain they would bring."""
    readable = of.known & np.isin(verdict, (ALARM, PASS))
    truth = np.where(of.right, PASS, ALARM)
    mine, theirs = predicted(of, verdict), predicted(of, of.verdict)
    assert not isinstance(theirs, str)  # what was said has been seen to its end

    def share(hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate | None:
        return clustered_proportion(hit[among], of.templates[among])

    def mean(values: Array | str, among: NDArray[np.bool_] | slice = slice(None)) -> Estimate | None:
        if isinstance(values, str):
            return None
        return clustered_mean(values[among], of.templates[among], bounds=(-1.0, 1.0))

    better = (verdict == truth).astype(float) - (of.verdict == truth)
    return CriticRow(
        name=name,
        answers=len(of),
        accuracy=share(verdict == truth, readable),
        false_alarm=share(verdict == ALARM, readable & of.right),
        miss=share(verdict == PASS, readable & ~of.right),
        unclear=float(np.mean(~np.isin(verdict, (ALARM, PASS)))),
        more_accuracy=mean(better, of.known),
        gain=mean(mine),
        more_gain=mean(mine if isinstance(mine, str) else mine - theirs),
        tokens=tokens,
        reason=mine if isinstance(mine, str) else None,
    )


def rates(of: Examined) -> dict[tuple[bool, int], float]:
    """Expected change of accuracy by (right, verdict): −harm of right answers, repair of the others.

    What was never seen is taken for the worst: an alarm on a right answer to harm it, all else to change nothing.
    """
    found = {}
    for right, said in _CELLS:
        after = of.after[(of.right == right) & (of.verdict == said)]
        found[right, said] = float(after.mean() - right) if after.size else -1.0 if right and said == ALARM else 0.0
    return found
