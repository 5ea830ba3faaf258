"""The diagnosis of a table: will looking again help this model, how many times, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from secondlook.diagnosis.bias import bias_by_round
from secondlook.diagnosis.break_even import break_even
from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import REFUSED, RIGHT, UNPARSED, WRONG
from secondlook.diagnosis.confidence import Confidence, confidence
from secondlook.diagnosis.dose import DoseResponse, correlate, dose_response
from secondlook.diagnosis.finding import CONTROLS, Finding, adjust, controls, finding_of
from secondlook.diagnosis.forecast import Forecast, forecast
from secondlook.diagnosis.form import FORMAT, Diagnosis, GroupDiagnosis, RoundState
from secondlook.diagnosis.intervals import Estimate, clustered_proportion
from secondlook.diagnosis.labels import Labels
from secondlook.diagnosis.paired import paired_change, samples_for
from secondlook.diagnosis.people import (
    as_people_say,
    by_word,
    corrected_by_people,
    gain_by_people,
    group_as_people_say,
    said_by_people,
)
from secondlook.diagnosis.recommend import Recommendation, recommend_rounds
from secondlook.diagnosis.table import UNNAMED, Arm, Table, check_table
from secondlook.diagnosis.transitions import critic_of, step_of, transitions
from secondlook.layout import ends

T = TypeVar("T")
_FINE = 0.03  # half width of the interval to aim at


def diagnose(
    frame: pd.DataFrame,
    *,
    arm: str | None = None,
    round_: int | None = None,
    price: float = 0.0,
    labels: Labels | None = None,
) -> Diagnosis:
    """Diagnose one arm of a table against the first answers and the controls the table holds.

    Args:
        frame: One row per arm, sample and round; see :func:`~secondlook.diagnosis.table.check_table`.
        arm: The arm; by default ``self``, or else the first by name that is no control and asks again,
            an oracle last.
        round_: The round to judge; the last by default.
        price: Points of accuracy that 1,000 more tokens per sample must bring.
        labels: What people say of some answers, by which accuracies and gains are corrected.

    Raises:
        ValueError: If the table is not in order, or the arm or round is not in it.
    """
    return _diagnose(check_table(frame), arm, round_, price, labels)


def diagnose_all(frame: pd.DataFrame, labels: Labels | None = None) -> dict[str, Diagnosis]:
    """A diagnosis of every arm that has an answer, by its name.

    Args:
        frame: As :func:`diagnose` takes it.
        labels: What people say of some answers.

    Raises:
        ValueError: If the table is not in order.
    """
    table = check_table(frame)
    return {name: _diagnose(table, name, labels=labels) for name, arm in table.arms.items() if arm.answered.any()}


def _diagnose(
    table: Table, arm: str | None, round_: int | None = None, price: float = 0.0, labels: Labels | None = None
) -> Diagnosis:
    others = controls(table)
    chosen = _choose(table, others, arm)
    # A control may be diagnosed too; it is not compared with itself.
    others = {name: other for name, other in others.items() if other is not chosen}
    last = chosen.rounds - 1 if round_ is None else round_
    if not 0 <= last < chosen.rounds:
        raise ValueError(f"round is {last}; arm {chosen.name!r} has rounds 0 to {chosen.rounds - 1}")
    if not chosen.answered.any():
        raise ValueError(f"arm {chosen.name!r} has no answer, every call failed; run it again")
    # `always-unknown` abstains: a control only where there are ambiguous questions, on which that is right.
    possible = [name for name in CONTROLS if name != "always-unknown" or "ambig" in table.contexts]
    uncontrolled = [f"the gain over {CONTROLS[name]} (no arm {name})" for name in possible if name not in others]
    unpriced = (
        ["rounds that are worth their price (tokens are not known)"] if price > 0 and chosen.tokens is None else []
    )
    cannot = [*table.cannot, *unpriced, *uncontrolled]
    said = None if labels is None else said_by_people(table, chosen, labels)
    if said is not None and np.isnan(said).all():
        cannot.append(f"corrected rates (no label belongs to an answer of arm {chosen.name!r})")
    predicted = _or_say(forecast(chosen), "the forecast", cannot)
    even = _or_say(break_even(chosen), "the break-even accuracy of the critic", cannot)
    states = _rounds(chosen, said)
    by_judge = finding = finding_of(chosen, others, table.contexts, last)
    if table.judge is not None:
        finding = as_people_say(by_judge, states[last].gain_corrected)
    overall = _group("all", chosen, finding, predicted, table, last, price)
    compared = overall.comparisons[1:]
    cannot += [f"the gain over {CONTROLS[part.against]} ({part.note})" for part in compared if part.change is None]
    findings = _group_findings(table, chosen, others, last)
    if table.judge is not None and said is not None:
        denied = finding.effect != by_judge.effect
        findings = {
            code: group_as_people_say(found, gain_by_people(chosen, said, last, chosen.group == code), denied)
            for code, found in findings.items()
        }
    groups = [
        _group(table.groups[code], part, found, _or_say(forecast(part)), table, last, price)
        for code, found in findings.items()
        for part in [chosen.take(chosen.group == code)]
    ]
    steps = transitions(chosen)
    # Diagnosis and forecast take CL and CS from the first step alone.
    for step in steps[:1]:
        for rate, name, state in ((step.keep, "CL", "right"), (step.repair, "CS", "wrong")):
            if rate is None:
                cannot.append(f"{name} = P({state} → right) (no first answer was {state})")
    known = [
        (group.gain.value, group.critic.accuracy.value) for group in groups if group.gain and group.critic.accuracy
    ]
    correlation = correlate([gain for gain, _ in known], [accuracy for _, accuracy in known])
    return Diagnosis(
        format=FORMAT,
        model=table.model,
        arm=chosen.name,
        critic=chosen.critic,
        variant=chosen.variant,
        prompt=chosen.prompt,
        round=last,
        sentence=_sentence(chosen, overall, groups, last, table.judge),
        overall=overall,
        groups=groups,
        rounds=states,
        steps=steps,
        forecast=predicted,
        break_even=even,
        recommendation=_recommend(chosen, predicted, price),
        bias=bias_by_round(chosen, table.contexts),
        dose=_or_say(_dose(table), "dose-response", cannot) if _flipped(table) else None,
        correlation=_or_say(correlation, "gain against critic accuracy over groups", cannot)
        if len(groups) > 1
        else None,
        advice=_advice(overall, others),
        cannot=cannot,
        notes=_notes(table, chosen, overall, labelled=said is not None and not np.isnan(said).all()),
        stop=chosen.stop,
        max_tokens=token_limit(chosen.decoding),
        chat_template=chosen.chat_template,
        critic_confidence=_confidence(chosen, chosen.p_wrong[:, 0], WRONG),
        answer_confidence=_confidence(chosen, chosen.p_answer[:, 0], RIGHT),
        judge=table.judge,
        keep=chosen.keep,
        noise=chosen.noise,
    )


def token_limit(decoding: str | None) -> int | None:
    """The limit of a reply's tokens among decoding settings."""
    try:
        limit = json.loads(decoding or "{}").get("max_tokens")
    except (ValueError, AttributeError):
        return None
    return limit if isinstance(limit, int) else None


def second_looks(frame: pd.DataFrame) -> list[str]:
    """Names of the arms that are worth a diagnosis: they ask again, and are neither a control nor an oracle's.

    Raises:
        ValueError: If the table is not in order.
    """
    table = check_table(frame)
    set_aside = {other.name for other in controls(table).values()}
    arms = [arm for arm in table.arms.values() if arm.rounds > 1 and arm.critic not in ("none", "oracle")]
    return [arm.name for arm in arms if arm.name not in set_aside]


def _choose(table: Table, others: dict[str, Arm], name: str | None) -> Arm:
    """The arm to diagnose."""
    if name is not None:
        if name not in table.arms:
            raise ValueError(f"there is no arm {name!r}; the table has {', '.join(table.arms)}")
        return table.arms[name]
    set_aside = [other.name for other in others.values()]
    treated = [arm for arm in table.arms.values() if arm.name not in set_aside] or list(table.arms.values())
    # min takes the first of equals, and the arms of a table are sorted by name.
    return min(treated, key=lambda arm: (arm.name != "self", arm.rounds == 1, arm.critic == "oracle", arm.noise or 0.0))


def _or_say(found: T | str, what: str = "", cannot: list[str] | None = None) -> T | None:
    """Result; or ``None``, and the reason joins what cannot be estimated, if that is asked for."""
    if not isinstance(found, str):
        return found
    if cannot is not None:
        cannot.append(f"{what} ({found})")
    return None


def _rounds(arm: Arm, said: Array | None = None) -> list[RoundState]:
    right, held = arm.right.astype(float), arm.state >= 0
    corrected = dict[int, tuple[Estimate | None, Estimate | None]]()
    for index in range(0 if said is None else arm.rounds):
        assert said is not None
        corrected[index] = (
            corrected_by_people(right[:, index], said[:, index], held[:, index], arm, (0.0, 1.0)),
            gain_by_people(arm, said, index) if index else None,
        )
    spent = arm.spent
    return [
        RoundState(
            round=index,
            samples=int((at := arm.state[:, index] >= 0).sum()),
            accuracy=clustered_proportion(arm.right[at, index], arm.cluster[at]),
            gain=_gain(arm, index) if index else None,
            unparsed=int((arm.state[:, index] == UNPARSED).sum()),
            refused=int((arm.state[:, index] == REFUSED).sum()),
            failed=int(arm.failed[:, index].sum()),
            tokens=None if spent is None else float(spent[:, index].mean()),
            elicited=int(arm.elicited[:, index].sum()),
            elicited_verdicts=int(arm.elicited_verdict[:, index].sum()),
            accuracy_corrected=corrected.get(index, (None, None))[0],
            gain_corrected=corrected.get(index, (None, None))[1],
        )
        for index in range(arm.rounds)
    ]


def _confidence(arm: Arm, probability: Array, state: int) -> Confidence | None:
    """Quality of a probability that the first answers are in a state, over those that can be judged."""
    known = ~np.isnan(probability) & np.isin(arm.state[:, 0], (RIGHT, WRONG))
    return confidence(probability[known], arm.state[known, 0] == state, arm.cluster[known])


def _gain(arm: Arm, round_: int) -> Estimate | None:
    # A sample with a first answer has one in hand in every later round.
    at = arm.state[:, 0] >= 0
    return paired_change(arm.right[at, 0], arm.right[at, round_], arm.cluster[at]).estimate


def _recommend(arm: Arm, predicted: Forecast | None, price: float) -> Recommendation:
    held = (arm.state >= 0).sum(axis=0)
    if not held.all():
        return Recommendation(0, price, [])  # a round without any answer: nothing to choose between
    if price > 0 and arm.tokens is None:
        return Recommendation(0, price, [])  # what a look costs is not known, so neither is whether it is worth it
    if price and arm.critique_tokens is None:
        raise ValueError(
            f"price is {price:g}, and what a first look costs is not known: the table has no column tokens_critique, "
            "the tokens of the critique in each row; give it, or no price"
        )
    spent = None if arm.spent is None else arm.spent.mean(axis=0).tolist()
    return recommend_rounds((arm.right.sum(axis=0) / held).tolist(), spent, predicted, price)


def _group_findings(table: Table, arm: Arm, others: dict[str, Arm], last: int) -> dict[int, Finding]:
    """The finding of every group of the arm, by its number, adjusted for how many they are."""
    codes = [int(code) for code in np.unique(arm.group)]
    findings = []
    for code in codes:
        control = {name: other.take(other.group == code) for name, other in others.items()}
        findings.append(finding_of(arm.take(arm.group == code), control, table.contexts, last))
    return dict(zip(codes, adjust(findings), strict=True))


def _group(
    name: str, arm: Arm, finding: Finding, predicted: Forecast | None, table: Table, last: int, price: float
) -> GroupDiagnosis:
    at = arm.state[:, 0] >= 0
    first = step_of(arm, 0) if arm.rounds > 1 else None
    even = _or_say(break_even(arm))
    contexts = {code: arm.take(arm.context == code) for code in np.unique(arm.context) if code >= 0}
    return GroupDiagnosis(
        group=name,
        n=int(at.sum()),
        finding=finding.effect,
        reason=finding.reason,
        p=finding.p,
        recommended_rounds=_recommend(arm, predicted, price).rounds if finding.effect == "helps" else 0,
        accuracy=clustered_proportion(arm.right[at, 0], arm.cluster[at]),
        gain=_gain(arm, last),
        comparisons=list(finding.comparisons),
        contexts={table.contexts[code]: _gain(part, last) for code, part in contexts.items()},
        critic=critic_of(arm, 0),
        break_even=even.accuracy if even else None,
        keep=first.keep if first else None,
        repair=first.repair if first else None,
        forecast=predicted,
    )


def _flipped(table: Table) -> bool:
    """Whether verdicts were flipped on purpose; only then a dose-response is asked for."""
    return any(arm.noise for arm in table.arms.values())


def _dose(table: Table) -> DoseResponse | str:
    """Dose-response of the critic that has most doses."""
    arms = [arm for arm in table.arms.values() if arm.noise is not None]
    most = Counter(arm.critic for arm in arms).most_common(1)
    return dose_response([arm for arm in arms if arm.critic in dict(most)])


def _sentence(arm: Arm, overall: GroupDiagnosis, groups: Sequence[GroupDiagnosis], last: int, judge: str | None) -> str:
    gain = overall.gain
    if gain is None or last == 0:
        return f"Whether looking again helps is undecided. {overall.reason}"
    looks = {1: "once", 2: "twice"}.get(last, f"{last} times")
    # The first letter follows, as it stands at the beginning or within the sentence.
    subject = f"ooking again {looks}{'' if arm.critic == UNNAMED else f' (critic: {arm.critic})'}"
    claim = f"L{subject} {overall.finding} this model"
    if overall.finding == "undecided":
        claim = f"Whether l{subject} helps this model is undecided"
    claim = by_word(judge, claim)
    change = f"{100 * gain.value:+.1f} points {ends(gain.low, gain.high, signed=True)}".rstrip()
    said = f"{claim}: {change} against the first answers, n = {gain.n:,}. {overall.reason}"
    if len(groups) > 1:
        helped, hurt = (sum(group.finding == effect for group in groups) for effect in ("helps", "hurts"))
        said += f" By group it helps in {helped} of {len(groups)} and hurts in {hurt}."
    return said


def _advice(overall: GroupDiagnosis, others: dict[str, Arm]) -> list[str]:
    """Sentences on what to do next."""
    first = overall.comparisons[0]
    advice = []
    gain = first.change
    if gain is not None and gain.low is not None and gain.high is not None and first.gained + first.lost:
        needed = samples_for(_FINE, first.gained, first.lost, first.n, first.design or 1.0)
        advice.append(
            f"±{100 * _FINE:g} points for the gain needs {needed:,} samples at this rate of change; these {first.n:,} "
            f"give ±{50 * (gain.high - gain.low):.1f}."
        )
    if "none" not in others:
        advice.append("Run an arm that asks again without a critique (--critic none): a gain may be no more than that.")
    critic, needed_accuracy = overall.critic.accuracy, overall.break_even
    if critic and needed_accuracy and needed_accuracy.low is not None and critic.value < needed_accuracy.low:
        advice.append("Make the critic better before asking again: it is right less often than breaking even takes.")
    return advice


def _notes(table: Table, arm: Arm, overall: GroupDiagnosis, *, labelled: bool) -> list[str]:
    clusters = overall.accuracy.clusters if overall.accuracy else 0
    about = (
        f"{table.rows:,} rows; intervals are 95%, clustered by {clusters:,} templates; findings of groups are adjusted "
        "for their number."
    )
    rest = ", ".join(name for name in table.arms if name != arm.name)
    notes = [f"Other arms in the table: {rest} (choose one with --arm).", about] if rest else [about]
    if table.judge is not None:
        remedy = "the corrected rates are the truth's" if labelled else "label some answers and give --judge-labels"
        notes.append(f"Right and wrong are what judge {table.judge} says, not the truth: {remedy}.")
    return notes
