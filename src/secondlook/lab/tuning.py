"""Learning rates chosen on a seed that is not judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from secondlook.lab.run import PILOT, Run
from secondlook.lab.train import Trained


def trials(run: Run, rates: Sequence[float]) -> list[Run]:
    """The run at each rate, on the pilot seed, for half as many steps."""
    return [replace(run, rate=rate, seed=PILOT, steps=max(1, run.steps // 2)) for rate in rates]


def tuned(run: Run, rates: Sequence[float], done: Mapping[Run, Trained]) -> Run:
    """The run at the rate whose trial ended with the least loss; as it is, if there is nothing to choose from."""
    if not rates:
        return run
    best = min(trials(run, rates), key=lambda trial: done[trial].log[-1]["loss"])
    return replace(run, rate=best.rate)
