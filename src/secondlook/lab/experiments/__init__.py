"""A file for each claim about trained transformers: the claim, the numbers at which it holds, how they are found."""

from secondlook.lab.experiment import Experiment
from secondlook.lab.experiments import (
    attention,
    depth,
    descent,
    feedforward,
    floor,
    fresh_query,
    heads,
    reward_noise,
    transformer_and_descent,
)

EXPERIMENTS: dict[str, Experiment] = {
    room.EXPERIMENT.id: room.EXPERIMENT
    for room in (
        transformer_and_descent,
        reward_noise,
        depth,
        attention,
        heads,
        feedforward,
        floor,
        fresh_query,
        descent,
    )
}


def find(name: str) -> list[Experiment]:
    """The experiment of an id, or `all`.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    if name == "all":
        return list(EXPERIMENTS.values())
    if name.upper() not in EXPERIMENTS:
        raise ValueError(f"experiment {name!r} is unknown; known: {', '.join(EXPERIMENTS)}, all")
    return [EXPERIMENTS[name.upper()]]
