"""A fitted critic's file: the critic, who it asks, what it was fitted on, and how it was judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from secondlook.diagnosis.examiner import Examiner
from secondlook.fitted import Fitted
from secondlook.fitting.examined import CriticRow
from secondlook.fitting.gate_file import Made
from secondlook.fitting.json_file import JsonFile

FORMAT: Final = "secondlook.critic/1"
"""Name and version of the form."""
ASKED = ("self", "other", "tool")
"""Critics that a fitted one can ask: they need no truth and no file."""


@dataclass(frozen=True, slots=True)
class CriticFile:
    """A fitted critic, and everything that must be known to serve it.

    Attributes:
        name: What it is, for people.
        fitted: The critic.
        critics: Who is asked, by the name that its inputs have.
        made: What the records were made with.
        judged: The critic that was asked, then this one, on templates it was not fitted on.
        notes: What must be known to read that.
    """

    format: Literal["secondlook.critic/1"]
    name: str
    fitted: Fitted
    critics: dict[str, Examiner]
    made: Made
    judged: list[CriticRow]
    notes: list[str]


_FILE = JsonFile(CriticFile, FORMAT, "critic", "secondlook critic train RUN --out")


def read_critic(path: Path) -> CriticFile:
    """Read a fitted critic's file.

    Raises:
        ValueError: It cannot be read, or holds no critic of this version; in one line.
    """
    return _FILE.read(path)


def critic_text(file: CriticFile) -> str:
    """A fitted critic's file as JSON text."""
    return _FILE.text(file)
