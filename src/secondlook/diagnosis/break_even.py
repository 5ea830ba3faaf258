"""Break-even: how good the critic must be for a second look to gain more than it harms.

One step gains, in accuracy, with A the share of right answers, f the false alarms and m the misses among readable
verdicts, and u the share of unreadable ones,

    gain(f, m) = (1 − A) [(1 − u_w) ((1 − m) r_alarm + m r_pass) + u_w r_unclear]
                 −    A  [(1 − u_r) (f h_alarm + (1 − f) h_pass) + u_r h_unclear],

with r the repairs of wrong answers and h the harms of right ones after each verdict. It is zero on a line in f × m, the
break-even curve. For a critic whose verdicts are right with one probability a (f = m = 1 − a), are always readable, and
matter only through alarms, it crosses zero at

    a* = A h / (A h + (1 − A) r).

Any critic that matters through alarms alone gains iff more than h / (h + r) of its alarms are true. With h = r that is
one half, which is what a theorem says of verdicts in the context of a transformer (docs/theory.md, T12 b).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import ALARM, PASS, RIGHT, SILENT, UNCLEAR, WRONG
from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.table import Arm
from secondlook.diagnosis.transitions import CriticRates, asked_again, critic_of, followed, said_of
from secondlook.layout import share

_FALSE_ALARMS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the break-even curve.

    Attributes:
        miss: Misses at which a step neither gains nor harms; ``None`` if there are none between 0 and 1.
        gains: Without such a miss rate: whether a step gains whatever the critic misses (else it harms).
    """

    false_alarm: float
    miss: float | None
    gains: bool | None


@dataclass(frozen=True, slots=True)
class Line:
    """The gain of a step as a function of false alarms f and misses m: ``level − slope_f · f − slope_m · m``."""

    level: float
    slope_f: float
    slope_m: float

    def gain(self, false_alarm: float, miss: float) -> float:
        """Expected change of accuracy over one step."""
        return self.level - self.slope_f * false_alarm - self.slope_m * miss

    def symmetric(self) -> float | None:
        """The accuracy a of a critic with f = m = 1 − a at which the gain is zero; ``None`` if it does not matter."""
        slope = self.slope_f + self.slope_m
        return 1 - self.level / slope if slope else None

    def point(self, false_alarm: float) -> Point:
        """Point where the line crosses zero at a rate of false alarms."""
        rest = self.gain(false_alarm, 0.0)
        if self.slope_m and 0 <= (miss := rest / self.slope_m) <= 1:
            return Point(false_alarm, miss, None)
        # The gain has one sign at all misses from 0 to 1, so that any of them tells it.
        return Point(false_alarm, None, self.gain(false_alarm, 0.5) > 0)


@dataclass(frozen=True, slots=True)
class Alarms:
    """Whether alarms are true often enough to look again, where answers change through alarms alone.

    Attributes:
        precision: P(wrong | alarm), of the alarms that were followed by another answer.
        needed: h / (h + r), which it has to exceed; ``None`` if alarms change nothing.
    """

    precision: Estimate
    needed: Estimate | None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Accuracy that the critic needs.

    Attributes:
        accuracy: a* of a symmetric critic, with its interval; the interval is ``None`` where it cannot be estimated.
        general: a* when changes without an alarm count too; it may lie outside 0..1 (then a second look
            gains, or harms, whatever the critic says).
        expected_gain: Gain of one step at the measured false alarms and misses.
        sentence: The critic against it, in words.
        alarms: Break-even in terms of alarms; ``None`` in diagnoses of earlier versions.
    """

    accuracy: Estimate | None
    general: float | None
    curve: list[Point]
    expected_gain: float | None
    sentence: str
    alarms: Alarms | None = None


def break_even(arm: Arm, step: int = 0) -> BreakEven | str:
    """The break-even accuracy of the critic for one step of an arm; or why there is none, in a sentence's words.

    The interval of a* is clustered and from the delta method on its log-odds, logit A + log h − log r, so that it stays
    within 0..1. Answers that cannot be read or judged are left out. One that the critic passed, and with which the loop
    ended, is an unchanged one.
    """
    if arm.rounds <= step + 1:
        return "nothing was asked again"
    examined, follows = said_of(arm, step) != SILENT, followed(arm, step)
    ended = int((examined & ~follows & ~asked_again(arm, step)).sum()) if arm.stop == "gate" else 0
    which = follows & examined & np.isin(arm.state[:, step], (RIGHT, WRONG))
    if not (which & arm.answered[:, step + 1]).any():
        return "no examined answer was followed by another"
    if ended:
        return f"a gate ended the loop at {ended} examined answers, and not because the critic called them right"
    right, verdict = arm.state[which, step] == RIGHT, arm.verdict[which, step]
    changed, alarm = right != arm.right[which, step + 1], verdict == ALARM
    if right.all() or not right.any():
        return f"all examined answers were {'right' if right.all() else 'wrong'}"
    for seen, kind, change in ((right & alarm, "false", "harm"), (~right & alarm, "true", "repair")):
        if not seen.any():
            return f"there was no {kind} alarm, so {change} after one is not known"
    accuracy, needed = (_balance(right, alarm, changed, arm.cluster[which], prior=prior) for prior in (True, False))
    precision = clustered_proportion(~right[alarm], arm.cluster[which][alarm])
    assert precision is not None  # there are alarms
    alarms = Alarms(precision, needed)
    line = _line(right, verdict, changed)
    # The critic's rates on the very answers of the line: `expected_gain` is then the change that was measured.
    critic = critic_of(arm.take(which), step)
    gain = None
    if line and critic.false_alarm and critic.miss:
        gain = line.gain(critic.false_alarm.value, critic.miss.value)
    return BreakEven(
        accuracy=accuracy,
        general=line.symmetric() if line else None,
        curve=[line.point(rate) for rate in _FALSE_ALARMS] if line else [],
        expected_gain=gain,
        sentence=_sentence(accuracy, critic, line, alarms),
        alarms=alarms,
    )


def _balance(right: Array, alarm: Array, changed: Array, cluster: Array, *, prior: bool) -> Estimate | None:
    """Balance of harm and repair: a*, or h / (h + r) without the ``prior`` A; ``None`` if alarms change nothing.

    Each of the shares adds its residuals to the log-odds, summed by template.
    """
    among = np.ones_like(right), right & alarm, ~right & alarm
    a, harm, repair = (float(hit[of].mean()) for hit, of in zip((right, changed, changed), among, strict=True))
    cost, gain = (a * harm, (1 - a) * repair) if prior else (harm, repair)
    if not cost + gain:
        return None
    value = cost / (cost + gain)
    _, index = np.unique(cluster, return_inverse=True)
    count = int(index.max()) + 1
    # The logarithm of a rate of zero has no standard error.
    if count < 2 or harm == 0 or repair == 0:
        return Estimate(value, None, None, len(right), count)
    influence = np.zeros(count)
    # Derivatives of logit A + log harm − log repair by the three shares; without the prior the first is zero.
    first = prior / (a * (1 - a))
    slopes = (right, a, first), (changed, harm, 1 / harm), (changed, repair, -1 / repair)
    for of, (hit, p, weight) in zip(among, slopes, strict=True):
        influence += weight * np.bincount(index[of], weights=hit[of] - p, minlength=count) / of.sum()
    error = float(np.sqrt(count / (count - 1) * (influence**2).sum()))
    half = float(special.stdtrit(count - 1, 0.975)) * error
    low, high = (float(special.expit(special.logit(value) + side * half)) for side in (-1, 1))
    return Estimate(value, low, high, len(right), count)


def _line(right: Array, verdict: Array, changed: Array) -> Line | None:
    """The gain as a function of false alarms and misses; ``None`` if what follows no alarm was never seen."""
    level, slopes = 0.0, []
    # At f = 0 right answers are passed, at m = 0 wrong ones alarmed; f and m take that away.
    for state, sign, base in ((right, -1, PASS), (~right, 1, ALARM)):
        weight = sign * float(state.mean())
        unclear = float((verdict[state] == UNCLEAR).mean())
        cells = {said: changed[state & (verdict == said)] for said in (ALARM, PASS, UNCLEAR)}
        rates = {said: float(cell.mean()) for said, cell in cells.items() if cell.size}
        if ALARM not in rates or PASS not in rates:
            return None
        level += weight * ((1 - unclear) * rates[base] + unclear * rates.get(UNCLEAR, 0.0))
        slopes.append(abs(weight) * (1 - unclear) * (rates[ALARM] - rates[PASS]))
    return Line(level, *slopes)


def _sentence(needed: Estimate | None, critic: CriticRates, line: Line | None, alarms: Alarms) -> str:
    if needed is None or critic.accuracy is None:
        return "Alarms change no answer, so the critic's accuracy does not matter."
    told = (
        f"The critic is right on {share(critic.accuracy, digits=0, interval=True)} of the answers; a symmetric one has "
        f"to be on {share(needed, digits=0, interval=True)}. Look again iff more than "
        f"{share(alarms.needed, digits=0, interval=True)} of its alarms are true (harm / (harm + repair)): "
        f"{share(alarms.precision, digits=0, interval=True)} are."
    )
    if line is None or critic.false_alarm is None or critic.miss is None:
        return told
    point = line.point(critic.false_alarm.value)
    allowed = f"it may miss {100 * (point.miss or 0):.0f}%."
    if point.miss is None:
        allowed = f"a second look {'gains' if point.gains else 'harms'} whatever it misses."
    rates = f"raises {share(critic.false_alarm, digits=0)} false alarms and misses {share(critic.miss, digits=0)}"
    return f"{told} It {rates}; at so many false alarms {allowed}"
