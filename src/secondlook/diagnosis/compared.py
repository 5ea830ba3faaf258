"""Logs compared with the first of them: paired by sample, clustered, epochs as repeats, Holm over several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from secondlook.diagnosis.clusters import Array, cluster_index, spread
from secondlook.diagnosis.intervals import Estimate, clustered_mean
from secondlook.diagnosis.paired import holm, paired_change
from secondlook.diagnosis.scored import ScoredLog

Standing = Literal["better", "worse", "undecided"]
_ALPHA = 0.05
_OWN = "give --cluster a field that is the sample's own"
_FEW = 0.9  # share of samples paired, below which a note says so


@dataclass(frozen=True, slots=True)
class Against:
    """One log against the first.

    Attributes:
        label: Letter of the log; ``file`` and ``model`` say which it is.
        epochs: Answers of a sample, of the first and of this one.
        theirs: Mean score of the first log, over the paired samples.
        mine: Mean score of this one, over the same.
        change: The second minus the first, with its 95% interval, which a single cluster does not have.
        p: P-value of no change, by the same inference; ``adjusted`` for the number of logs compared (Holm).
        standing: ``better`` or ``worse`` where ``adjusted`` is below 0.05.
        flips: Share of answers that are right in one log and not in the other; ``None`` where scores are not 0 and 1.
        design: Design effect of the clusters, likewise.
        alone: Samples that the first log alone has, and this one alone.
        failed: Answers that failed or have no score, of the first and of this one, among samples in both.
        unpaired: Samples in both that were left out, since one of them has no score at all.
        notes: What must be known to read the numbers.
    """

    label: str
    file: str
    model: str | None
    epochs: tuple[int, int]
    theirs: float
    mine: float
    change: Estimate
    p: float | None
    adjusted: float | None
    standing: Standing
    flips: float | None
    design: float | None
    alone: tuple[int, int]
    failed: tuple[int, int]
    unpaired: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogComparison:
    """Several logs against the first.

    Attributes:
        label: Letter of the first log; ``file``, ``model``, ``task`` and ``scorer`` are its own.
        cluster: The field by which samples are clustered; ``None`` where each is a cluster of its own.
        shares: Whether scores are all 0 and 1, so that changes are points of right answers.
        lower_is_better: Whether a higher score is worse.
        against: The others, in the order given.
    """

    label: str
    file: str
    model: str | None
    task: str | None
    scorer: str
    cluster: str | None
    shares: bool
    lower_is_better: bool
    against: tuple[Against, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Findings, a sentence for each log."""
        return tuple(self._said(one) for one in self.against)

    def _said(self, one: Against) -> str:
        # Two logs of one model are told apart by their letters alone.
        named = self.model != one.model
        names = [f"{log.label} ({log.model or log.file})" if named else log.label for log in (one, self)]
        if one.standing != "undecided":
            return f"{names[0]} is {one.standing} than {names[1]}."
        why = "there is no interval" if one.change.low is None else "the data allow both"
        return f"Whether {names[0]} is better or worse than {names[1]} is undecided: {why}."


def compare(
    logs: Sequence[ScoredLog],
    *,
    cluster: str | None = None,
    by_id: bool = False,
    failed_wrong: bool = False,
    lower_is_better: bool = False,
) -> LogComparison:
    """Compare every log with the first.

    Where all scores are 0 and 1 the change is that of :func:`secondlook.diagnosis.paired.paired_change`; otherwise a
    mean of differences by sample with a cluster-robust t interval (CR2, Satterthwaite).

    Args:
        logs: Two or more.
        cluster: What the field is called that they were read with.
        by_id: Pair samples by their ids alone, whatever tasks, scorers and questions say.
        failed_wrong: Count an answer that failed, or has no score, as 0; by default it is left out and reported.
        lower_is_better: A higher score is worse.

    Raises:
        ValueError: The logs are not of one task and scorer, share no sample, or one id means two questions or clusters.
    """
    if len(logs) < 2:
        raise ValueError("one log is nothing to compare; give two or more")
    first, *others = logs
    if not by_id:
        for other in others:
            _alike(first, other)
    tables = [_scored(log, failed_wrong) for log in logs]
    scores = np.concatenate([table.score.dropna().to_numpy() for table in tables])
    shares = bool(np.isin(scores, (0.0, 1.0)).all())
    if failed_wrong and not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("scores are not between 0 and 1, so that a failed answer is not 0; leave out --failed wrong")
    labels = [chr(ord("A") + place) if place < 26 else f"L{place + 1}" for place in range(len(logs))]
    made = [
        _against(first, tables[0], log, table, label, shares=shares, by_id=by_id)
        for log, table, label in zip(others, tables[1:], labels[1:], strict=True)
    ]
    sign = -1 if lower_is_better else 1
    against = tuple(
        _judged(one, adjusted, sign) for one, adjusted in zip(made, holm([one.p for one in made]), strict=True)
    )
    return LogComparison(
        labels[0], first.file, first.model, first.task, first.scorer, cluster, shares, lower_is_better, against
    )


def _alike(first: ScoredLog, other: ScoredLog) -> None:
    remedy = "compare logs of one task, or pair samples by their ids alone with --by-id"
    if None not in (first.task, other.task) and first.task != other.task:
        raise ValueError(f"{other.file} has task {other.task!r}, {first.file} has {first.task!r}; {remedy}")
    if first.scorer != other.scorer:
        raise ValueError(
            f"{other.file} is scored by {other.scorer!r}, {first.file} by {first.scorer!r}; choose one that both have "
            "with --scorer, or pair samples by their ids alone with --by-id"
        )


def _scored(log: ScoredLog, failed_wrong: bool) -> pd.DataFrame:
    table = log.answers
    return table.fillna({"score": 0.0}) if failed_wrong else table


def _against(
    first: ScoredLog, theirs: pd.DataFrame, log: ScoredLog, mine: pd.DataFrame, label: str, *, shares: bool, by_id: bool
) -> Against:
    a, b = _by_sample(theirs, first.file), _by_sample(mine, log.file)
    both = a.add_suffix("_a").join(b.add_suffix("_b"), how="inner")
    if both.empty:
        raise ValueError(
            f"{log.file} and {first.file} have no sample in common ({b.index[0]!r} …, {a.index[0]!r} …); compare logs "
            "of one data set"
        )
    _same(both, "cluster", first.file, log.file, _OWN)
    if not by_id:
        _same(
            # 0 is a question that its log does not tell, and contradicts none.
            both[(both.question_a != 0) & (both.question_b != 0)],
            *("question", first.file, log.file),
            "compare logs of one data set, or pair samples by their ids alone with --by-id",
        )
    pairs = both.dropna(subset=["score_a", "score_b"])
    if pairs.empty:
        raise ValueError(f"{log.file} and {first.file} have no sample that both scored; look at their errors")
    epochs = int(pairs.answers_a.max()), int(pairs.answers_b.max())
    x, y, clusters = (pairs[name].to_numpy() for name in ("score_a", "score_b", "cluster_a"))
    failed = tuple(int(both[f"failed_{side}"].sum()) for side in "ab")
    unpaired = len(both) - len(pairs)
    notes = [f"{one.file}: {one.note}." for one in (first, log) if one.note]
    if len(pairs) < _FEW * max(len(a), len(b)):
        notes.append(
            f"{label}: {len(pairs):,} of {max(len(a), len(b)):,} samples are compared; the others may differ from them."
        )
    flips = design = None
    if shares:
        # Of different numbers of epochs the larger one stands for both; docs/compare.md shows the coverage of that.
        found = paired_change(x, y, clusters, repeats=max(epochs))
        change, p, design = found.estimate, found.p, found.design
        flips = float((x * (1 - y) + y * (1 - x)).mean())
    else:
        change, p = _shift(y - x, clusters)
    assert change is not None  # there are pairs
    if change.clusters < 2:
        notes.append(f"{label}: all samples belong to one cluster; nothing is known of others.")
    return Against(
        label=label,
        file=log.file,
        model=log.model,
        epochs=epochs,
        theirs=float(x.mean()),
        mine=float(y.mean()),
        change=change,
        p=p,
        adjusted=None,
        standing="undecided",
        flips=flips,
        design=design,
        alone=(len(a) - len(both), len(b) - len(both)),
        failed=(failed[0], failed[1]),
        unpaired=unpaired,
        notes=tuple(notes),
    )


def _by_sample(table: pd.DataFrame, file: str) -> pd.DataFrame:
    """A row a sample: its mean score over the epochs that have one, and how many have and have not."""
    of = table.groupby("sample", sort=False)
    if (apart := table["cluster"] != of["cluster"].transform("first")).any():
        raise ValueError(f"{file}: sample {table['sample'][apart].iloc[0]!r} is in several clusters; {_OWN}")
    made = of.agg(
        score=("score", "mean"),
        answers=("score", "count"),
        cluster=("cluster", "first"),
        question=("question", "first"),
    )
    return made.assign(failed=of.size() - made.answers)


def _same(both: pd.DataFrame, what: str, first: str, other: str, remedy: str) -> None:
    if (apart := both[f"{what}_a"] != both[f"{what}_b"]).any():
        raise ValueError(
            f"sample {both.index[apart][0]!r} has another {what} in {other} than in {first} ({int(apart.sum()):,} of "
            f"{len(both):,} have); {remedy}"
        )


def _shift(difference: Array, clusters: Array) -> tuple[Estimate | None, float | None]:
    """The mean of differences and the p-value of its t interval."""
    estimate = clustered_mean(difference, clusters)
    if estimate is None or estimate.low is None:
        return estimate, None
    index = cluster_index(clusters, difference.size)
    totals, squares = (np.bincount(index, weights=difference**power) for power in (1, 2))
    of = spread(totals, squares, np.bincount(index))
    return estimate, float(2 * special.stdtr(float(of.dof), -abs(estimate.value) / math.sqrt(float(of.variance))))


def _judged(one: Against, adjusted: float | None, sign: int) -> Against:
    standing: Standing = "undecided"
    if adjusted is not None and adjusted < _ALPHA:
        standing = "better" if sign * one.change.value > 0 else "worse"
    return replace(one, adjusted=adjusted, standing=standing)
