"""Profiles of experiments: their size, from a glance to the paper's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task


@dataclass(frozen=True)
class LabProfile:
    """Sizes of all experiments.

    Attributes:
        name: Of the profile.
        base: The run from which every variant is made.
        seeds: Seeds of each variant.
        exam: Fresh problems on which a trained run is judged.
        depths: Depths of L3, in the base's layout.
        deeper: Depths of L3 in the other layout.
        heads: Numbers of heads of L5.
        noises: Probabilities of L2.
        rates: Learning rates among which a variant's is tuned; none to keep the base's.
        reduced: Why nothing is refuted at this size; empty where it is the paper's own.
        where: What it needs, for people.
    """

    name: str
    base: Run
    seeds: int
    exam: int
    depths: tuple[int, ...]
    deeper: tuple[int, ...]
    heads: tuple[int, ...]
    noises: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    rates: tuple[float, ...] = ()
    reduced: str = ""
    where: str = "a laptop"


_REDUCED = (
    "Nothing is refuted at this size: a head that is fixed, linear and untrained passes the thresholds on the released "
    "task, so that no ablation could have failed them, and the paper's size was not run."
)
_QUICK = Run()
# As the paper's text has it; the released code decides what that leaves open: torch's own β₂, no warm-up, no clipping.
_PAPER = Run(
    task=Task("paper"),
    shape=Shape("interleaved", depth=20, width=96, heads=3, activation="gelu"),
    objective="pl-squared",
    batch=256,
    steps=1500,
    rate=1e-4,
    schedule="constant",
    warmup=0,
    beta2=0.999,
    clip=0.0,
)

PROFILES = {
    profile.name: profile
    for profile in (
        LabProfile("demo", replace(_QUICK, steps=400, batch=64), 3, 256, (1, 2), (), (1, 4), reduced=_REDUCED),
        LabProfile(
            "quick",
            _QUICK,
            *(3, 512, (1, 2, 3, 4), (2,), (1, 2, 3, 4, 6)),
            rates=(1e-3, 3e-3, 1e-2),
            reduced=_REDUCED,
        ),
        LabProfile("paper", _PAPER, 3, 256, (1, 2, 5, 10, 15, 20), (2, 5, 20), (1, 3, 4, 6), where="one GPU, hours"),
        LabProfile(
            "released",
            replace(
                _PAPER,
                task=Task("released"),
                shape=replace(_PAPER.shape, layout="shared", initial="gpt2-inside"),
                objective="pl-cosine",
                steps=2501,
            ),
            *(3, 256, (1, 2, 5, 10, 15, 20), (2, 5, 20), (1, 3, 4, 6)),
            where="one GPU, hours",
        ),
    )
}
"""Profiles by name. `paper` and `released` differ as the paper's text and its code do.

The released code trains for 3,000 steps and evaluates the checkpoint after 2,501. Its GELU is GPT-2's approximation by
tanh, ours is exact; in all else its base is as released.
"""


def find(name: str) -> LabProfile:
    """The profile of this name.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is unknown; known: {', '.join(PROFILES)}")
    return PROFILES[name]
