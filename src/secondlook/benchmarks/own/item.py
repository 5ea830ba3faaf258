"""One question of a user's own task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from secondlook.correction.chat import Json

ANSWER = "answer"
"""The field that holds the truth; no critic is shown it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        id: Unique within a run.
        category: What results are broken down by.
        template: Questions that resemble each other share it; intervals are clustered by it.
        condition: A further division, e.g. ``easy`` and ``hard``; ``None`` without one.
        text: What is asked.
        grader: Who grades the answers, as :func:`~secondlook.benchmarks.own.grading.load_grader` takes it.
        row: The whole row of the data, under its own names, with ``answer`` where the data have one.
    """

    id: str
    category: str
    template: str
    condition: str | None
    text: str
    grader: str
    row: Mapping[str, Json] = field(default_factory=dict)
