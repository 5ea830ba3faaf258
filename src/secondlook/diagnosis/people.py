"""People's word on what a judge says: rates corrected by their labels, and findings that these do not bear out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.corrected import corrected_mean
from secondlook.diagnosis.finding import Finding
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.labels import Labels
from secondlook.diagnosis.table import Arm, Table
from secondlook.layout import ends


def said_by_people(table: Table, arm: Arm, labels: Labels) -> Array:
    """Whether people call the answers in hand right, NaN where they do not say, shape ``(n, R)``."""
    contexts = [table.contexts[code] if code >= 0 else None for code in arm.context]
    said = [
        [labels.correct(arm.name, table.samples[sample], int(round_), context) for round_ in line]
        for sample, context, line in zip(arm.sample, contexts, arm.held, strict=True)
    ]
    return np.array([[np.nan if one is None else float(one) for one in line] for line in said])


def corrected_by_people(
    judged: Array, said: Array, at: Array, arm: Arm, bounds: tuple[float, float]
) -> Estimate | None:
    """Mean of a judge's words among some samples (a mask), corrected by labels; ``None`` if these are too few."""
    labelled = at & ~np.isnan(said)
    if np.unique(arm.cluster[labelled]).size < 2:
        return None
    return corrected_mean(judged[at], said[at], arm.cluster[at], bounds=bounds).estimate


def gain_by_people(arm: Arm, said: Array, round_: int, among: Array | None = None) -> Estimate | None:
    """The gain of a round over the first answers, corrected by labels; of some samples (a mask), or all."""
    right, held = arm.right.astype(float), arm.state[:, 0] >= 0
    at = held if among is None else held & among
    return corrected_by_people(right[:, round_] - right[:, 0], said[:, round_] - said[:, 0], at, arm, (-1.0, 1.0))


def by_word(judge: str | None, sentence: str) -> str:
    """A sentence, called the judge's where right and wrong are the word of a model and not the truth."""
    return sentence if judge is None else f"By the word of judge {judge}: {sentence[0].lower()}{sentence[1:]}"


def as_people_say(finding: Finding, gain: Estimate | None) -> Finding:
    """A finding by a judge's word, kept where people's labels, if there are any, show the same."""
    if gain is None or gain.low is None or gain.high is None or finding.effect == "undecided":
        return finding
    if (gain.low > 0) if finding.effect == "helps" else (gain.high < 0):
        return finding
    said = f"{100 * gain.value:+.1f} points {ends(gain.low, gain.high, signed=True)}"
    return replace(
        finding,
        effect="undecided",
        reason=f"The judge says that it {finding.effect}; corrected by people's labels the gain is {said}.",
    )


def group_as_people_say(finding: Finding, gain: Estimate | None, denied: bool) -> Finding:
    """A group's finding by a judge's word, as the group's own labels show it.

    Where these are too few, it stands as long as the labels of all questions do not deny the judge's overall finding.
    """
    if finding.effect == "undecided" or (gain is not None and gain.low is not None) or not denied:
        return as_people_say(finding, gain)
    reason = (
        f"The judge says that it {finding.effect}; over all questions people's labels do not show what the judge says, "
        "and of this group there are too few."
    )
    return replace(finding, effect="undecided", reason=reason)
