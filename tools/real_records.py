"""The committed records of real models, an arm at a time: its files, one for each category, together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.evaluation.study import UNKNOWN
from secondlook.local.weights import catalogue
from secondlook.studies.real import ATTACKS, CATEGORIES

REAL = Path(__file__).parent.parent / "results" / "real"
_TASKS = {
    "bbq": "BBQ",
    "own-word-problems": "word problems",
    "own-gsm8k": "GSM8K",
    "own-human-eval": "HumanEval",
    "refusal": "requests",
}
_PARTS = {"bbq": len(CATEGORIES), "refusal": len(ATTACKS) + 1}
"""Units of an arm that is asked category by category, or file by file."""


@dataclass(frozen=True)
class RealArm:
    """One arm that was asked of a real model.

    Attributes:
        model: The folder of its records.
        task: In words.
        name: The arm.
        prompt: The format of its critiques.
        settings: Those of its records but for the part of the data.
        records: All of them; BBQ's have the arm that always abstains beside it.
    """

    model: str
    task: str
    name: str
    prompt: str
    settings: dict[str, Any]
    records: pd.DataFrame

    @property
    def plain(self) -> bool:
        """Whether it is one second look in the usual form, with a critic that does not err on purpose."""
        return not self.differs

    @property
    def differs(self) -> str:
        """In what it differs from that, in words."""
        said = []
        if noise := self.settings.get("noise"):
            said.append(f"{100 * noise:.0f}% flipped")
        if self.prompt != "binary-cot":
            said.append(self.prompt)
        if (variant := self.settings.get("variant", "self")) != "self":
            said.append(variant)
        if self.looks > 1:
            said.append(f"{self.looks} looks")
        return ", ".join(said)

    @property
    def critic(self) -> str:
        """Who judges, whether or not verdicts are flipped."""
        return unflipped(self.name)

    @property
    def looks(self) -> int:
        """How many second looks it made."""
        return int(self.settings.get("rounds", 1))


def unflipped(critic: str) -> str:
    """A critic's name without the share of its verdicts that are flipped, which tables tell beside it."""
    return re.sub(r"noisy\([^,]+, (.+)\)", r"\1", critic)


def whole(benchmark: str, units: Sequence[pd.DataFrame]) -> bool:
    """Whether these units of an arm are all of them: of a part of its questions nothing is said."""
    return len(units) == _PARTS.get(benchmark, 1)


def models() -> list[str]:
    """Models with records: those of the catalogue in its order, then others."""
    known = [*catalogue()]
    found = [file.name for file in REAL.glob("*") if any(file.glob("*.parquet"))]
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name))


def arms(model: str) -> Iterator[RealArm]:
    """Every arm of a model that was asked in all categories, by task and settings."""
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for file in sorted((REAL / model).glob("*.parquet")):
        rows = pd.read_parquet(file)
        settings = {name: value for name, value in rows.attrs["settings"].items() if name not in ("files", "questions")}
        (task,) = (words for start, words in _TASKS.items() if file.name.startswith(start))
        parts.setdefault((task, json.dumps(settings, sort_keys=True)), []).append(rows)
    for (task, told), tables in parts.items():
        settings = json.loads(told)
        prompt = settings["prompt"].partition("@")[0].partition("/")[2]
        if whole(settings["benchmark"], tables):
            records = pd.concat(tables, ignore_index=True)
            # Of a critic with noise the arm has a name of its own.
            (name,) = set(records["arm"]) - {UNKNOWN}
            yield RealArm(model, task, name, prompt, settings, records)
