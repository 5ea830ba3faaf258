"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al. 2024).

On this task it needs about half of AdamW's steps. ``torch.optim.Muon`` is the same method, but computes in bfloat16,
which CPUs without such instructions emulate: there it takes ten times the time of the training step itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Jordan's coefficients: they bring singular values near one in few iterations, rather than close to it in many."""


def orthogonal(matrices: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """Matrices with the same singular vectors, and singular values near one, by Newton–Schulz iterations.

    Most come to 0.7 to 1.2; those that are small beside the norm are still on their way.

    Args:
        matrices: Shape ``(count, rows, columns)``.
        iterations: How often the quintic is applied.
    """
    rows, columns = matrices.shape[1:]
    x = matrices.mT if rows > columns else matrices
    # No singular value is above the Frobenius norm, and the iteration wants them all to be at most one.
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: torch.Tensor = x.mT if rows > columns else x
    return result


class Muon(torch.optim.Optimizer):
    """Muon on matrices; vectors and embeddings are another optimizer's.

    Args:
        params: Weights of two dimensions.
        lr: Spectral norm of a square matrix's update.
        momentum: Of the gradient's running mean, looked ahead by one step (Nesterov).
        weight_decay: Decoupled, as AdamW's.
    """

    def __init__(
        self, params: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Apply one update; matrices of one shape are made orthogonal together."""
        del closure
        for group in self.param_groups:
            shapes: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                state["mean"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(state["mean"], group["momentum"])
                shapes.setdefault(weight.shape, []).append((weight, ahead))
            for (rows, columns), pairs in shapes.items():
                updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
                # Jordan's factor for tall matrices, which torch calls "original".
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (weight, _), update in zip(pairs, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-length)
