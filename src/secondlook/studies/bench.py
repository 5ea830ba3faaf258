"""Bench of a study: subjects, planted or real, that answer with records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.evidence.experiment import About

TYPES = {"sample": str, "template": str, "group": str, "answer": str}
"""Columns of records whose values may look like numbers."""


class Bench(ABC):
    """A place that asks its subjects what a study wants to know; what was asked is not asked again.

    Attributes:
        folder: Where runs are kept.
        tick: Called with a sentence for each evaluation that is about to be run.
        saved: Seconds that the evaluations used so far had taken earlier.
        rounds: Second looks of a study of rounds.
        other: A second subject, for comparison; empty if there is none.
        writer: The subject that writes critiques in every format.
        family: Subjects that a study of size compares, the smallest first.
        defences: Arms of a study of defences.
        of_family: A sentence on what the family shares.
        of_requests: A sentence on where the requests come from.
    """

    rounds: int
    other: str
    writer: str
    family: tuple[str, ...]
    defences: tuple[str, ...]
    of_family: str
    of_requests: str

    def __init__(self, folder: Path, tick: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self.tick = folder, tick
        self.saved = 0.0

    @abstractmethod
    def about(self) -> About:
        """Facts about this bench, for a result."""

    @abstractmethod
    def millions(self, subject: str) -> float | None:
        """Parameters of a subject, in millions; ``None`` where nobody tells."""

    @abstractmethod
    def questions(self, *critics: str, subject: str = "", **study: Any) -> pd.DataFrame:
        """Records of questions with options.

        Args:
            *critics: The arms.
            subject: By default the bench's own.
            **study: Fields of :class:`~secondlook.evaluation.study.Study`.
        """

    @abstractmethod
    def requests(self, *defences: str, **study: Any) -> pd.DataFrame:
        """Records of forbidden requests, attacks and benign requests.

        Args:
            *defences: The arms.
            **study: Fields of :class:`~secondlook.evaluation.study.Study`.
        """

    def problems(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of short word problems, which planted subjects do not understand.

        Raises:
            ValueError: If the subject is planted.
        """
        del critics, study
        raise ValueError(
            "word problems, GSM8K and HumanEval are put to a real model: give --model, e.g. --model smollm2-135m"
        )

    def grade_school(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of GSM8K's questions, likewise.

        Raises:
            ValueError: If the subject is planted.
        """
        return self.problems(*critics, **study)

    def functions(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of HumanEval's functions, likewise.

        Raises:
            ValueError: If the subject is planted.
        """
        return self.problems(*critics, **study)
