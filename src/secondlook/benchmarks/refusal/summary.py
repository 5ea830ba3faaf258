"""Attack success next to over-refusal, for every defence, with what they cost and how far the judges agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from secondlook.benchmarks.benchmark import Answered
from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judges import OUTCOMES, STRING_JUDGES
from secondlook.benchmarks.refusal.labelled import corrected, hit, label_of
from secondlook.benchmarks.votes import majority
from secondlook.correction.chat import Usage
from secondlook.correction.transcript import Round, Stop, Transcript
from secondlook.diagnosis.intervals import Estimate, clustered_mean, clustered_proportion
from secondlook.reading import Outcome

if TYPE_CHECKING:
    from rich.table import Table

MODEL_JUDGE = "model"
"""Name of the judge that is a language model."""
MAIN_JUDGE = "reading"
"""The judge that the records and the changes go by."""


Behind: TypeAlias = Answered[Request]
"""One request behind one defence."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One judge's rates over the answers in hand that it could judge.

    Attributes:
        judge: Its name.
        attack_success: Share of harmful requests complied with.
        over_refusal: Share of benign requests refused.
        unclear: Answers it could not judge.
        attack_success_corrected: Attack success over all answers, corrected by people's labels of some of them; an
            answer that the judge could not judge counts as half.
        over_refusal_corrected: Over-refusal, likewise.
    """

    judge: str
    attack_success: Estimate | None
    over_refusal: Estimate | None
    unclear: int
    attack_success_corrected: Estimate | None = None
    over_refusal_corrected: Estimate | None = None


@dataclass(frozen=True, slots=True)
class DefenceLine:
    """One defence after one round; a request whose loop ended earlier keeps its last answer.

    Attributes:
        arm: The defence.
        round: Second looks made.
        group: ``all``, the name of an attack, or ``no attack``.
        judges: What each judge says.
        fewer_attacks: Change of attack success against arm ``none``, request by request, by the main judge; ``None``
            where that arm was not run.
        more_refusals: Change of over-refusal likewise.
        errors: Requests that have no answer of this round because of an error.
        withheld: Requests that have none because the model or a filter withheld it: nothing in words that a judge could
            read, so no share counts it.
        tokens: Tokens in and out that an answer cost, with all that came before it.
        seconds: Wall time likewise.
        fewer_attacks_corrected: ``fewer_attacks``, corrected by people's labels of the answers of both arms.
        more_refusals_corrected: ``more_refusals``, likewise.
        labels: Answers in hand that people have labelled.
    """

    arm: str
    round: int
    group: str
    judges: list[Judged]
    fewer_attacks: Estimate | None
    more_refusals: Estimate | None
    errors: int
    withheld: int
    tokens: float | None
    seconds: float | None
    fewer_attacks_corrected: Estimate | None = None
    more_refusals_corrected: Estimate | None = None
    labels: int = 0

    @property
    def main(self) -> Judged:
        """Rates of the main judge."""
        return next(judged for judged in self.judges if judged.judge == MAIN_JUDGE)


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Agreement of two judges on the same answers: ``counts[i][j]`` said outcome i by the first and j by the second.

    Outcomes are in the order of :data:`~secondlook.benchmarks.refusal.judges.OUTCOMES`.
    """

    first: str
    second: str
    counts: list[list[int]]

    @property
    def agree(self) -> float | None:
        """Share of answers that both judges call the same."""
        total = sum(map(sum, self.counts))
        return sum(self.counts[i][i] for i in range(len(OUTCOMES))) / total if total else None


@dataclass(frozen=True, slots=True)
class RefusalReport:
    """A run of the refusal benchmark: every defence and round, and the judges compared over all answers."""

    lines: list[DefenceLine]
    agreements: list[JudgeAgreement]

    @property
    def sentence(self) -> str:
        """Effects of the defences, in a sentence each."""
        # Imported here and below, since tables.py imports this module.
        from secondlook.benchmarks.refusal.tables import refusal_sentence

        return refusal_sentence(self)

    @property
    def notes(self) -> Sequence[str]:
        """Notes that must be known to read the tables."""
        from secondlook.benchmarks.refusal.tables import NOTES

        return NOTES

    def tables(self) -> Iterator[Table]:
        """Defences by round, by attack, by judge, and each pair of judges."""
        from secondlook.benchmarks.refusal.tables import refusal_tables

        return refusal_tables(self)

    def last(self, group: str = "all") -> list[DefenceLine]:
        """Each defence after its last round."""
        return list({line.arm: line for line in self.lines if line.group == group}.values())


def summarise(answered: Sequence[Behind], arms: Sequence[str]) -> RefusalReport:
    """Summarise the arms of a run, in the given order."""
    judges = [*STRING_JUDGES, *([MODEL_JUDGE] if any(one.judged for one in answered) else [])]
    groups = {"all": list(answered)}
    if any(one.item.attack for one in answered):
        for one in answered:
            if one.item.condition == "harmful":
                groups.setdefault(one.item.attack or "no attack", []).append(one)
    lines = []
    for group, members in groups.items():
        bare = [one for one in members if one.arm == "none"]
        for arm in arms:
            mine = [one for one in members if one.arm == arm]
            # An arm without any answer has a line too, which shows its errors.
            rounds = range(max((len(one.transcript.rounds) for one in mine), default=0) or 1)
            shown = rounds if group == "all" else rounds[-1:]
            lines += [_line(arm, index, group, mine, bare if arm != "none" else [], judges) for index in shown]
    return RefusalReport(lines, [_agreement(answered, *pair) for pair in combinations(judges, 2)])


def _line(
    arm: str, index: int, group: str, mine: list[Behind], bare: list[Behind], judges: Sequence[str]
) -> DefenceLine:
    held = [(one, one.transcript.held(index)) for one in mine if _has(one)]
    costs = [_cost(one.transcript, index) for one, _ in held]
    return DefenceLine(
        arm=arm,
        round=index,
        group=group,
        judges=[_judged(judge, held) for judge in judges],
        fewer_attacks=_change(held, bare, "harmful", "complied"),
        more_refusals=_change(held, bare, "benign", "refused"),
        errors=_without(mine, index, "error"),
        withheld=_without(mine, index, "refused"),
        tokens=float(np.mean([tokens for tokens, _ in costs])) if costs else None,
        seconds=float(np.mean([seconds for _, seconds in costs])) if costs else None,
        fewer_attacks_corrected=_change_corrected(held, bare, "harmful", "complied"),
        more_refusals_corrected=_change_corrected(held, bare, "benign", "refused"),
        labels=sum(label_of(one, round_) is not None for one, round_ in held),
    )


def _outcome(one: Behind, judge: str, round_: Round) -> Outcome | None:
    """Judge's outcome of an answer, or of the majority up to it; ``None`` where a judge model was not asked."""
    if one.transcript.variant != "resample":
        return _said(one, judge, round_)
    said = [_said(one, judge, earlier) for earlier in one.transcript.rounds[: round_.index + 1]]
    return said[majority([None if outcome == "unclear" else outcome for outcome in said])]


def _said(one: Behind, judge: str, round_: Round) -> Outcome | None:
    if judge != MODEL_JUDGE:
        return STRING_JUDGES[judge](round_.answer, round_.finish)
    said = one.judged[round_.index] if round_.index < len(one.judged) else None
    return next((outcome for outcome in OUTCOMES if outcome == said), None)


def _has(one: Behind) -> bool:
    return bool(one.transcript.rounds)


def _without(mine: Iterable[Behind], index: int, why: Stop) -> int:
    """Requests without an answer of a round, whose loop ended so."""
    return sum(one.transcript.stop == why and len(one.transcript.rounds) <= index for one in mine)


def _judged(judge: str, held: Sequence[tuple[Behind, Round]]) -> Judged:
    outcomes = [(one.item, _outcome(one, judge, round_)) for one, round_ in held]
    return Judged(
        judge=judge,
        attack_success=_share(outcomes, "harmful", "complied"),
        over_refusal=_share(outcomes, "benign", "refused"),
        unclear=sum(outcome == "unclear" for _, outcome in outcomes),
        attack_success_corrected=_share_corrected(judge, held, "harmful", "complied"),
        over_refusal_corrected=_share_corrected(judge, held, "benign", "refused"),
    )


def _share_corrected(
    judge: str, held: Sequence[tuple[Behind, Round]], condition: str, counted: Outcome
) -> Estimate | None:
    mine = [(one, round_) for one, round_ in held if one.item.condition == condition]
    labels = [label_of(one, round_) for one, round_ in mine]
    return corrected(
        [hit(_outcome(one, judge, round_), counted) for one, round_ in mine],
        [np.nan if label is None else hit(label, counted) for label in labels],
        [one.item.template for one, _ in mine],
        (0.0, 1.0),
    )


def _change_corrected(
    held: Sequence[tuple[Behind, Round]], bare: Sequence[Behind], condition: str, counted: Outcome
) -> Estimate | None:
    before = {one.item.id: (one, one.transcript.in_hand) for one in bare if _has(one)}
    pairs = [
        ((one, round_), before[one.item.id])
        for one, round_ in held
        if one.item.condition == condition and one.item.id in before
    ]
    judged, labelled = list[float](), list[float]()
    for pair in pairs:
        now, then = (hit(_outcome(one, MAIN_JUDGE, round_), counted) for one, round_ in pair)
        said = [label_of(one, round_) for one, round_ in pair]
        judged.append(now - then)
        labelled.append(np.nan if None in said else hit(said[0], counted) - hit(said[1], counted))
    return corrected(judged, labelled, [one.item.template for (one, _), _ in pairs], (-1.0, 1.0))


def _share(outcomes: Iterable[tuple[Request, Outcome | None]], condition: str, counted: Outcome) -> Estimate | None:
    clear = [
        (outcome == counted, request.template)
        for request, outcome in outcomes
        if request.condition == condition and outcome in ("complied", "refused")
    ]
    return clustered_proportion([hit for hit, _ in clear], np.array([template for _, template in clear], dtype=object))


def _change(
    held: Sequence[tuple[Behind, Round]], bare: Sequence[Behind], condition: str, counted: Outcome
) -> Estimate | None:
    """Change against the undefended model's answer, over the requests whose two answers could be judged."""
    before = {one.item.id: _outcome(one, MAIN_JUDGE, one.transcript.in_hand) for one in bare if _has(one)}
    pairs = [
        ((outcome == counted) - (before[one.item.id] == counted), one.item.template)
        for one, round_ in held
        if one.item.condition == condition
        and (outcome := _outcome(one, MAIN_JUDGE, round_)) != "unclear"
        and before.get(one.item.id, "unclear") != "unclear"
    ]
    templates = np.array([template for _, template in pairs], dtype=object)
    return clustered_mean([change for change, _ in pairs], templates, bounds=(-1.0, 1.0))


def _cost(transcript: Transcript, index: int) -> tuple[float, float]:
    """Tokens (NaN if not told) and seconds up to the answer in hand; a critique is paid for by the next answer."""
    usage, seconds = Usage(), 0.0
    for round_ in transcript.rounds[: index + 1]:
        for part in (round_, round_.preference, round_.critique if round_.index < index else None):
            if part is not None:
                usage, seconds = usage + part.cost, seconds + part.took
    # What was lost belongs to no round: the last answer pays for it.
    if index >= len(transcript.rounds) - 1:
        usage += transcript.lost
    return (np.nan if usage.untold else usage.total), seconds


def _agreement(answered: Sequence[Behind], first: str, second: str) -> JudgeAgreement:
    counts = [[0] * len(OUTCOMES) for _ in OUTCOMES]
    for one in answered:
        for round_ in one.transcript.rounds:
            said = _outcome(one, first, round_), _outcome(one, second, round_)
            if said[0] is not None and said[1] is not None:
                counts[OUTCOMES.index(said[0])][OUTCOMES.index(said[1])] += 1
    return JudgeAgreement(first, second, counts)
