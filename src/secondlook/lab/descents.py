"""Gradient descent on what was seen, at the paper's rate or a tuned one, and the construction that makes its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from secondlook.construct import attention_only
from secondlook.construct.promise import Promise
from secondlook.lab.averages import as_given, check
from secondlook.lab.objectives import Objective, judge
from secondlook.lab.tasks import Episodes, Task, sample
from secondlook.lab.tokens import reads
from secondlook.objective import Contexts, MultiQueryContexts, Reward, descend, rank

RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
STEPS = (5, 10, 20, 50, 100)
DEPTH = 3
_PILOT = 64
# The cosine has no gradient at 0, and a gradient that falls with the length; this long, descent at the paper's rate
# arrives. From a hundredth its first step leaps out of reach, from 1 on it creeps.
_START = 0.1


def gradient_descent(
    episodes: Episodes,
    seen: list[int],
    *,
    reward: Reward = "squared",
    rate: float = 0.1,
    steps: int = 50,
    generator: Generator | None = None,
) -> Tensor:
    """Gradient descent on W by the Plackett–Luce loss of what was seen, at the paper's rate and steps.

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


def released(episodes: Episodes, seen: list[int], *, generator: Generator) -> Tensor:
    """Gradient descent as the released code has it: 50 steps of Adam at 0.1 on all of W, by the cosine reward.

    W starts as the weights of a linear layer of torch: uniform on ±1/√dx. Adam on W is not descent on Wx.

    Args:
        episodes: With one query.
        seen: How many responses count.
        generator: Draws the start.

    Returns:
        ``[batch, p, dy]``.

    Raises:
        ValueError: Several queries, or a length out of range.
    """
    check(episodes, seen)
    batch, _, dx = episodes.queries.shape
    bound = dx**-0.5
    start = torch.empty(batch, episodes.truth.shape[-1], dx, dtype=episodes.responses.dtype, device=generator.device)
    start.uniform_(-bound, bound, generator=generator)
    found = descend(
        start.to(episodes.responses.device),
        episodes.contexts,
        on="weights",
        optimizer="adam",
        rate=0.1,
        steps=50,
        reward="cosine",
        prefixes=seen,
    )
    return (found.last @ episodes.queries[:, 0, None, :, None])[..., 0]


def sharpness(episodes: Episodes) -> Tensor:
    """Largest eigenvalue of the squared loss's Hessian in W at W = 0, for every whole context, ``[batch]``.

    Descent at a rate above 2 over it moves away from the minimum. It is 4‖x‖² times that of Σ_i Cov_i, the covariance
    of the responses under the softmax of the i-th factor.

    Args:
        episodes: With one query.

    Raises:
        ValueError: Several queries.
    """
    contexts = episodes.contexts.to(torch.float64)
    order = rank(contexts.rewards)
    y = contexts.responses.take_along_dim(order[..., None], 1)
    n = contexts.n
    later = torch.ones(n, n, dtype=torch.bool, device=y.device).triu()
    weight = torch.where(later, -y.square().sum(-1)[:, None], -torch.inf).softmax(-1)  # [batch, factor, response]
    mean = weight @ y
    moment = torch.einsum("bij,bjd,bje->bde", weight, y, y) - mean.mT @ mean
    largest: Tensor = torch.linalg.eigvalsh(moment)[:, -1]
    return 4 * contexts.query.square().sum(-1) * largest


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
    # At most 6 of the prefixes: time grows with their number.
    seen = seen[:: 1 + len(seen) // 6]
    state, numbers, trials = generator.get_state(), sorted(steps), []
    for rate in sorted(rates):
        # One descent passes every number of steps on its way.
        path = _descended(pilot, seen, rewards[objective], rate, numbers, generator.set_state(state))
        for number, predictions in zip(numbers, path, strict=True):
            trials.append((judge(predictions, pilot, seen, objective).mean().item(), rate, number))
    _, rate, number = min(trials)
    return rate, number


def constructed(episodes: Episodes, seen: list[int], *, rate: float = 0.1, steps: int = DEPTH) -> Tensor:
    """One forward pass of the transformer of T7: ``steps`` steps of descent on the squared loss from W = 0.

    Its heads need rewards a known distance apart, and only their order counts: it is shown their ranks, from 1 to −1.

    Raises:
        ValueError: As for all.
    """
    check(episodes, seen)
    contexts = episodes.contexts.prefix(max(seen)).to(torch.float64)
    n = max(2, contexts.n)
    places = rank(contexts.rewards).argsort(-1)
    # Ranks lie 2/(n − 1) apart; 2/n is promised below, to leave room for rounding.
    contexts = Contexts(contexts.query, contexts.responses, 1 - places.double() * (2 / (n - 1)))
    longest = max(x.norm(dim=-1).max().item() for x in (contexts.query, contexts.responses))
    built = attention_only.build(Promise(n, contexts.dy, eta=rate, steps=steps, min_gap=2 / n, max_norm=longest or 1.0))
    start = contexts.query.new_zeros(contexts.batch, contexts.dy, contexts.dx)
    return as_given(built.step(contexts, start)[:, [k - 1 for k in seen]], episodes)


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
    check(episodes, seen, single=single)
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
    # Without a trace there is one entry, the last iterate.
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
    # `seen` counts queries here; `prefixes` would count responses to each, of which all are wanted.
    several = [episodes.multi_query(k) for k in seen]
    return torch.stack([(run(c, False) @ c.test[:, 0, :, None])[..., 0] for c in several], dim=2)
