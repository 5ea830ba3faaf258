"""All prefixes of all contexts in one tensor program, against one ranking at a time, in the paper's setting.

The slow side is what one would write for one ranking: sort, score, and sum by logcumsumexp, without a loop over the
factors. Its descent is measured on a few contexts and scaled up linearly, as every context costs it the same. Both have
one thread: small tensors have no use for more, and the large ones would wait for a core that others use.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from secondlook.objective import Contexts, descend, prefix_plackett_luce

BATCH, N, D, STEPS, RATE = 256, 20, 5, 50, 0.1
LENGTHS = range(2, N + 1)
FEW = 4  # contexts of the slow descent
LOSS_LIMIT, DESCENT_LIMIT = 150, 500

Timed = tuple[float, Tensor]


def sample(generator: torch.Generator) -> Contexts:
    """Queries x and W standard normal, y = r Wx + (1 − r) W⁻x with a W⁻ of its own for each response, r uniform."""
    x, r = torch.randn(BATCH, D, generator=generator), torch.rand(BATCH, N, generator=generator)
    w, others = (torch.randn(BATCH, n, D, D, generator=generator) for n in (1, N))
    mixed = r[..., None, None] * w + (1 - r[..., None, None]) * others
    return Contexts(x, (mixed @ x[:, None, :, None])[..., 0], r)


def one_loss(prediction: Tensor, responses: Tensor, rewards: Tensor) -> Tensor:
    s = -(prediction - responses[rewards.argsort(descending=True, stable=True)]).square().sum(-1)
    return (s.flip(0).logcumsumexp(0).flip(0) - s).sum()


def gradients_one_by_one(predictions: Tensor, contexts: Contexts) -> Tensor:
    gradients = []
    for row, y, r in zip(predictions, contexts.responses, contexts.rewards, strict=True):
        for n, f in enumerate(row.unbind(), start=1):
            f.requires_grad_()
            gradients += torch.autograd.grad(one_loss(f, y[:n], r[:n]), f)
    return torch.stack(gradients)


def gradients_at_once(predictions: Tensor, contexts: Contexts) -> Tensor:
    f = predictions.detach().requires_grad_()
    loss = prefix_plackett_luce(f, contexts.responses, contexts.rewards).sum()
    return torch.autograd.grad(loss, f)[0].flatten(0, 1)


def one_descent(start: Tensor, responses: Tensor, rewards: Tensor) -> Tensor:
    position = start.clone().requires_grad_()
    adam = torch.optim.Adam([position], lr=RATE)
    for _ in range(STEPS):
        adam.zero_grad()
        one_loss(position, responses, rewards).backward()
        adam.step()
    return position.detach()


def descents_one_by_one(start: Tensor, contexts: Contexts) -> Tensor:
    each = zip(start[:FEW], contexts.responses, contexts.rewards, strict=False)
    return torch.stack([one_descent(f, y[:n], r[:n]) for f, y, r in each for n in LENGTHS])


def descents_at_once(start: Tensor, contexts: Contexts) -> Tensor:
    found = descend(start, contexts, on="prediction", optimizer="adam", rate=RATE, steps=STEPS, prefixes=LENGTHS)
    return found.last.flatten(0, 1)


def fastest(times: int, measured: Callable[[Tensor, Contexts], Tensor], start: Tensor, contexts: Contexts) -> Timed:
    """Least seconds of so many calls, and what the last one gave."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        result = measured(start, contexts)
        seconds.append(time.perf_counter() - begun)
    return min(seconds), result


def compared(what: str, slow: Timed, fast: Timed, scale: float, limit: float) -> bool:
    """Print both times and their ratio; whether it is as high as it must be."""
    off = (slow[1] - fast[1][: len(slow[1])]).abs().max()
    seconds = slow[0] * scale
    ratio = seconds / fast[0]
    print(f"{what}: one by one {seconds:8.2f} s, at once {1e3 * fast[0]:7.2f} ms; they differ by at most {off:.1e}")
    print(f"{'':{len(what)}}  {ratio:.0f} times as fast: {'' if ratio >= limit else 'NOT '}at least {limit} times")
    return ratio >= limit


def main() -> int:
    torch.set_num_threads(1)
    # glibc hands freed memory back at once until a process has freed a larger block, as any training soon has.
    torch.empty(2**22)
    generator = torch.Generator().manual_seed(0)
    contexts, start = sample(generator), torch.randn(BATCH, D, generator=generator)
    predictions = torch.randn(BATCH, N, D, generator=generator)
    print(f"{BATCH} contexts, {N} responses of dimension {D}, float32, {torch.get_num_threads()} thread")
    slow = fastest(2, gradients_one_by_one, predictions, contexts)
    fast = fastest(50, gradients_at_once, predictions, contexts)
    passed = compared("loss and gradient of every prefix", slow, fast, 1, LOSS_LIMIT)
    slow = fastest(2, descents_one_by_one, start, contexts)
    fast = fastest(10, descents_at_once, start, contexts)
    print(f"{STEPS} Adam steps for {len(LENGTHS)} prefixes; one by one: {FEW} contexts timed, scaled to {BATCH}")
    passed &= compared("descent", slow, fast, BATCH / FEW, DESCENT_LIMIT)
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
