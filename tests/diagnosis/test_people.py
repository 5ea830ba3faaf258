"""What people's labels make of a judge's finding, over all questions and in every group."""

import numpy as np
import pytest

from second_looks import judged, labels_of
from secondlook.diagnosis.corrected import corrected_mean
from secondlook.diagnosis.diagnose import diagnose, diagnose_all
from secondlook.diagnosis.labels import Labels
from secondlook.layout import ends


def findings(frame, by):
    found = diagnose(frame, labels=Labels(by))
    return found, {"all": found.overall} | {group.group: group for group in found.groups}


def test_what_people_do_not_bear_out_is_undecided_in_every_group():
    frame = judged()
    _, plain = findings(frame, {})
    assert {name: one.finding for name, one in plain.items()} == {"all": "helps", "a": "helps", "b": "helps"}
    assert all(one.recommended_rounds for one in plain.values())
    by = labels_of(frame, "a", true_gain=False) | labels_of(frame, "b", true_gain=False)
    found, shown = findings(frame, by)
    assert {one.finding for one in shown.values()} == {"undecided"}
    assert {one.recommended_rounds for one in shown.values()} == {0}
    assert found.sentence.endswith("By group it helps in 0 of 2 and hurts in 0.")
    # The gain of group a on its own: what the judge says of each question, and what people say of some.
    first, second = (frame[(frame["round"] == at) & (frame["group"] == "a")] for at in (0, 1))
    said = np.where([(None, sample, 0) in by for sample in first["sample"]], 0.0, np.nan)
    change = second["correct"].to_numpy(float) - first["correct"].to_numpy(float)
    gain = corrected_mean(change, said, first["template"], bounds=(-1.0, 1.0)).estimate
    told = f"{100 * gain.value:+.1f} points {ends(gain.low, gain.high, signed=True)}"
    assert shown["a"].reason == f"The judge says that it helps; corrected by people's labels the gain is {told}."


def test_a_group_is_as_its_own_labels_say():
    frame = judged()
    by = labels_of(frame, "a", of=2, true_gain=True) | labels_of(frame, "b", of=2, true_gain=False)
    _, shown = findings(frame, by)
    assert (shown["a"].finding, shown["b"].finding) == ("helps", "undecided")


def test_a_group_without_labels_does_not_outlive_a_finding_that_people_overturned():
    frame = judged()
    _, shown = findings(frame, labels_of(frame, "a", of=2, true_gain=False))
    assert {one.finding for one in shown.values()} == {"undecided"}
    assert shown["b"].reason.endswith(
        "people's labels do not show what the judge says, and of this group there are too few."
    )
    # Where people say what the judge says, the judge's word holds for a group that they have not labelled.
    _, shown = findings(frame, labels_of(frame, "a", of=2, true_gain=True))
    assert {one.finding for one in shown.values()} == {"helps"}


@pytest.mark.parametrize("which", [diagnose_all, lambda *of: {"self": diagnose(of[0], labels=of[1])}])
def test_labels_without_a_judge_overturn_nothing(which):
    frame = judged().drop(columns="judge")
    found = which(frame, Labels(labels_of(frame, "a", true_gain=False)))["self"]
    assert {found.overall.finding, *(group.finding for group in found.groups)} == {"helps"}
