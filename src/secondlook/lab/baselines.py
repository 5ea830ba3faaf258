"""What can be said without a trained transformer: averages, regressions, descents, a construction, the posterior mean.

A baseline takes problems and how much of them has been seen, as for ``objectives.judge``: of one query the numbers of
responses, of several the numbers of queries with all their responses, and then it speaks of the query that follows. It
returns predictions ``[batch, p, dy]`` in the dtype of the responses, all prefixes at once. Sums are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Generator, Tensor

from secondlook.construct import attention_only
from secondlook.construct.promise import Promise
from secondlook.lab.objectives import Objective, judge
from secondlook.lab.tasks import Episodes, Task, sample
from secondlook.lab.tokens import reads
from secondlook.objective import Contexts, MultiQueryContexts, Reward, descend, rank

Baseline = Callable[[Episodes, list[int]], Tensor]

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
STEPS = (5, 10, 20, 50, 100)
_PILOT = 64
_DEPTH = 3
# The cosine has no gradient at 0, and a gradient that falls with the length; this long, descent at the paper's rate
# arrives. From a hundredth its first step leaps out of reach, from 1 on it creeps.
_START = 0.1
# Of a reward nearer to 1 than this the response counts as that much noise: rounding then stays below the same number.
_NEAREST = 1e-5


def baselines(task: Task, seed: int = 2**42) -> dict[str, Baseline]:
    """Those that apply to a task, by name.

    `descent` is by the cosine reward, as in the released code; for `fresh-query`, where lengths count, by the squared.
    What is `tuned` is tuned when it is called first. `constructed` takes 3 steps at a tuned rate. `bayes` is there if
    the rewards shown are the true ones.

    Args:
        task: What they are to solve.
        seed: Of pilot problems, and of where descent by the cosine starts: the same at every call.
    """
    found: dict[str, Baseline] = (
        {"ridge on best": ridge_best, "ridge on weighted mean": ridge_weighted}
        if task.fresh
        else {"mean": mean, "best of n": best_of_n, "weighted mean": weighted_mean, "regression": regression}
    )

    def descending(reward: Reward, tuned: bool, episodes: Episodes, seen: list[int]) -> Tensor:
        options = _tuned(task, reward, seed, STEPS) if tuned else {}
        generator = Generator().manual_seed(seed)
        return gradient_descent(episodes, seen, reward=reward, generator=generator, **options)

    def constructing(episodes: Episodes, seen: list[int]) -> Tensor:
        return constructed(episodes, seen, **_tuned(task, "squared", seed, (_DEPTH,)))

    rewards: tuple[Reward, ...] = ("squared", "cosine") if task.fresh else ("cosine", "squared")
    for reward in rewards:
        name = "descent" if reward == rewards[0] else f"descent, {reward} reward"
        found[name] = partial(descending, reward, False)
        found[f"{name}, tuned"] = partial(descending, reward, True)
    if not task.fresh:
        found["constructed"] = constructing
    if task.p == 0 and task.name != "preference-only":
        found["bayes"] = {"paper": bayes_paper, "released": bayes_released, "fresh-query": bayes_fresh}[task.name]
    return found


@lru_cache(maxsize=256)
def _tuned(task: Task, reward: Reward, seed: int, steps: tuple[int, ...]) -> dict[str, Any]:
    objective: Objective = "pl-cosine" if reward == "cosine" else "pl-squared"
    rate, number = tune(task, objective, Generator().manual_seed(seed), steps=steps)
    return {"rate": rate, "steps": number}


def mean(episodes: Episodes, seen: list[int]) -> Tensor:
    """The mean of the responses seen."""
    y, r, at = _single(episodes, seen)
    return _as_given(_ratio(y, torch.ones_like(r))[:, at], episodes)


def best_of_n(episodes: Episodes, seen: list[int]) -> Tensor:
    """The response with the highest reward seen, the earlier of equals."""
    _, r, at = _single(episodes, seen)
    return episodes.responses[:, 0].take_along_dim(_best(r)[:, at], 1)


def weighted_mean(episodes: Episodes, seen: list[int]) -> Tensor:
    """Σ r_i y_i / Σ r_i; a reward below 0 weighs nothing, and where none is above, the plain mean."""
    y, r, at = _single(episodes, seen)
    return _as_given(_weighted(y, r)[:, at], episodes)


def regression(episodes: Episodes, seen: list[int]) -> Tensor:
    """Least squares of y on r, read at r = 1; with fewer than two distinct rewards, the mean."""
    y, r, at = _single(episodes, seen)
    return _as_given(_extrapolated(y, r)[0][:, at], episodes)


def bayes_paper(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of y* = Wx for the task `paper` at p = 0: no prediction has a smaller expected squared error.

    At a given x each coordinate of y* and of every W_i⁻x is normal with variance ‖x‖², so that y_i given y* is normal
    around r_i y* with variance (1 − r_i)²‖x‖². Precisions add up, ‖x‖² cancels, and the mean is
    Σ r_i y_i/(1 − r_i)² / (1 + Σ r_i²/(1 − r_i)²).

    Raises:
        ValueError: As for all, or if the rewards shown are not those of which the responses were made.
    """
    y, r, at = _single(episodes, seen)
    _true_rewards(episodes)
    weight = r / (1 - r).clamp_min(_NEAREST).square()
    return _as_given(((weight * y).cumsum(1) / (1 + (weight * r).cumsum(1)))[:, at], episodes)


def bayes_released(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of y* for the task `released` at p = 0.

    All y_i = r_i y* + (1 − r_i) ε lie on one line, at which two distinct rewards give y* itself. With one, y* and ε are
    normal with one variance, and the mean is r y/(r² + (1 − r)²).

    Raises:
        ValueError: As for all, or if the rewards shown are not those of which the responses were made.
    """
    y, r, at = _single(episodes, seen)
    _true_rewards(episodes)
    line, known = _extrapolated(y, r)
    one = (r * y / (r.square() + (1 - r).square()))[:, :1]
    return _as_given(torch.where(known, line, one)[:, at], episodes)


def bayes_fresh(episodes: Episodes, seen: list[int]) -> Tensor:
    """The posterior mean of Wx at the query that follows, for the task `fresh-query` at p = 0.

    Given W, y_qi is normal around r_qi W x_q with variance (1 − r_qi)²‖x_q‖² in every coordinate, and W is standard
    normal: Bayesian linear regression of y_qi on r_qi x_q.

    Raises:
        ValueError: As for all, or if the rewards shown are not those of which the responses were made.
    """
    _check(episodes, seen, single=False)
    _true_rewards(episodes)
    y, r = episodes.responses.double(), episodes.rewards.double()[..., None]
    length2 = episodes.queries.double().square().sum(-1)[..., None, None]
    # A query of 0 has responses of 0, which say nothing whatever they weigh.
    weight = r / (torch.where(length2 > 0, length2, 1) * (1 - r).clamp_min(_NEAREST).square())
    return _linear(episodes, seen, (weight * r).sum(-2)[..., 0], (weight * y).sum(-2), penalty=1.0)


def ridge_best(episodes: Episodes, seen: list[int], *, penalty: float = 0.3) -> Tensor:
    """Ridge regression of the best response to each query on the query; of equal rewards the earlier response."""
    _check(episodes, seen, single=False)
    best = rank(episodes.rewards)[..., :1, None]
    target = episodes.responses.take_along_dim(best, 2)[:, :, 0].double()
    return _linear(episodes, seen, torch.ones_like(target[..., 0]), target, penalty)


def ridge_weighted(episodes: Episodes, seen: list[int], *, penalty: float = 0.3) -> Tensor:
    """The same on the reward-weighted mean of the responses to each query."""
    _check(episodes, seen, single=False)
    y, r = episodes.responses.double().flatten(0, 1), episodes.rewards.double().flatten(0, 1)[..., None]
    target = _weighted(y, r)[:, -1].view_as(episodes.truth)
    return _linear(episodes, seen, torch.ones_like(target[..., 0]), target, penalty)


def gradient_descent(
    episodes: Episodes,
    seen: list[int],
    *,
    reward: Reward = "squared",
    rate: float = 0.1,
    steps: int = 50,
    generator: Generator | None = None,
) -> Tensor:
    """Gradient descent on W by the Plackett–Luce loss of what was seen (§3: 50 steps at rate 0.1).

    Args:
        episodes: With one query, or several, whose losses are summed.
        seen: How much of them.
        reward: For `squared` it starts at W = 0, for `cosine` at a tenth of a standard normal W.
        rate: Learning rate of W.
        steps: How many steps.
        generator: Draws the start for `cosine`.

    Returns:
        ``[batch, p, dy]``.

    Raises:
        ValueError: A length or an option out of range, or no generator where one is needed.
    """
    return _descended(episodes, seen, reward, rate, [steps], generator)[0]


def tune(
    task: Task,
    objective: Objective,
    generator: Generator,
    *,
    rates: Sequence[float] = RATES,
    steps: Sequence[int] = STEPS,
) -> tuple[float, int]:
    """Choose rate and steps of ``gradient_descent`` by the mean of ``judge`` over pilot problems and some prefixes.

    With one query that is the loss descended on, so that what is chosen descends fastest; it need not come closest to
    the truth. With several it is the loss at a query whose responses the descent has not seen.

    Args:
        task: What is to be solved.
        objective: `pl-squared` or `pl-cosine`, for descent by that reward.
        generator: Draws 64 pilot problems, and a start that is the same for all rates.
        rates: Learning rates to try.
        steps: Numbers of steps to try.

    Returns:
        The rate and the number of steps; of equals the lower rate, then the fewer steps.

    Raises:
        ValueError: Another objective, or nothing to try.
    """
    rewards: dict[str, Reward] = {"pl-squared": "squared", "pl-cosine": "cosine"}
    if objective not in rewards:
        raise ValueError(f"objective is {objective!r}: descent has a reward for {' and '.join(rewards)} only")
    if not rates or not steps:
        raise ValueError(f"rates is {list(rates)} and steps is {list(steps)}: give at least one of each to try")
    pilot, (_, seen) = sample(task, _PILOT, generator), reads(task, "merged")
    seen = seen[:: 1 + len(seen) // 6]
    state, numbers, trials = generator.get_state(), sorted(steps), []
    for rate in sorted(rates):
        path = _descended(pilot, seen, rewards[objective], rate, numbers, generator.set_state(state))
        for number, predictions in zip(numbers, path, strict=True):
            trials.append((judge(predictions, pilot, seen, objective).mean().item(), rate, number))
    _, rate, number = min(trials)
    return rate, number


def constructed(episodes: Episodes, seen: list[int], *, rate: float = 0.1, steps: int = _DEPTH) -> Tensor:
    """One forward pass of the transformer of T7: ``steps`` steps of descent on the squared loss from W = 0.

    Its heads need rewards a known distance apart, and only their order counts: it is shown their ranks, from 1 to −1.

    Raises:
        ValueError: As for all.
    """
    _check(episodes, seen)
    contexts = episodes.contexts.prefix(max(seen)).to(torch.float64)
    n = max(2, contexts.n)
    places = rank(contexts.rewards).argsort(-1)
    contexts = Contexts(contexts.query, contexts.responses, 1 - places.double() * (2 / (n - 1)))
    longest = max(x.norm(dim=-1).max().item() for x in (contexts.query, contexts.responses))
    built = attention_only.build(Promise(n, contexts.dy, eta=rate, steps=steps, min_gap=2 / n, max_norm=longest or 1.0))
    start = contexts.query.new_zeros(contexts.batch, contexts.dy, contexts.dx)
    return _as_given(built.step(contexts, start)[:, [k - 1 for k in seen]], episodes)


def _descended(
    episodes: Episodes,
    seen: list[int],
    reward: Reward,
    rate: float,
    steps: list[int],
    generator: Generator | None,
) -> Tensor:
    """Predictions after each of some numbers of steps, [len(steps), batch, p, dy]."""
    single = episodes.queries.shape[1] == 1
    _check(episodes, seen, single=single)
    batch, _, dx = episodes.queries.shape
    # With one query W moves along x alone, as it does where x is one number, its length.
    shape = batch, episodes.truth.shape[-1], 1 if single else dx
    start = episodes.responses.new_zeros(shape)
    if reward == "cosine":
        if generator is None:
            raise ValueError("generator is None: give one, the cosine descent starts at random")
        drawn = _START * torch.randn(shape, generator=generator, dtype=start.dtype, device=generator.device)
        start = drawn.to(start.device)
    trace, last = len(steps) > 1, max(steps)
    kept = steps if trace else [0]

    def run(contexts: Contexts | MultiQueryContexts, prefixes: bool | list[int]) -> Tensor:
        gd: dict[str, Any] = {"on": "weights", "optimizer": "gd", "rate": rate, "steps": last, "reward": reward}
        found = descend(start, contexts, prefixes=prefixes, trace=trace, **gd)
        return (found.last[None] if found.path is None else found.path)[kept]

    if single:
        contexts = episodes.contexts
        length: Tensor = torch.linalg.vector_norm(contexts.query, dim=-1, keepdim=True)
        weights = run(Contexts(length, contexts.responses, contexts.rewards), seen)
        return weights[..., 0] * length[:, None]
    several = [episodes.multi_query(k) for k in seen]
    return torch.stack([(run(c, False) @ c.test[:, 0, :, None])[..., 0] for c in several], dim=2)


def _linear(episodes: Episodes, seen: list[int], weight: Tensor, moment: Tensor, penalty: float) -> Tensor:
    """x·(penalty·I + Σ_q weight_q x_q x_qᵀ)⁻¹ Σ_q x_q moment_qᵀ at the query after those seen.

    ``weight`` is [batch, q], ``moment`` [batch, q, dy]; the result [batch, p, dy].
    """
    x, before = episodes.queries.double(), [k - 1 for k in seen]
    precision = (weight[..., None, None] * x[..., None] * x[..., None, :]).cumsum(1)[:, before]
    moments = (x[..., None] * moment[..., None, :]).cumsum(1)[:, before]
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    solved = torch.cholesky_solve(moments, torch.linalg.cholesky(precision + penalty * eye))
    return _as_given((x[:, seen, None] @ solved)[:, :, 0], episodes)


def _ratio(y: Tensor, weight: Tensor) -> Tensor:
    return (weight * y).cumsum(1) / weight.cumsum(1)


def _weighted(y: Tensor, r: Tensor) -> Tensor:
    """Reward-weighted mean of every prefix; y [batch, n, dy], r [batch, n, 1]."""
    weight = r.clamp_min(0)
    return torch.where(weight.cumsum(1) > 0, _ratio(y, weight), _ratio(y, torch.ones_like(r)))


def _best(r: Tensor) -> Tensor:
    """Index of the highest reward so far, the earlier of equals; [batch, n, 1] to [batch, n, 1]."""
    top = r.cummax(1).values
    record = torch.cat([torch.ones_like(top[:, :1], dtype=torch.bool), top[:, 1:] > top[:, :-1]], dim=1)
    at = torch.arange(r.shape[1], device=r.device)[:, None]
    return torch.where(record, at, 0).cummax(1).values


def _extrapolated(y: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares of y on r at r = 1 of every prefix [batch, n, dy], and whether two rewards differ [batch, n, 1].

    Seen from the first reward, equal rewards have a variance of exactly 0, and others lose no digits to it.
    """
    ones = torch.ones_like(r)
    dy, dr = y - y[:, :1], r - r[:, :1]
    my, mr = _ratio(dy, ones), _ratio(dr, ones)
    variance = _ratio(dr.square(), ones) - mr.square()
    known = variance > 0
    slope = torch.where(known, (_ratio(dr * dy, ones) - mr * my) / variance, 0)
    return y[:, :1] + my + slope * (1 - r[:, :1] - mr), known


def _single(episodes: Episodes, seen: list[int]) -> tuple[Tensor, Tensor, list[int]]:
    """Responses [batch, n, dy] and rewards [batch, n, 1] in float64, and the last response of every prefix."""
    _check(episodes, seen)
    return episodes.responses[:, 0].double(), episodes.rewards[:, 0, :, None].double(), [k - 1 for k in seen]


def _check(episodes: Episodes, seen: list[int], *, single: bool = True) -> None:
    queries, n = episodes.rewards.shape[1:]
    if single != (queries == 1):
        raise ValueError(f"episodes have {queries} queries: this baseline is for {'1' if single else '2 or more'}")
    most, what = (n, "responses") if single else (queries - 1, "queries")
    if not seen or not all(1 <= k <= most for k in seen):
        raise ValueError(f"seen is {seen}: give a list of numbers of {what}, from 1 to {most}")


def _true_rewards(episodes: Episodes) -> None:
    if not torch.equal(episodes.rewards, episodes.clean):
        raise ValueError(
            "rewards differ from those of which the responses were made: the posterior mean is known for p = 0 only"
        )


def _as_given(prediction: Tensor, episodes: Episodes) -> Tensor:
    return prediction.to(episodes.responses.dtype)
