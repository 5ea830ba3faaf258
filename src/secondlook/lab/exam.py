"""Fresh problems for judging predictions: by the loss, by what is above its optimum, and by the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self, get_args

import torch
from torch import Generator, Tensor

from secondlook.lab.objectives import Objective, judge
from secondlook.lab.optimum import optimum
from secondlook.lab.tasks import Episodes, Task, sample
from secondlook.lab.tokens import Layout, reads

_SEED = 2**41  # no run draws from this stream


@dataclass(frozen=True, eq=False)
class Exam:
    """Problems that no run has trained on, the same for all runs of a task.

    Attributes:
        objective: What is judged.
        episodes: The problems.
        seen: All prefixes at which some layout reads, the shortest first.
        least: The least loss there is at each, [batch, p], for `pl-cosine` at one query; else ``None``.
    """

    objective: Objective
    episodes: Episodes
    seen: tuple[int, ...]
    least: Tensor | None

    @classmethod
    def of(cls, task: Task, objective: Objective, size: int, *, pilot: bool = False) -> Exam:
        """Exam of a task: ``size`` problems, drawn once and shared by all who ask; pilots have others."""
        return _made(task, objective, size, _SEED + pilot)

    def to(self, device: str) -> Self:
        """The same on another device."""
        least = None if self.least is None else self.least.to(device)
        return replace(self, episodes=self.episodes.to(device), least=least)

    def floor(self, seen: list[int]) -> Tensor | None:
        """The least loss [batch, p] at these prefixes."""
        return None if self.least is None else self.least[:, [self.seen.index(k) for k in seen]]

    def excess(self, predictions: Tensor, seen: list[int]) -> Tensor:
        """The loss above its optimum, ``[batch, p]``, in nats.

        Raises:
            ValueError: The optimum is not known.
        """
        floor = self.floor(seen)
        if floor is None:
            raise ValueError(
                f"objective {self.objective} has no optimum to compare with here; use pl-cosine at one query"
            )
        return judge(predictions, self.episodes, seen, self.objective) - floor

    def look(self, predictions: Tensor, seen: list[int]) -> dict[str, float]:
        """Means over problems and prefixes.

        Returns:
            `loss`; `excess` over the optimum, if there is one; `error`, 1 − cosine with the truth; `squared`, squared
            error relative to the truth's square.
        """
        loss, floor = judge(predictions, self.episodes, seen, self.objective), self.floor(seen)
        found: dict[str, Any] = {"loss": loss.mean().item()}
        if floor is not None:
            found["excess"] = (loss - floor).mean().item()
        truth = self.truth(seen)
        found["error"] = angle(predictions, truth).mean().item()
        found["squared"] = off(predictions, truth).mean().item()
        return found

    def truth(self, seen: list[int]) -> Tensor:
        """Wx [batch, p, dy] where a prediction is made."""
        single = self.episodes.truth.shape[1] == 1
        return self.episodes.truth[:, [0] * len(seen) if single else seen]


def angle(predictions: Tensor, truth: Tensor) -> Tensor:
    """1 − cosine with the truth, mean over problems: [p]. The released code calls it normalised MSE."""
    return angles(predictions, truth).mean(0)


def angles(predictions: Tensor, truth: Tensor) -> Tensor:
    """1 − cosine with the truth, of every problem: [batch, p]."""
    return 1 - torch.nn.functional.cosine_similarity(predictions, truth, dim=-1)


def off(predictions: Tensor, truth: Tensor) -> Tensor:
    """Σ‖f − Wx‖² / Σ‖Wx‖² over problems: [p]."""
    # Not a mean of ratios, in which problems whose Wx is nearly 0 would outweigh the others.
    return (predictions - truth).square().sum((0, -1)) / truth.square().sum((0, -1))


@lru_cache(maxsize=64)
def _made(task: Task, objective: Objective, size: int, seed: int) -> Exam:
    seen = sorted({k for layout in get_args(Layout) for k in reads(task, layout)[1]})
    # On the CPU whatever trains: a device's own generator would draw other problems.
    episodes = sample(task, size, Generator().manual_seed(seed))
    # By the squared reward the optimum of a few responses may lie at infinity (T10).
    bounded = objective == "pl-cosine" and not task.fresh
    least = optimum(episodes, seen).loss if bounded else None
    return Exam(objective, episodes, tuple(seen), least)
