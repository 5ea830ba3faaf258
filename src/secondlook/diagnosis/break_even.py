"""How good must the critic be, for a second look to gain more than it harms?

One step gains, in accuracy, with A the share of right answers, f the false alarms and m the misses among readable
verdicts, and u the share of unreadable ones,

    gain(f, m) = (1 − A) [(1 − u_w) ((1 − m) r_alarm + m r_pass) + u_w r_unclear]
                 −    A  [(1 − u_r) (f h_alarm + (1 − f) h_pass) + u_r h_unclear],

with r the repairs of wrong answers and h the harms of right ones after each verdict. It is zero on a line in f × m, the
break-even curve. For a critic whose verdicts are right with one probability a (f = m = 1 − a), are always readable, and
matter only through alarms, it crosses zero at

    a* = A h / (A h + (1 − A) r).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from secondlook.diagnosis.columns import ALARM, PASS, RIGHT, SILENT, UNCLEAR, WRONG, Array
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.table import Arm
from secondlook.diagnosis.transitions import critic_of, followed

_FALSE_ALARMS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the break-even curve.

    Attributes:
        false_alarm: Share of right answers called wrong.
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

    def miss(self, false_alarm: float) -> float:
        """The misses at which the gain is zero; outside 0..1 where there are none, infinite if misses do not matter."""
        rest = self.gain(false_alarm, 0.0)
        return rest / self.slope_m if self.slope_m else float(np.copysign(np.inf, rest))

    def symmetric(self) -> float | None:
        """The accuracy a of a critic with f = m = 1 − a at which the gain is zero; ``None`` if it does not matter."""
        slope = self.slope_f + self.slope_m
        return 1 - self.level / slope if slope else None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What the critic's accuracy has to be.

    Attributes:
        accuracy: a* of a symmetric critic, with its interval; the interval is ``None`` where it cannot be estimated.
        general: The same with everything that happens without an alarm; it may lie outside 0..1 (then a second look
            gains, or harms, whatever the critic says).
        curve: Break-even misses for some rates of false alarm.
        expected_gain: Gain of one step at the measured false alarms and misses.
        sentence: The critic against it, in words.
    """

    accuracy: Estimate | None
    general: float | None
    curve: list[Point]
    expected_gain: float | None
    sentence: str


def symmetric(accuracy: float, harm: float, repair: float) -> float | None:
    """a* = A·harm / (A·harm + (1 − A)·repair); ``None`` if alarms change nothing."""
    cost, gain = accuracy * harm, (1 - accuracy) * repair
    return cost / (cost + gain) if cost + gain else None


def break_even(arm: Arm, step: int = 0) -> BreakEven | str:
    """The break-even accuracy of the critic for one step of an arm; or why there is none, in a sentence's words.

    The interval of a* is clustered and from the delta method on its log-odds, logit A + log h − log r, so that it stays
    within 0..1. Answers that cannot be read or judged are left out.
    """
    if arm.rounds <= step + 1:
        return "nothing was asked again"
    which = followed(arm, step) & (arm.verdict[:, step] != SILENT) & np.isin(arm.state[:, step], (RIGHT, WRONG))
    if not which.any():
        return "no examined answer was followed by another"
    right, verdict = arm.state[which, step] == RIGHT, arm.verdict[which, step]
    changed = np.where(right, ~arm.right[which, step + 1], arm.right[which, step + 1])
    if right.all() or not right.any():
        return f"all examined answers were {'right' if right.all() else 'wrong'}"
    alarm = verdict == ALARM
    if not (right & alarm).any():
        return "there was no false alarm, so harm after one is not known"
    if not (~right & alarm).any():
        return "there was no true alarm, so repair after one is not known"
    accuracy = _symmetric(right, alarm, changed, arm.cluster[which])
    line = _line(right, verdict, changed)
    critic = critic_of(arm.take(which), step)
    gain = None
    if line and critic.false_alarm and critic.miss:
        gain = line.gain(critic.false_alarm.value, critic.miss.value)
    return BreakEven(
        accuracy=accuracy,
        general=line.symmetric() if line else None,
        curve=[_point(line, share) for share in _FALSE_ALARMS] if line else [],
        expected_gain=gain,
        sentence=_sentence(accuracy, critic.accuracy, critic.false_alarm, critic.miss, line),
    )


def _symmetric(right: Array, alarm: Array, changed: Array, cluster: Array) -> Estimate | None:
    """a* with its interval: each of the three shares adds its residuals to the log-odds, summed by template."""
    share = float(right.mean())
    shares = [(right, np.ones_like(right), share)]
    for among in (right & alarm, ~right & alarm):
        shares.append((changed, among, float(changed[among].mean())))
    (_, _, a), (_, _, harm), (_, _, repair) = shares
    value = symmetric(a, harm, repair)
    if value is None:
        return None
    _, index = np.unique(cluster, return_inverse=True)
    count = int(index.max()) + 1
    if count < 2 or harm == 0 or repair == 0:
        return Estimate(value, None, None, len(right), count)
    influence = np.zeros(count)
    for (hit, among, p), weight in zip(shares, (1 / (a * (1 - a)), 1 / harm, -1 / repair), strict=True):
        influence += weight * np.bincount(index[among], weights=hit[among] - p, minlength=count) / among.sum()
    error = float(np.sqrt(count / (count - 1) * (influence**2).sum()))
    half = float(stats.t.ppf(0.975, count - 1)) * error
    low, high = (float(special.expit(special.logit(value) + side * half)) for side in (-1, 1))
    return Estimate(value, low, high, len(right), count)


def _line(right: Array, verdict: Array, changed: Array) -> Line | None:
    """The gain as a function of false alarms and misses; ``None`` if what follows no alarm was never seen."""
    level = slope_f = slope_m = 0.0
    for state, sign in ((right, -1), (~right, 1)):
        weight = sign * float(state.mean())
        unclear = float((verdict[state] == UNCLEAR).mean())
        alarm, passed, odd = (_after(changed, state & (verdict == said)) for said in (ALARM, PASS, UNCLEAR))
        if alarm is None or passed is None:
            return None
        level += weight * ((1 - unclear) * (passed if sign < 0 else alarm) + unclear * (odd or 0.0))
        slope = weight * (1 - unclear) * (alarm - passed)
        if sign < 0:
            slope_f = -slope
        else:
            slope_m = slope
    return Line(level, slope_f, slope_m)


def _after(changed: Array, among: Array) -> float | None:
    return float(changed[among].mean()) if among.any() else None


def _point(line: Line, false_alarm: float) -> Point:
    miss = line.miss(false_alarm)
    if 0 <= miss <= 1:
        return Point(false_alarm, miss, None)
    return Point(false_alarm, None, line.gain(false_alarm, 0.5) > 0)


def _sentence(
    needed: Estimate | None,
    measured: Estimate | None,
    false_alarm: Estimate | None,
    miss: Estimate | None,
    line: Line | None,
) -> str:
    if needed is None or measured is None:
        return "Alarms change no answer, so the critic's accuracy does not matter."
    told = (
        f"The critic is right on {_percent(measured)} of the answers; a symmetric one has to be on {_percent(needed)}."
    )
    if line is None or false_alarm is None or miss is None:
        return told
    told += f" It raises {100 * false_alarm.value:.0f}% false alarms and misses {100 * miss.value:.0f}%"
    point = _point(line, false_alarm.value)
    if point.miss is None:
        always = "gains" if point.gains else "harms"
        return f"{told}; at so many false alarms a second look {always} whatever it misses."
    return f"{told}; at so many false alarms it may miss {100 * point.miss:.0f}%."


def _percent(share: Estimate) -> str:
    span = "" if share.low is None or share.high is None else f" [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return f"{100 * share.value:.0f}%{span}"
