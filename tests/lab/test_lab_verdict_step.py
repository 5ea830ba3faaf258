"""L10's measures tell a layer that moves its odds by c(u − p) from one that counts."""

import numpy as np
import pytest
import torch
from torch import Generator

from secondlook.lab.experiments.verdict_step import ERRS, Steps
from secondlook.lab.tasks import Task, sample

TASK = Task("verdicts", n=12, dx=2, dy=2, noise="adversarial", p=ERRS)
AT = list(range(2, 13))


def walked(step, batch=400):
    """Predictions whose log-odds move from verdict to verdict as `step(δ, u, size)` says, and the problems."""
    episodes = sample(TASK, batch, Generator().manual_seed(0), torch.float64)
    answers, right = episodes.responses[:, 0, :2], episodes.clean[:, 0, :2, None]
    better, worse = (answers * right).sum(1), (answers * (1 - right)).sum(1)
    apart = better - worse
    size = apart.square().sum(-1) * episodes.queries[:, 0].square().sum(-1)
    favours = (episodes.rewards == episodes.clean)[:, 0].double()
    delta, path = torch.zeros(batch).double(), []
    for number in range(12):
        delta = delta + step(delta, favours[:, number], size)
        path.append((better + worse) / 2 + delta[:, None] * apart / (2 * apart.square().sum(-1))[:, None])
    return Steps.of(torch.stack(path[1:], dim=1), episodes, AT)


@pytest.mark.parametrize(
    ("step", "follows", "counts", "shrinks"),
    [
        (lambda delta, u, _: 0.7 * (u - delta.sigmoid()), 1.0, None, 1.0),
        (lambda delta, u, size: 0.02 * size * (u - delta.sigmoid()), 1.0, None, None),
        (lambda _, u, size: np.log(3) * (2 * u - 1), None, 1.0, 0.0),
    ],
    ids=["one c", "one step size", "Bayes' rule"],
)
def test_a_step_is_recognised(step, follows, counts, shrinks):
    steps = walked(step)
    assert steps.moved.size == 400 * 10
    for found, wanted in ((steps.follows(), follows), (steps.counts(), counts)):
        assert found == pytest.approx(1.0, abs=1e-9) if wanted else found < 0.9
    if shrinks is not None:
        assert steps.shrinks() == pytest.approx(shrinks, abs=1e-6)


def test_moves_are_binned_by_p_before_them():
    steps = walked(lambda delta, u, _: 0.7 * (u - delta.sigmoid()))
    for favours in (0, 1):
        line = steps.by_odds(favours)
        known = np.isfinite(line)
        middles = (np.arange(10) + 0.5) / 10
        assert np.abs(line - 0.7 * (favours - middles))[known].max() < 0.05
