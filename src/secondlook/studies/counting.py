"""A dry run of studies: what a real model would be asked, before anybody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.evaluation.dry_run import Counted, dry_run
from secondlook.evaluation.evaluation import Evaluation
from secondlook.studies.real import RealBench, RealProfile, StudyUnit


class CountingBench(RealBench):
    """A bench that asks nobody: it counts what the studies would ask, of all that is not in its store.

    Attributes:
        counted: What each missing unit would ask at most.
        kept: Units that are in the store.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counted: list[Counted] = []
        self.kept = 0

    def unit(self, profile: RealProfile, evaluation: Evaluation, part: str, files: Sequence[Path]) -> pd.DataFrame:
        """Records of a unit that is in the store; of another an empty table, and its calls are counted."""
        missing = len(self.counted)
        records = super().unit(profile, evaluation, part, files)
        self.kept += missing == len(self.counted)
        return records

    def _ask(self, unit: StudyUnit) -> bool:
        (counted, *controls) = dry_run(unit.evaluation)
        del controls  # they ask nobody
        self.counted.append(replace(counted, arm=f"{unit.part}, {counted.arm}"))
        return False
