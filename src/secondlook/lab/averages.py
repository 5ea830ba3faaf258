"""Averages and regressions of the responses seen: baselines that neither descend nor know how problems are made."""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.lab.tasks import Episodes
from secondlook.objective import rank


def mean(episodes: Episodes, seen: list[int]) -> Tensor:
    """The mean of the responses seen."""
    y, r, at = single_query(episodes, seen)
    return as_given(ratio(y, torch.ones_like(r))[:, at], episodes)


def best_of_n(episodes: Episodes, seen: list[int]) -> Tensor:
    """The response with the highest reward seen, the earlier of equals."""
    _, r, at = single_query(episodes, seen)
    return episodes.responses[:, 0].take_along_dim(_best(r)[:, at], 1)


def weighted_mean(episodes: Episodes, seen: list[int]) -> Tensor:
    """Σ r_i y_i / Σ r_i; a reward below 0 weighs nothing, and where none is above, the plain mean."""
    y, r, at = single_query(episodes, seen)
    return as_given(_weighted(y, r)[:, at], episodes)


def regression(episodes: Episodes, seen: list[int]) -> Tensor:
    """Least squares of y on r, read at r = 1; with fewer than two distinct rewards, the mean."""
    y, r, at = single_query(episodes, seen)
    return as_given(extrapolated(y, r)[0][:, at], episodes)


def ridge_best(episodes: Episodes, seen: list[int], *, penalty: float = 0.3) -> Tensor:
    """Ridge regression of the best response to each query on the query; of equal rewards the earlier response."""
    check(episodes, seen, single=False)
    best = rank(episodes.rewards)[..., :1, None]
    target = episodes.responses.take_along_dim(best, 2)[:, :, 0].double()
    return linear(episodes, seen, torch.ones_like(target[..., 0]), target, penalty)


def ridge_weighted(episodes: Episodes, seen: list[int], *, penalty: float = 0.3) -> Tensor:
    """Ridge regression of the reward-weighted mean of the responses to each query on the query."""
    check(episodes, seen, single=False)
    y, r = episodes.responses.double().flatten(0, 1), episodes.rewards.double().flatten(0, 1)[..., None]
    target = _weighted(y, r)[:, -1].view_as(episodes.truth)
    return linear(episodes, seen, torch.ones_like(target[..., 0]), target, penalty)


def linear(episodes: Episodes, seen: list[int], weight: Tensor, moment: Tensor, penalty: float) -> Tensor:
    """x·(penalty·I + Σ_q weight_q x_q x_qᵀ)⁻¹ Σ_q x_q moment_qᵀ at the query after those seen.

    ``weight`` is [batch, q], ``moment`` [batch, q, dy]; the result [batch, p, dy].
    """
    # Row k − 1 of a running sum holds the first k queries; x[:, k] is the query after them.
    x, before = episodes.queries.double(), [k - 1 for k in seen]
    precision = (weight[..., None, None] * x[..., None] * x[..., None, :]).cumsum(1)[:, before]
    moments = (x[..., None] * moment[..., None, :]).cumsum(1)[:, before]
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    solved = torch.cholesky_solve(moments, torch.linalg.cholesky(precision + penalty * eye))
    return as_given((x[:, seen, None] @ solved)[:, :, 0], episodes)


def ratio(y: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of every prefix; y [batch, n, dy], weight [batch, n, 1]."""
    return (weight * y).cumsum(1) / weight.cumsum(1)


def _weighted(y: Tensor, r: Tensor) -> Tensor:
    """Reward-weighted mean of every prefix; y [batch, n, dy], r [batch, n, 1]."""
    weight = r.clamp_min(0)
    return torch.where(weight.cumsum(1) > 0, ratio(y, weight), ratio(y, torch.ones_like(r)))


def _best(r: Tensor) -> Tensor:
    """Index of the highest reward so far, the earlier of equals; [batch, n, 1] to [batch, n, 1]."""
    # `cummax` gives indices, too, but of equals that of the later.
    top = r.cummax(1).values
    record = torch.cat([torch.ones_like(top[:, :1], dtype=torch.bool), top[:, 1:] > top[:, :-1]], dim=1)
    at = torch.arange(r.shape[1], device=r.device)[:, None]
    return torch.where(record, at, 0).cummax(1).values


def extrapolated(y: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares of y on r at r = 1 of every prefix [batch, n, dy], and whether two rewards differ [batch, n, 1].

    Seen from the first reward, equal rewards have a variance of exactly 0, and others lose no digits to it.
    """
    ones = torch.ones_like(r)
    dy, dr = y - y[:, :1], r - r[:, :1]
    my, mr = ratio(dy, ones), ratio(dr, ones)
    variance = ratio(dr.square(), ones) - mr.square()
    known = variance > 0
    slope = torch.where(known, (ratio(dr * dy, ones) - mr * my) / variance, 0)
    return y[:, :1] + my + slope * (1 - r[:, :1] - mr), known


def single_query(episodes: Episodes, seen: list[int]) -> tuple[Tensor, Tensor, list[int]]:
    """Responses [batch, n, dy] and rewards [batch, n, 1] in float64, and the last response of every prefix."""
    check(episodes, seen)
    return episodes.responses[:, 0].double(), episodes.rewards[:, 0, :, None].double(), [k - 1 for k in seen]


def check(episodes: Episodes, seen: list[int], *, single: bool = True) -> None:
    """Refuse problems of another kind than the baseline's, and lengths that do not exist.

    Raises:
        ValueError: Says which.
    """
    queries, n = episodes.rewards.shape[1:]
    if single != (queries == 1):
        raise ValueError(f"episodes have {queries} queries: this baseline is for {'1' if single else '2 or more'}")
    most, what = (n, "responses") if single else (queries - 1, "queries")
    if not seen or not all(1 <= k <= most for k in seen):
        raise ValueError(f"seen is {seen}: give a list of numbers of {what}, from 1 to {most}")


def as_given(prediction: Tensor, episodes: Episodes) -> Tensor:
    """The prediction in the dtype of the responses."""
    return prediction.to(episodes.responses.dtype)
