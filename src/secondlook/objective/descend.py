"""Descent on the Plackett–Luce loss of all contexts and all their prefixes, as one tensor program.

Gradient descent and Adam work on every number by itself, and so does a sum of losses of which each has its own
parameters: one optimiser over the whole batch makes just the steps that one optimiser per context and prefix makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from secondlook.objective.checks import check_choice, check_shapes
from secondlook.objective.contexts import Contexts, MultiQueryContexts
from secondlook.objective.likelihood import Prefixes, Reward
from secondlook.objective.ranked import in_full, widen

On = Literal["prediction", "weights"]
Optimizer = Literal["gd", "adam"]


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """End of a descent. The axis ``p`` is missing if ``prefixes`` was false; ``...`` is ``dy`` or ``dy dx``.

    Attributes:
        last: ``[batch, p, ...]`` after the last step, of the dtype of the start.
        path: ``[steps + 1, batch, p, ...]`` from the start on, if it was traced.
        losses: ``[steps + 1, batch, p]`` in nats, at each point of the path, if it was traced.
    """

    last: Tensor
    path: Tensor | None = None
    losses: Tensor | None = None


def descend(
    start: Tensor,
    contexts: Contexts | MultiQueryContexts,
    *,
    on: On,
    optimizer: Optimizer,
    rate: float,
    steps: int,
    reward: Reward = "squared",
    prefixes: bool | Tensor | Sequence[int] = True,
    trace: bool = False,
) -> Descent:
    """Minimise the Plackett–Luce loss of every context and prefix by itself (the paper: 50 steps of GD at rate 0.1).

    At a single query, GD on W at a rate moves Wx as GD on Wx at rate·‖x‖² does. Adam on W does not.

    Args:
        start: Predictions ``[batch, dy]``, or weights ``[batch, dy, dx]``, the same for all prefixes; or with an axis
            ``p`` after ``batch`` for one of each.
        contexts: What to judge by; with several queries, by the sum of their losses (and on weights only).
        on: Whether the start is predictions f or weights W.
        optimizer: Gradient descent, or Adam with ``torch.optim.Adam``'s defaults.
        rate: Learning rate.
        steps: Number of steps.
        reward: See ``scores``. The cosine has no gradient at f = 0: start elsewhere.
        prefixes: True for all of 1 … n responses, false for the whole context only, or the lengths ``[p]`` wanted. With
            several queries a prefix is one of the responses to each.
        trace: Whether to keep the path and its losses.

    Returns:
        The descent. Half precision is descended in float32. No graph is kept.

    Raises:
        ValueError: If an option is unknown or out of range, or shapes do not fit.
    """
    check_choice("on", on, get_args(On))
    check_choice("optimizer", optimizer, get_args(Optimizer))
    if not rate > 0:
        raise ValueError(f"rate is {rate!r}: give more than 0")
    if steps < 0:
        raise ValueError(f"steps is {steps!r}: give 0 or more")
    if on == "prediction" and isinstance(contexts, MultiQueryContexts):
        raise ValueError("contexts have several queries, so that predictions do not move alone: descend on='weights'")
    n, whole = contexts.rewards.shape[-1], prefixes is False
    lengths = torch.as_tensor([n] if whole else range(1, n + 1) if prefixes is True else prefixes)
    many = contexts if isinstance(contexts, MultiQueryContexts) else contexts.as_multi_query()
    point = ("dy",) if on == "prediction" else ("dy", "dx")
    shared = whole or start.ndim == 1 + len(point)
    check_shapes(
        prefixes=(lengths, "p"),
        queries=(many.queries, "batch q dx"),
        responses=(many.responses, "batch q n dy"),
        start=(start, " ".join(("batch", *point) if shared else ("batch", "p", *point))),
    )
    position, queries, responses = widen(start.detach(), many.queries, many.responses)
    judge = Prefixes.of(responses.flatten(0, 1), many.rewards.flatten(0, 1), lengths, reward)

    def losses_at(position: Tensor) -> Tensor:
        if on == "prediction":
            return judge.loss(position)
        predictions = torch.einsum("bpyx,bqx->bqpy", position, queries)
        return judge.loss(predictions.flatten(0, 1)).view(*queries.shape[:2], -1).sum(1)

    if shared:
        position = position[:, None].expand(-1, len(lengths), *start.shape[1:])
    # Steps are in place: prefixes that `expand` made share one memory, and the start is the caller's.
    position = position.clone(memory_format=torch.contiguous_format).requires_grad_()
    stepper = (torch.optim.Adam if optimizer == "adam" else torch.optim.SGD)([position], lr=rate, fused=True)
    path, losses = [], []
    with torch.enable_grad(), in_full(position):
        # A trace takes one loss more than there are steps: that of the end.
        for step in range(steps + trace):
            loss = losses_at(position)
            if trace:
                path.append(position.detach().to(start.dtype, copy=True))
                losses.append(loss.detach())
            if step < steps:
                (gradient,) = torch.autograd.grad(loss.sum(), position)
                # A fused step on CPU reads a gradient's memory in order, whatever its strides are, without a warning.
                position.grad = gradient.contiguous()
                stepper.step()
    last = position.detach().to(start.dtype)
    found = (last, torch.stack(path), torch.stack(losses)) if trace else (last,)
    if not whole:
        return Descent(*found)
    # In `last` the axis p is the second; `path` and `losses` have the steps before it.
    return Descent(*(part.select(axis, 0) for part, axis in zip(found, (1, 2, 2), strict=False)))
