"""T12: what a verdict is worth. Rows for (a) to (e); `noisy` has (f)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Generator, Tensor

from secondlook.construct import bradley_terry, verdicts
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check, judge
from secondlook.construct.prove.draw import FAMILIES, draw
from secondlook.construct.prove.grid import eta
from secondlook.construct.prove.looks import ETA, D, Looks
from secondlook.construct.prove.noisy import prove_noisy
from secondlook.objective import ErringCritic, Floats, JudgedContexts, margin_bound, mean_bound

SIZES = ((2, 1), (2, 8), (2, 32), (8, 1), (8, 3), (32, 1))
"""Answers and rounds."""
EACH, DX, NORM = 4, 3, 10.0
KINDS = ("random", "all accepted", "one accepted", "one refused", "in turn")
ROUNDS = 2000
SIZES_OF_C = (0.01, 0.1, 1.0, 4.0, 20.0, 100.0)
STARTS = (-3.0, 0.0, 0.5, 8.0)
CRITICS = tuple(
    ErringCritic(*rates) for rates in ((0.9, 0.9), (0.7, 0.7), (0.95, 0.4), (0.6, 0.9), (1.0, 0.3), (0.5, 0.0))
)
DOUBT = 1e-9
"""Probability that a run of honest chance is above the bound of (d)."""
Adversary = Callable[[Tensor, int], Tensor]
_CURVED = 1 / (12 * math.sqrt(3))  # half the largest |σ''|


def prove_verdicts(seed: int = 0) -> list[Check]:
    """Every row of T12."""
    return [
        *_steps(seed),
        _same_weights(),
        _margins(seed),
        *_expected(seed),
        *_any_verdicts(seed, ROUNDS),
        *_chance(seed),
        _flipped(),
        *prove_noisy(seed),
    ]


def _steps(seed: int) -> Iterator[Check]:
    """(a), (e): the step of every round beside automatic differentiation of the loss of the accepted."""
    for n, rounds in SIZES:
        # A promise wants room for n different rewards between ±1. Verdicts tie, and are 1 apart where they differ.
        promise = Promise(n, 5, eta(n, NORM), rounds, min(1.0, 2 / (n - 1)), NORM)
        generator = Generator().manual_seed(seed)
        drawn = [judged(promise, generator, EACH, family, kind) for family, kind in product(FAMILIES, KINDS)]
        yield from judge(verdicts.build(promise), drawn, [1.0], [1e-9])


def judged(promise: Promise, generator: Generator, batch: int, family: str, kind: str) -> tuple[JudgedContexts, Tensor]:
    """Contexts of a family of `draw` with 0/1 verdicts of one of `KINDS`, and W₀."""
    n, rounds = promise.n, promise.steps
    # For queries, responses and W₀: the rewards that come with them are not used.
    spread = replace(promise, min_gap=min(promise.min_gap, 1 / n))
    contexts, start = draw(spread, generator, batch=batch, dx=DX, family=family)
    if kind == "random":
        given = (torch.rand(batch, n, rounds, generator=generator, dtype=torch.float64) < 0.5).double()
    elif kind == "all accepted":
        given = torch.ones(batch, n, rounds, dtype=torch.float64)
    elif kind == "in turn":
        given = torch.nn.functional.one_hot(torch.arange(rounds) % n, n).mT.double().expand(batch, n, rounds)
    else:
        at = torch.randint(n, (batch, rounds), generator=generator)
        given = torch.nn.functional.one_hot(at, n).mT.double()
        given = given if kind == "one accepted" else 1 - given
    return JudgedContexts(contexts.query, contexts.responses, given), start


def _same_weights() -> Check:
    """(e): the weights are those of T2, number for number."""
    promise = Promise(8, 5, min_gap=0.25)
    ours, theirs = verdicts.build(promise).weights, bradley_terry.build(promise).weights
    off = max(float((ours[name] - theirs[name]).abs().max()) for name in ours.keys() | theirs.keys())
    return _row("(e) its weights less T2's", off, promise.roundoff, passed=off == 0, n=8)


def _margins(seed: int) -> Check:
    """(a): one forward pass moves the margin by c(u − p), in units of c."""
    c, start, u = zip(*product(SIZES_OF_C, np.linspace(-40, 40, 33).tolist(), (0.0, 0.5, 1.0)), strict=True)
    looks, favours = Looks(c, start, seed), torch.tensor(u, dtype=torch.float64)
    before = looks.margin
    expected = (before + looks.c * (favours - before.sigmoid())).numpy()
    looks.look(favours)
    made, read = looks.rounding()
    allowed = (made + (2 + looks.c.numpy()) * read) / looks.c.numpy() + looks.leak
    return _worst("(a) margin moves by c(u − p)", np.abs(looks.margin.numpy() - expected) / looks.c.numpy(), allowed)


def _expected(seed: int) -> Iterator[Check]:
    """(b): the mean of the four ways a look can go, weighted by their probabilities; and when it helps."""
    generator = np.random.default_rng(seed)
    batch = 4096
    p, c = generator.uniform(0.02, 0.98, batch), 10 ** generator.uniform(-3, 1, batch)
    critics = [ErringCritic(*generator.uniform(0, 1, 2)) for _ in range(batch // 2)]
    critics += [ErringCritic(a, a) for a in generator.uniform(0, 1, batch // 2)]
    looks = Looks(c.tolist(), np.log(p / (1 - p)).tolist(), seed)
    # The p that the layer sees: a margin is rounded when it is made a prediction.
    p = looks.margin.sigmoid().numpy()
    up, down = (looks.step(torch.full((batch,), u, dtype=torch.float64)) for u in (1.0, 0.0))
    keeps, alarms = (np.array([getattr(critic, name) for critic in critics]) for name in ("keeps", "alarms"))
    ways = ((p * keeps, up), (p * (1 - keeps), down), ((1 - p) * alarms, up), ((1 - p) * (1 - alarms), down))
    mean = torch.stack([torch.from_numpy(share)[:, None] * step for share, step in ways]).sum(0)
    drift = (1 - p) * alarms - p * (1 - keeps)
    size = 2 * ETA * looks.apart
    error = ((mean - torch.from_numpy(drift)[:, None] * size).norm(dim=-1) / size.norm(dim=-1)).numpy()
    made, read = looks.rounding()
    yield _worst("(b) E ΔWx", error, (made + 2 * read) / c + looks.leak + 16 * looks.promise.roundoff)

    after = [(looks.margin + 2 * (step * looks.apart).sum(-1)).sigmoid().numpy() for step in (up, down)]
    favours = p * keeps + (1 - p) * alarms
    gain = favours * after[0] + (1 - favours) * after[1] - p
    square = favours * (1 - p) ** 2 + (1 - favours) * p**2
    first, second = c * p * (1 - p) * drift, _CURVED * c**2 * square
    yield _worst("(b) E p' − p, beyond first order", np.abs(gain - first), second + 8 * looks.promise.roundoff)
    # Where the first order outweighs what is beyond it, more answers are right iff most alarms are true.
    precise = (1 - p) * alarms / ((1 - p) * alarms + p * (1 - keeps)) > 0.5
    small = np.abs(first) > second + 8 * looks.promise.roundoff
    wrong = ((gain > 0) != precise)[small]
    yield _row(
        "(b) critics for whom ½ does not tell", float(wrong.sum()), 0.5, passed=not wrong.any(), contexts=len(wrong)
    )


ADVERSARIES: dict[str, Adversary] = {
    "always right": lambda margin, _: torch.ones_like(margin),
    "always wrong": lambda margin, _: torch.zeros_like(margin),
    "in turn": lambda margin, round_: torch.full_like(margin, round_ % 2),
    "away from ½": lambda margin, _: (margin > 0).double(),
    "against the model": lambda margin, _: (margin < 0).double(),
    # Runs of 1, 2, 4, 8 … rounds.
    "in long runs": lambda margin, round_: torch.full_like(margin, (round_ + 1).bit_length() % 2),
    "neither": lambda margin, _: torch.full_like(margin, 0.5),
}
"""Choosers of verdicts that know the margin and the round."""


def _any_verdicts(seed: int, rounds: int) -> Iterator[Check]:
    """(c): mean p follows mean u, and the margin grows as a logarithm, under verdicts meant to prevent it."""
    names, c, start = zip(*product(ADVERSARIES, SIZES_OF_C, STARTS), strict=True)
    looks = Looks(c, start, seed)
    begun, (said, given) = looks.margin.numpy(), follow(looks, names, rounds)
    made, read = looks.rounding()
    blur = made / looks.c.numpy() + looks.leak + read
    off = np.abs(said - given)
    yield _worst(f"(c) |mean p − mean u| after {rounds} rounds", off, mean_bound(begun, c, rounds) + blur)
    far = np.abs(looks.margin.numpy())
    most = margin_bound(begun, c, rounds) + rounds * (made + looks.c.numpy() * looks.leak) + read
    yield _worst(f"(c) |δ| after {rounds} rounds", far, most)


def follow(looks: Looks, names: tuple[str, ...], rounds: int) -> tuple[Floats, Floats]:
    """Let each model's adversary choose its verdicts; the means of p and of u over the rounds."""
    p, u = (torch.zeros_like(looks.margin) for _ in range(2))
    who = {name: torch.tensor([name == own for own in names]) for name in dict.fromkeys(names)}
    for round_ in range(rounds):
        margin, favours = looks.margin, torch.zeros_like(p)
        for name, mine in who.items():
            favours = torch.where(mine, ADVERSARIES[name](margin, round_), favours)
        p, u = p + margin.sigmoid(), u + favours
        looks.look(favours)
    return (p / rounds).numpy(), (u / rounds).numpy()


def _chance(seed: int) -> Iterator[Check]:
    """(d): mean p tends to p* for every step size; by Azuma's inequality, all chains together."""
    critics, c, start = zip(*product(CRITICS, SIZES_OF_C, (-3.0, 0.0, 3.0)), strict=True)
    looks = Looks(c, start, seed)
    begun, (mean, _) = looks.margin.numpy(), sample(looks, critics, ROUNDS, seed)
    alarmed = np.array([1 - critic.keeps + critic.alarms for critic in critics])
    limit = np.array([critic.limit for critic in critics])
    made, read = looks.rounding()
    path = (np.abs(begun) + np.abs(looks.margin.numpy())) / (looks.c.numpy() * ROUNDS)
    # Azuma's inequality, with DOUBT/len(critics) for each chain, so that DOUBT is for all of them together.
    chance = math.sqrt(math.log(2 * len(critics) / DOUBT) / (2 * ROUNDS))
    allowed = (path + chance + made / looks.c.numpy() + looks.leak + read) / alarmed
    for size in SIZES_OF_C:
        at = np.array(c) == size
        yield _worst(f"(d) |mean p − p*|, c = {size:g}, {ROUNDS} rounds", np.abs(mean - limit)[at], allowed[at])


def sample(looks: Looks, critics: tuple[ErringCritic, ...], rounds: int, seed: int) -> tuple[Floats, list[Floats]]:
    """Let every model answer by chance and its critic judge by chance; mean p, and p before each round."""
    generator = Generator().manual_seed(seed)
    keeps, alarms = (
        torch.tensor([getattr(critic, name) for critic in critics], dtype=torch.float64) for name in ("keeps", "alarms")
    )
    path = []
    for _ in range(rounds):
        p = looks.margin.sigmoid()
        path.append(p.numpy())
        right, said = torch.rand(2, len(critics), generator=generator, dtype=torch.float64)
        # A verdict favours y₊ if it lets a right answer stand, or alarms at a wrong one.
        looks.look((said < torch.where(right < p, keeps, alarms)).double())
    return np.mean(path, axis=0), path


def _flipped() -> Check:
    """(d): a perfect critic whose verdicts are flipped with probability q leads to 1 − q, and its mean field there."""
    off = []
    for q, c in product((0.0, 0.1, 0.25, 0.5, 0.75), (0.1, 1.0, 3.0)):
        critic = ErringCritic(1 - q, 1 - q)
        # q = 0 has its limit at δ = ∞: of it only p* is compared.
        delta = math.log(max(1 - q, 1e-6) / max(q, 1e-6)) + 1e-4
        slope = (_field(critic, c, delta + 1e-5) - _field(critic, c, delta - 1e-5)) / 2e-5
        off.append(abs((critic.limit or 0.0) - (1 - q)))
        p = 1 / (1 + math.exp(-delta))
        off.append(abs(slope - (1 - c * p * (1 - p))) if q else 0.0)
    return _row("(d) flipped with probability q: p* less 1 − q, and the rate", max(off), 1e-9, passed=max(off) <= 1e-9)


def _field(critic: ErringCritic, c: float, delta: float) -> float:
    return delta + c * float(critic.drift(1 / (1 + math.exp(-delta))))


def _worst(name: str, error: Floats, allowed: Floats) -> Check:
    """Row of many numbers: the one that takes most of what it is allowed."""
    at = int(np.argmax(error / allowed))
    passed = bool((error <= allowed).all())
    return _row(name, float(error[at]), float(allowed[at]), passed=passed, contexts=len(error))


def _row(name: str, error: float, bound: float, *, passed: bool, contexts: int = 1, n: int = 2) -> Check:
    return Check("T12", name, D, n, 1, "float64", 1.0, contexts, error, bound, passed)
