"""The objective one ranking at a time, in plain Python loops: the oracle of the room's tests."""

import torch

from secondlook.objective import Contexts


def random_contexts(seed, batch=3, n=4, dx=3, dy=2, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (batch, dx), (batch, n, dy), (batch, n)
    return Contexts(*(scale * torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes))


def random_like(seed, *shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plain_order(rewards):
    return sorted(range(len(rewards)), key=lambda i: -float(rewards[i]))


def plain_scores(f, responses, reward):
    if reward == "squared":
        return torch.stack([-((f - y) ** 2).sum() for y in responses])
    return torch.stack([f @ y / (f.norm() * y.norm()) for y in responses])


def plain_loss(f, responses, rewards, reward="squared"):
    """One ranking, one factor after the other."""
    s = plain_scores(f, responses, reward)[plain_order(rewards)]
    total = 0.0 * s.sum()
    for i in range(len(s)):
        total = total - s[i:].log_softmax(0)[0]
    return total


def plain_prefix_losses(predictions, responses, rewards, lengths, reward="squared"):
    return torch.stack(
        [
            torch.stack([plain_loss(f[k], y[:n], r[:n], reward) for k, n in enumerate(lengths)])
            for f, y, r in zip(predictions, responses, rewards, strict=True)
        ]
    )


def plain_descent(start, loss, optimizer, rate, steps):
    """A torch optimiser of its own for one start; every position, and the loss there."""
    position = start.clone().requires_grad_()
    kind = {"gd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    stepper = kind([position], lr=rate)
    path, losses = [position.detach().clone()], [loss(position).detach()]
    for _ in range(steps):
        stepper.zero_grad()
        loss(position).backward()
        stepper.step()
        path.append(position.detach().clone())
        losses.append(loss(position).detach())
    return torch.stack(path), torch.stack(losses)
