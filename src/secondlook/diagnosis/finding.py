"""Does looking again help: the last answer against the first, and against what it has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.paired import Change, holm, paired_change
from secondlook.diagnosis.table import Arm, Table

Effect = Literal["helps", "hurts", "undecided"]
CONTROLS = {
    "none": "asking again without a critique",
    "always-unknown": "always answering unknown",
    "vote": "a majority vote of samples at equal token cost",
}
"""The controls a table may hold, by the name of their arm or critic."""

_SAME = "no vote changed an answer"
LEVEL = 0.05
"""P-values below it are called a finding."""
_PAIRS = (("ambig", "disambig"), ("harmful", "benign"))  # what is gained on one is easily lost on the other
_FIRST = "first answer"


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """The answers of one arm against others to the same questions; without shared samples there is no number.

    Attributes:
        against: ``first answer``, or a control's name.
        change: Accuracy minus that of the other, paired, with its clustered interval.
        p: Two-sided p-value of no change.
        mcnemar_p: P-value of McNemar's exact test, which treats samples as independent: shown, never used.
        gained: Samples that are right here and not there; those ``lost`` are right there alone.
        design: Design effect allowed for.
        n: Samples both have answered.
        left_out: Samples of the arm that the other lacks.
        tokens: Tokens of all calls for the ``n`` samples up to the compared answer, failed calls too.
        note: Note needed to read it.
    """

    against: str
    change: Estimate | None
    p: float | None
    mcnemar_p: float | None
    gained: int
    lost: int
    design: float | None
    n: int
    left_out: int
    tokens: float | None
    tokens_against: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding about one group, or about all.

    Attributes:
        effect: ``helps`` if the answers beat the first ones and every control in the table; ``hurts`` if they fall
            behind the first ones; else ``undecided``.
        reason: Reason of the effect, in a sentence.
        p: P-value it rests on; over groups it is adjusted (Holm). ``None`` where nothing was tested.
        comparisons: Against the first answers, and against each control in the table.
    """

    effect: Effect
    reason: str
    p: float | None
    comparisons: tuple[PairedComparison, ...] = ()


def controls(table: Table) -> dict[str, Arm]:
    """The control arms in a table, by the names of :data:`CONTROLS`.

    An arm without a critic that does not ask again either is no control: it holds first answers alone.
    """
    found = {}
    for name in CONTROLS:
        arms = [arm for arm in table.arms.values() if name in (arm.name, arm.critic)]
        if arms := [arm for arm in arms if arm.rounds > 1 or name != "none"]:
            found[name] = next((arm for arm in arms if arm.name == name), arms[0])
    return found


def finding_of(arm: Arm, others: dict[str, Arm], contexts: Sequence[str], round_: int) -> Finding:
    """Find what one arm's answers in hand after a round show over all its samples, against controls by name.

    To help, it has to beat all it is compared with, so the largest p-value counts (an intersection-union test: no
    adjustment is due for the number of controls). To hurt, it has to fall behind the first answer. Of ``ambig`` and
    ``disambig`` contexts, and of ``harmful`` and ``benign``, an effect needs both, and neither may go the other way.
    """
    first = _compare(_FIRST, arm, arm, round_, 0)
    rest = [_against(name, arm, other, round_) for name, other in others.items()]
    # A vote that changed no answer is the first answers again, and these are compared.
    found = _decide(first, [comparison for comparison in rest if _SAME not in comparison.note])
    untested: str | None = "The model was not asked again."
    doubt = untested
    if round_ > 0:
        answered = arm.take(arm.state[:, 0] >= 0)
        right = answered.right
        changes = by_context(right[:, 0], right[:, round_], answered, contexts)
        untested = lacking(changes)
        doubt = one_sided(changes, found.effect)
    if doubt:
        # What was tested keeps its p-value: without it, other groups would be adjusted for fewer than there were.
        found = Finding("undecided", doubt, None if untested else found.p)
    return replace(found, comparisons=(first, *rest))


def adjust(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of several groups, adjusted for their number (Holm 1979)."""
    adjusted = []
    for finding, p in zip(findings, holm([finding.p for finding in findings]), strict=True):
        effect, reason = finding.effect, finding.reason
        if effect != "undecided" and p is not None and p >= LEVEL:
            effect = "undecided"
            reason = f"{reason.rstrip('.')}, but not after adjusting for the number of groups (p = {p:.2g})."
        adjusted.append(replace(finding, effect=effect, p=p, reason=reason))
    return adjusted


def vote_round(spent: float, vote_tokens: Array) -> int:
    """Round of the vote that costs no more than was spent, or its first; ``vote_tokens`` are up to each round."""
    return max(0, int(np.searchsorted(vote_tokens, spent, side="right")) - 1)


def by_context(before: Array, after: Array, arm: Arm, contexts: Sequence[str]) -> dict[str, Change]:
    """The paired change of each kind of question, by its name."""
    parts = {contexts[code]: arm.context == code for code in np.unique(arm.context) if code >= 0}
    return {name: paired_change(before[at], after[at], arm.cluster[at]) for name, at in parts.items()}


def lacking(changes: Mapping[str, Change]) -> str | None:
    """Reason why no effect can be found: there are questions of one kind alone."""
    for pair in _PAIRS:
        found = [name for name in pair if name in changes]
        if len(found) == 1:
            (lacks,) = set(pair) - set(found)
            return f"There are no {lacks} questions: what is gained on others may be lost there, a finding needs both."
    return None


def one_sided(changes: Mapping[str, Change], effect: Effect) -> str | None:
    """Reason why an effect would hold for one kind of question alone: the other is missing, or goes the other way."""
    if (reason := lacking(changes)) is not None:
        return reason
    for pair in _PAIRS:
        found = [name for name in pair if name in changes]
        for name, p in zip(found, holm([changes[name].p for name in found]), strict=True):
            estimate = changes[name].estimate
            sign = 0.0 if estimate is None else estimate.value
            if p is not None and p < LEVEL and ((effect == "helps" and sign < 0) or (effect == "hurts" and sign > 0)):
                way, other = ("worse", "better") if sign < 0 else ("better", "worse")
                return (
                    f"Over all questions the answers are {other} than the first, but on {name} ones they are {way} "
                    f"({100 * sign:+.1f} points): it depends on how often each is asked."
                )
    return None


def _against(name: str, arm: Arm, other: Arm, round_: int) -> PairedComparison:
    if name != "vote":
        return _compare(name, arm, other, round_, min(round_, other.rounds - 1))
    mine, theirs = _share(arm, other, round_, 0)
    if mine.spent is None or theirs.spent is None:
        return _nothing(name, len(arm.sample), "without tokens there is no equal cost")
    spent, costs = float(mine.spent[:, round_].sum()), theirs.spent.sum(axis=0)
    at = vote_round(spent, costs)
    ratio = costs[at] / spent if spent else np.inf
    note = f"{at + 1} sample{'s' if at else ''} a question, {100 * ratio:.0f}% of the tokens"
    if at + 1 == other.rounds and ratio < 1:
        note += "; the vote has no further samples to spend the rest on"
    if len(theirs.sample) and (theirs.state[:, : at + 1] == theirs.state[:, :1]).all():
        # What never differs from one answer is no majority, and nothing is better than it.
        note += f"; {_SAME}, as where replies are not sampled (temperature 0) or too few"
        return _nothing(name, len(arm.sample) - len(mine.sample), note)
    return replace(_compare(name, arm, other, round_, at), note=note)


def _compare(against: str, arm: Arm, other: Arm, round_: int, other_round: int) -> PairedComparison:
    """The arm's answers in hand after ``round_`` minus the other's after ``other_round``, on shared samples."""
    mine, theirs = _share(arm, other, round_, other_round)
    left_out = len(arm.sample) - len(mine.sample)
    if not mine.sample.size:
        return _nothing(against, left_out, "they share no answered sample")
    change = paired_change(theirs.right[:, other_round], mine.right[:, round_], mine.cluster)
    return PairedComparison(
        against=against,
        change=change.estimate,
        p=change.p,
        mcnemar_p=change.mcnemar,
        gained=change.gained,
        lost=change.lost,
        design=change.design,
        n=len(mine.sample),
        left_out=left_out,
        tokens=_spent(mine, round_),
        tokens_against=_spent(theirs, other_round),
    )


def _nothing(against: str, left_out: int, why: str) -> PairedComparison:
    return PairedComparison(against, None, None, None, 0, 0, None, 0, left_out, None, None, f"not compared: {why}")


def _share(arm: Arm, other: Arm, round_: int, other_round: int) -> tuple[Arm, Arm]:
    """Both arms with the samples that both have answered, in the same order."""
    _, mine, theirs = np.intersect1d(arm.sample, other.sample, assume_unique=True, return_indices=True)
    keep = (arm.state[mine, round_] >= 0) & (other.state[theirs, other_round] >= 0)
    return arm.take(mine[keep]), other.take(theirs[keep])


def _spent(arm: Arm, round_: int) -> float | None:
    return None if arm.spent is None else float(arm.spent[:, round_].sum())


def _decide(first: PairedComparison, rest: Sequence[PairedComparison]) -> Finding:
    """The finding over comparisons with an answer on both sides; a p-value of 1 where it cannot be ``helps``."""
    if first.change is None:
        return Finding("undecided", "There is no answer to compare.", None)
    if first.p is None:
        return Finding("undecided", "All samples come from one template: there is no interval.", None)
    by_chance = "The answers do not differ from the first ones beyond chance."
    if first.change.value <= 0:
        if first.p < LEVEL:
            return Finding("hurts", "The answers are worse than the first ones.", first.p)
        return Finding("undecided", by_chance, first.p)
    unknown = next((part for part in rest if part.change is None), None)
    hurdles = {part.against: _hurdle(part) for part in (first, *rest) if part.change is not None}
    highest = max(hurdles, key=hurdles.__getitem__)
    p = hurdles[highest]
    if p < LEVEL and unknown is not None:
        reason = f"The answers are better than the first ones, but {CONTROLS[unknown.against]} is {unknown.note}."
        return Finding("undecided", reason, p)
    if p < LEVEL:
        *beaten, last = ["the first answers", *(CONTROLS[part.against] for part in rest)]
        return Finding("helps", f"The answers are better than {', '.join(beaten)}{' and ' if beaten else ''}{last}.", p)
    if first.p >= LEVEL:
        return Finding("undecided", by_chance, p)
    reason = f"The answers are better than the first ones, but not shown to be better than {CONTROLS[highest]}."
    return Finding("undecided", reason, p)


def _hurdle(part: PairedComparison) -> float:
    """P-value that the arm beats this; 1 if it does not look so."""
    return part.p if part.p is not None and part.change is not None and part.change.value > 0 else 1.0
