"""Baselines without a trained transformer: averages, regressions, descents, a construction, the posterior mean.

A baseline takes problems and how much of them has been seen, as for ``objectives.judge``: of one query the numbers of
responses, of several the numbers of queries with all their responses, and then it speaks of the query that follows. It
returns predictions ``[batch, p, dy]`` in the dtype of the responses, all prefixes at once. Sums are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from torch import Generator, Tensor

from secondlook.lab import averages, posterior
from secondlook.lab.descents import DEPTH, STEPS, constructed, gradient_descent, released, tune
from secondlook.lab.objectives import Objective
from secondlook.lab.tasks import Episodes, Task
from secondlook.objective import Reward

Baseline = Callable[[Episodes, list[int]], Tensor]
_BAYES: dict[str, Baseline] = {
    "paper": posterior.bayes_paper,
    "released": posterior.bayes_released,
    "fresh-query": posterior.bayes_fresh,
}


def baselines(task: Task, seed: int = 2**42) -> dict[str, Baseline]:
    """Baselines that apply to a task, by name.

    `descent` is by the cosine reward, as in the released code; for `fresh-query`, where lengths count, by the squared.
    What is `tuned` is tuned when it is called first. `descent, as released` is the released code's Adam. `constructed`
    takes 3 steps at a tuned rate. `bayes` is there for `paper`, `released` and `fresh-query`, if the rewards shown are
    the true ones.

    Args:
        task: What they are to solve.
        seed: Of pilot problems, and of where descent by the cosine starts: the same at every call.
    """
    # The default seed lies beyond those of training data (2**40 + seed) and of the exam (2**41).
    found: dict[str, Baseline] = (
        {"ridge on best": averages.ridge_best, "ridge on weighted mean": averages.ridge_weighted}
        if task.fresh
        else {
            "mean": averages.mean,
            "best of n": averages.best_of_n,
            "weighted mean": averages.weighted_mean,
            "regression": averages.regression,
        }
    )

    def descending(reward: Reward, tuned: bool, episodes: Episodes, seen: list[int]) -> Tensor:
        options = _tuned(task, reward, seed, STEPS) if tuned else {}
        generator = Generator().manual_seed(seed)
        return gradient_descent(episodes, seen, reward=reward, generator=generator, **options)

    def constructing(episodes: Episodes, seen: list[int]) -> Tensor:
        return constructed(episodes, seen, **_tuned(task, "squared", seed, (DEPTH,)))

    rewards: tuple[Reward, ...] = ("squared", "cosine") if task.fresh else ("cosine", "squared")
    for reward in rewards:
        name = "descent" if reward == rewards[0] else f"descent, {reward} reward"
        found[name] = partial(descending, reward, False)
        found[f"{name}, tuned"] = partial(descending, reward, True)
    if not task.fresh:
        found["constructed"] = constructing
        found["descent, as released"] = lambda episodes, seen: released(
            episodes, seen, generator=Generator().manual_seed(seed)
        )
    if task.p == 0 and task.name in _BAYES:
        found["bayes"] = _BAYES[task.name]
    return found


@lru_cache(maxsize=256)
def _tuned(task: Task, reward: Reward, seed: int, steps: tuple[int, ...]) -> dict[str, Any]:
    objective: Objective = "pl-cosine" if reward == "cosine" else "pl-squared"
    rate, number = tune(task, objective, Generator().manual_seed(seed), steps=steps)
    return {"rate": rate, "steps": number}
