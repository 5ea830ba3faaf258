"""The words that decide: two noise words end every prompt; the planted traits compare the first with thresholds.

The second is a decoy: no rule reads it, so that a subject must find the word that counts.

Drawn fresh for each item and each round, they make rounds independent while decoding stays greedy. Drawn once per
item (``fixed``), every trait becomes a function of the item: round 2 then differs from round 1 by selection, and a
forecast from round 1 must warn. Left out (``none``), the subjects of the family decide by chance when they are sampled
at temperature 1, so that samples of one question differ; decoded greedily, they do what is likelier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from secondlook.benchmarks.benchmark import Asked
from secondlook.benchmarks.planted.language import NOISE_WORDS
from secondlook.correction.case import seed_from
from secondlook.prompts.worded import Stage, Words, no_words

Schedule = Literal["fresh", "fixed", "none"]
SCHEDULES: tuple[Schedule, ...] = ("fresh", "fixed", "none")


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise words of one item.

    Attributes:
        sample: Identifier of the item.
        schedule: ``fresh`` each round, ``fixed`` for the item, or ``none``.
        seed: Seed of the run.
    """

    sample: str
    schedule: Schedule
    seed: int

    def values(self, stage: Stage, round_index: int) -> tuple[int, int]:
        """The values of the word that decides and of the decoy, each uniform on 0 to 49.

        Raises:
            ValueError: If the schedule has no noise words.
        """
        if self.schedule == "none":
            raise ValueError(
                f"item {self.sample} has no noise words (schedule 'none'); choose fresh or fixed to have some"
            )
        parts = (self.seed, self.sample, stage, *((round_index,) if self.schedule == "fresh" else ()))
        # The subjects' cards and committed results rest on these draws, down to the names in them.
        size = len(NOISE_WORDS)
        return seed_from("noise-1", *parts) % size, seed_from("noise-2", *parts) % size

    def words(self, stage: Stage, round_index: int) -> str:
        """The two words, as the prompt shows them; empty where the schedule has none."""
        if self.schedule == "none":
            return ""
        first, second = self.values(stage, round_index)
        return f"{NOISE_WORDS[first]} {NOISE_WORDS[second]}"


_NOISE = TypeAdapter(Noise)


def words_around(asked: Asked[Any]) -> Words:
    """Noise words that close the prompts of a question, where it has some."""
    return _NOISE.validate_python(asked.around["noise"]).words if "noise" in asked.around else no_words


def check_schedule(name: str) -> Schedule:
    """A schedule by name.

    Raises:
        ValueError: If there is none; the known ones are listed.
    """
    for schedule in SCHEDULES:
        if schedule == name:
            return schedule
    raise ValueError(f"unknown schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
