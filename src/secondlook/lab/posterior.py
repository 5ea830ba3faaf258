"""The Bayes-optimal predictor of each task, where the rewards shown are the true ones."""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.lab.averages import as_given, check, extrapolated, linear, single_query
from secondlook.lab.tasks import Episodes

# Of a reward nearer to 1 than this the response counts as that much noise: rounding then stays below the same number.
_NEAREST = 1e-5


def bayes_paper(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of y* = Wx for the task `paper` at p = 0: no prediction has a smaller expected squared error.

    At a given x each coordinate of y* and of every W_i⁻x is normal with variance ‖x‖², so that y_i given y* is normal
    around r_i y* with variance (1 − r_i)²‖x‖². Precisions add up, ‖x‖² cancels, and the mean is
    Σ r_i y_i/(1 − r_i)² / (1 + Σ r_i²/(1 − r_i)²).

    Raises:
        ValueError: As for all, or if the rewards shown are not those that made the responses.
    """
    y, r, at = single_query(episodes, seen)
    _true_rewards(episodes)
    weight = r / (1 - r).clamp_min(_NEAREST).square()
    return as_given(((weight * y).cumsum(1) / (1 + (weight * r).cumsum(1)))[:, at], episodes)


def bayes_released(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of y* for the task `released` at p = 0.

    All y_i = r_i y* + (1 − r_i) ε lie on one line, at which two distinct rewards give y* itself. With one, y* and ε are
    normal with one variance, and the mean is r y/(r² + (1 − r)²).

    Raises:
        ValueError: As for all, or if the rewards shown are not those that made the responses.
    """
    y, r, at = single_query(episodes, seen)
    _true_rewards(episodes)
    line, known = extrapolated(y, r)
    one = (r * y / (r.square() + (1 - r).square()))[:, :1]
    return as_given(torch.where(known, line, one)[:, at], episodes)


def bayes_fresh(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of Wx at the query that follows, for the task `fresh-query` at p = 0.

    Given W, y_qi is normal around r_qi W x_q with variance (1 − r_qi)²‖x_q‖² in every coordinate, and W is standard
    normal: Bayesian linear regression of y_qi on r_qi x_q.

    Raises:
        ValueError: As for all, or if the rewards shown are not those that made the responses.
    """
    check(episodes, seen, single=False)
    _true_rewards(episodes)
    y, r = episodes.responses.double(), episodes.rewards.double()[..., None]
    length2 = episodes.queries.double().square().sum(-1)[..., None, None]
    # A query of 0 has responses of 0, which say nothing whatever they weigh.
    weight = r / (torch.where(length2 > 0, length2, 1) * (1 - r).clamp_min(_NEAREST).square())
    # The penalty is the prior's precision.
    return linear(episodes, seen, (weight * r).sum(-2)[..., 0], (weight * y).sum(-2), penalty=1.0)


def _true_rewards(episodes: Episodes) -> None:
    if not torch.equal(episodes.rewards, episodes.clean):
        raise ValueError(
            "rewards differ from those that made the responses: the posterior mean is known for p = 0 only"
        )
