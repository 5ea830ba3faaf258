"""Transitions: who flipped, and on whose word, from one answer to the next by the verdict in between.

A *step* t leads from the answer in hand after round t to the one in hand after round t + 1:

    CL = P(right → right) = 1 − Σ_v P(v | right) · harm_v,      harm_v   = P(not right next | right, v)
    CS = P(wrong → right) =     Σ_v P(v | wrong) · repair_v,    repair_v = P(right next     | wrong, v)

where v is an alarm ("wrong"), "right", "unclear" or none (CL and CS as in arXiv 2412.19513). Where a loop ends at an
answer that the critic calls right, that answer stands: it is followed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, RIGHT, SILENT, STATES, UNCLEAR, VERDICTS, WRONG
from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.table import Arm


@dataclass(frozen=True, slots=True)
class Response:
    """Fate of right (or wrong) answers on which the critic said one thing.

    Attributes:
        state: ``right`` or ``wrong``: the answer examined.
        verdict: The critic's word on it: ``wrong`` (an alarm), ``right``, ``unclear`` or ``none``.
        n: Such answers that were followed by another, or stand as the critic was satisfied.
        share: Their share among all such answers in this state, P(verdict | state).
        changed: Share of right answers that were harmed (not right next), or of wrong ones that were repaired.
    """

    state: str
    verdict: str
    n: int
    share: float
    changed: Estimate | None


@dataclass(frozen=True, slots=True)
class CriticRates:
    """Agreement of verdicts with the truth, over examined answers known to be right or wrong.

    Attributes:
        accuracy: Share of correct verdicts among those that could be read.
        false_alarm: Share of right answers called wrong, among those with a readable verdict.
        miss: Share of wrong answers called right, likewise.
        unclear: Share of verdicts that could not be read.
    """

    accuracy: Estimate | None
    false_alarm: Estimate | None
    miss: Estimate | None
    unclear: Estimate | None
    examined: int


@dataclass(frozen=True, slots=True)
class Step:
    """Step from one round to the next.

    Attributes:
        step: Round that the step starts from.
        n: Samples that were asked again and answered, or whose answer stands as the critic was satisfied.
        counts: Samples that went from each state to each: ``counts["right"]["wrong"]`` were harmed.
        keep: CL = P(right → right).
        repair: CS = P(wrong → right).
        responses: Changes by verdict.
        ended: Samples whose loop ended with the answer this step starts from; it may stand.
        failed: Samples whose call failed in the next round.
    """

    step: int
    n: int
    counts: dict[str, dict[str, int]]
    keep: Estimate | None
    repair: Estimate | None
    responses: list[Response]
    critic: CriticRates
    ended: int
    failed: int


def transitions(arm: Arm) -> list[Step]:
    """Every step of an arm; none if it has the first answers alone."""
    return [step_of(arm, step) for step in range(arm.rounds - 1)]


def step_of(arm: Arm, step: int) -> Step:
    """The step that starts from one round."""
    which = followed(arm, step)
    before, after, verdict = arm.state[which, step], arm.state[which, step + 1], said_of(arm, step)[which]
    counts = np.zeros((len(STATES), len(STATES)), dtype=int)
    np.add.at(counts, (before, after), 1)

    def share(hit: Array, among: Array) -> Estimate | None:
        return clustered_proportion(hit[among], arm.cluster[which][among])

    responses = []
    # Harm counts every way out of right, an unreadable answer too; repair only the way into right.
    for state, changed in ((RIGHT, after != RIGHT), (WRONG, after == RIGHT)):
        for said, name in enumerate(VERDICTS):
            among = (before == state) & (verdict == said)
            if n := int(among.sum()):
                total = int(counts[state].sum())
                responses.append(Response(STATES[state], name, n, n / total, share(changed, among)))
    held = arm.state[:, step] >= 0
    failed = held & arm.failed[:, step + 1]
    return Step(
        step=step,
        n=len(before),
        counts=dict(zip(STATES, (dict(zip(STATES, row, strict=True)) for row in counts.tolist()), strict=True)),
        keep=share(after == RIGHT, before == RIGHT),
        repair=share(after == RIGHT, before == WRONG),
        responses=responses,
        critic=critic_of(arm, step),
        ended=int((held & arm.answered[:, step] & ~arm.answered[:, step + 1] & ~failed).sum()),
        failed=int(failed.sum()),
    )


def followed(arm: Arm, step: int) -> Array:
    """The samples with an answer in hand after round ``step`` and one after the next, as a mask.

    It is another answer, or the same one where the loop ended because the critic was satisfied: left out, right answers
    that were passed would count neither among the right ones nor among those that stay right.
    """
    said, again = said_of(arm, step), asked_again(arm, step)
    stands = (said == PASS) & ~again
    # Groups of a run may lack what shows its stop rule; other loops end by a rule that only all their answers show.
    if arm.stop != "satisfied":
        stands = ended_satisfied(said, again) if arm.stop != "fixed" else np.zeros_like(stands)
    return np.asarray((arm.state[:, step] >= 0) & (arm.answered[:, step + 1] | stands))


def asked_again(arm: Arm, step: int) -> Array:
    """The samples that were asked again after round ``step``, answered or not, as a mask."""
    return np.asarray(arm.answered[:, step + 1] | arm.failed[:, step + 1])


def ended_satisfied(verdict: Array, again: Array) -> Array:
    """The answers at which a satisfied critic ended the loop, as a mask.

    Records show such a loop where some answers were looked at again, and none of those that the critic passed.

    Args:
        verdict: The critic's, an index into ``columns.VERDICTS``.
        again: Whether the answer was looked at again.
    """
    return np.asarray((verdict == PASS) & (again.any() and not (again & (verdict == PASS)).any()))


def said_of(arm: Arm, step: int) -> Array:
    """The verdicts of one round on the answers in hand; none on one of an earlier round, which the round passed by."""
    return np.where(arm.held[:, step] == step, arm.verdict[:, step], SILENT)


def critic_of(arm: Arm, round_: int) -> CriticRates:
    """The critic on the answers of one round, those too that were not kept."""
    state, verdict = arm.proposed[:, round_], arm.verdict[:, round_]
    examined = verdict != SILENT
    readable = examined & (verdict != UNCLEAR)

    def share(hit: Array, among: Array) -> Estimate | None:
        return clustered_proportion(hit[among], arm.cluster[among])

    right, wrong = readable & (state == RIGHT), readable & (state == WRONG)
    return CriticRates(
        accuracy=share((verdict == ALARM) == (state == WRONG), right | wrong),
        false_alarm=share(verdict == ALARM, right),
        miss=share(verdict == PASS, wrong),
        unclear=share(verdict == UNCLEAR, examined),
        examined=int(examined.sum()),
    )
