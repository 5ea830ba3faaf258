"""Claims about trained transformers, a file each: the claim, its thresholds, how its numbers are found."""

from secondlook.evidence.experiment import Experiment
from secondlook.lab.experiment import Lab
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
    verdict_step,
)

EXPERIMENTS: dict[str, Experiment[Lab]] = {
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
        verdict_step,
    )
}
