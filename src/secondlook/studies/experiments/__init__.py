"""Claims about language models, a file each: the claim, its thresholds, how its numbers are found."""

from secondlook.evidence.experiment import Experiment
from secondlook.studies.bench import Bench
from secondlook.studies.experiments import (
    code,
    corrupted,
    cost,
    critic_accuracy,
    defences,
    formats,
    gain,
    rounds,
    sizes,
    word_problems,
)

EXPERIMENTS: dict[str, Experiment[Bench]] = {
    room.EXPERIMENT.id: room.EXPERIMENT
    for room in (gain, critic_accuracy, corrupted, formats, sizes, rounds, defences, cost)
}
"""The paper's claims, of planted subjects and real models alike."""
REAL: dict[str, Experiment[Bench]] = {
    each.id: each for each in (word_problems.EXPERIMENT, word_problems.GRADE_SCHOOL, code.EXPERIMENT)
}
"""Studies that only real models are asked."""
