"""A file for each claim about language models: the claim, the numbers at which it holds, how they are found."""

from secondlook.studies.experiments import (
    corrupted,
    cost,
    critic_accuracy,
    defences,
    formats,
    gain,
    rounds,
    sizes,
)
from secondlook.studies.study import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    room.EXPERIMENT.id: room.EXPERIMENT
    for room in (gain, critic_accuracy, corrupted, formats, sizes, rounds, defences, cost)
}


def find(name: str) -> list[Experiment]:
    """The study of an id, or `all`.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    if name == "all":
        return list(EXPERIMENTS.values())
    if name.upper() not in EXPERIMENTS:
        raise ValueError(f"study {name!r} is unknown; known: {', '.join(EXPERIMENTS)}, all")
    return [EXPERIMENTS[name.upper()]]
