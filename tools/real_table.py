"""Write what a second look did to real models into the README, from the records in ``results/real/`` (``--check``).

A line is a model and a task, a cell the change of accuracy by one second look. Records of another form than the task's
usual one (another prompt, corrupted verdicts, another variant) belong to the studies, and are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import real_records
from evidence_tables import block, refresh

from secondlook.diagnosis.table import Arm
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.layout import DASH, points, share
from secondlook.local.weights import catalogue
from secondlook.studies.pairs import accuracy, arms_of, change, paid_vote

README = Path(__file__).parent.parent / "README.md"
LOOKS = {
    "self": "own check",
    "none": "asked again, no check",
    "vote": "vote of equal cost",
    "tool": "a tool's report",
    "oracle": "the truth's verdict",
}
"""Arms of the table, in the order of its columns."""


def asked(model: str) -> dict[str, dict[str, Arm]]:
    """The plain arms of a model by task: one second look in the usual form. Requests have no accuracy."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for arm in real_records.arms(model):
        if arm.plain and arm.name in LOOKS and arm.task != "requests":
            rows = arm.records[arm.records["arm"] == arm.name]
            found.setdefault(arm.task, {}).setdefault(arm.name, rows)
    return {task: arms_of(pd.concat(arms.values(), ignore_index=True)) for task, arms in found.items()}


def changed(arms: Mapping[str, Arm], look: str) -> ClaimEstimate | None:
    """Accuracy after one second look less that of the first answers; ``None`` where the arm was not asked."""
    if look not in arms:
        return None
    arm = arms[look]
    if look != "vote":
        return change(arm, arm, last=1)
    own = arms["self"]  # whose looks pay for the vote
    at = paid_vote(arm, own, looks=1).round
    return None if at is None else change(own, arm, first=0, last=at)


def cell(found: ClaimEstimate | None) -> str:
    """A change in points with its interval, bold where zero lies outside."""
    if found is None:
        return DASH
    return f"**{points(found)}**" if found.low > 0 or found.high < 0 else points(found)


def table() -> str:
    """A line for each model and task."""
    lines = [
        f"| model, task | questions | first answers right | {' | '.join(LOOKS.values())} |",
        f"|---|---|---|{'---|' * len(LOOKS)}",
    ]
    known = catalogue()
    for name in real_records.models():
        model = f"{known[name].title} ({known[name].quantisation})" if name in known else name
        for task, arms in asked(name).items():
            first = next(arms[look] for look in LOOKS if look in arms)  # greedy, so the same in every arm
            cells = [cell(changed(arms, look)) for look in LOOKS]
            asked_ = f"{len(first.sample)} | {share(accuracy(first, 0))}"
            lines.append(f"| {model}, {task} | {asked_} | {' | '.join(cells)} |")
    said = (
        "Cells are changes of accuracy by one second look, in points with 95% intervals; bold where zero lies outside. "
        "A vote's are of its last answer against the first answers. A bold gain is no finding yet: for *helps* a "
        "critic has to beat every control too, and to lose in neither kind of question. BBQ is a benchmark of social "
        "bias; on its ambiguous questions the truth's verdict nearly gives the answer away "
        "([by kind](docs/findings.md#ambiguous-and-disambiguated-questions))."
    )
    return "\n".join([*lines, "", said]) + "\n"


if __name__ == "__main__":
    otherwise = "README.md does not show results/real/; run: python tools/real_table.py"
    sys.exit(refresh(README, lambda text: block(text, "real", table()), otherwise))
