"""Write what a second look did to real models into the README, from the records in ``results/real/`` (``--check``).

A line is a model and a task, a cell the change of accuracy by one second look. Records of another form than the task's
usual one (another prompt, corrupted verdicts, another variant) belong to the studies, and are left out.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidence_tables import block, refresh

from secondlook.diagnosis.finding import vote_round
from secondlook.diagnosis.table import Arm
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.layout import DASH, points, share
from secondlook.local.weights import catalogue
from secondlook.studies.pairs import accuracy, arms_of, change
from secondlook.studies.real import read_records

ROOT = Path(__file__).parent.parent
README, REAL = ROOT / "README.md", ROOT / "results" / "real"
TASKS = {"own-word-problems": "word problems", "own-gsm8k": "GSM8K", "bbq": "BBQ"}
"""Beginnings of the records' file names, and the table's name of the task."""
LOOKS = {
    "self": "own check",
    "none": "asked again, no check",
    "vote": "vote of equal cost",
    "tool": "a tool's verdict",
    "oracle": "the truth's verdict",
}
"""Arms of the table, in the order of its columns."""


def arms_asked(folder: Path, task: str) -> dict[str, Arm]:
    """The arms of one model on one task: for each, the units of its usual form with the fewest rounds, together."""
    forms: defaultdict[tuple[str, int, str], list[pd.DataFrame]] = defaultdict(list)
    for file in sorted(folder.glob(f"{task}-*.parquet")):
        records = read_records(file)
        form = {name: value for name, value in records.attrs["settings"].items() if name not in ("files", "questions")}
        if _usual(form):
            arm = form["arms"][0]
            key = arm, form.get("rounds", 1), json.dumps(form, sort_keys=True)
            forms[key].append(records[records["arm"] == arm])
    found: dict[str, pd.DataFrame] = {}
    for (arm, _, _), units in sorted(forms.items(), key=lambda item: item[0]):
        found.setdefault(arm, pd.concat(units))
    wanted = [found[arm] for arm in LOOKS if arm in found]
    return arms_of(pd.concat(wanted, ignore_index=True)) if "self" in found else {}


def _usual(form: Mapping[str, Any]) -> bool:
    prompt = str(form["prompt"]).partition("@")[0].partition("/")[2]
    return prompt == "binary-cot" and not form.get("noise") and form.get("variant", "self") == "self"


def changed(arms: Mapping[str, Arm], look: str) -> ClaimEstimate | None:
    """Accuracy after one second look less that of the first answers; ``None`` where the arm was not asked."""
    if look not in arms:
        return None
    own, arm = arms["self"], arms[look]
    if look != "vote":
        return change(arm, arm, last=1)
    if own.tokens is None or arm.tokens is None:
        return None
    paid = vote_round(float(own.tokens[:, :2].sum()), np.cumsum(arm.tokens.sum(axis=0)))
    return change(own, arm, first=0, last=paid)


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
    for folder in sorted(path for path in REAL.glob("*") if path.is_dir()):
        model = (
            f"{known[folder.name].title} ({known[folder.name].quantisation})" if folder.name in known else folder.name
        )
        for task, called in TASKS.items():
            if arms := arms_asked(folder, task):
                own = arms["self"]
                cells = [cell(changed(arms, look)) for look in LOOKS]
                first = share(accuracy(own, 0))
                lines.append(f"| {model}, {called} | {len(own.sample)} | {first} | {' | '.join(cells)} |")
    said = (
        "Cells are changes of accuracy by one second look, in points with 95% intervals; bold where zero lies outside."
    )
    return "\n".join([*lines, "", said]) + "\n"


if __name__ == "__main__":
    otherwise = "README.md does not show results/real/; run: python tools/real_table.py"
    sys.exit(refresh(README, lambda text: block(text, "real", table()), otherwise))
