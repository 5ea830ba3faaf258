"""Profiles of studies: how large they are, and on which subjects."""

from __future__ import annotations

from dataclasses import dataclass

FAMILY = ("planted-0.1m", "planted-0.5m", "planted-2m")
"""Subjects that differ in their size alone."""


@dataclass(frozen=True)
class StudyProfile:
    """Sizes and subjects of all studies.

    Attributes:
        name: What users call it.
        subject: The planted subject that most studies ask.
        speaker: The one that speaks the refusal language and every critic format.
        family: The subjects that a study of size compares, the smallest first.
        per_category: Held-out questions of each of the eleven categories.
        requests: Held-out behaviours that the refusal language asks for, of each of the ten topics of either kind.
        where: Hardware that it needs, for people.
    """

    name: str
    subject: str
    speaker: str
    family: tuple[str, ...]
    per_category: int
    requests: int
    where: str = "two cores"


PROFILES = {
    profile.name: profile
    for profile in (
        StudyProfile("demo", "planted", FAMILY[1], FAMILY, 40, 4),
        StudyProfile("quick", "planted", FAMILY[1], FAMILY, 200, 10),
    )
}
"""Profiles by name."""


def find(name: str) -> StudyProfile:
    """The profile of this name.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is unknown; known: {', '.join(PROFILES)}")
    return PROFILES[name]
