"""Power of a comparison before anything is run: how often its own test would see a gain, by samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import isotonic_regression

from secondlook.diagnosis.clusters import PRIOR_ICC, Array, Spread, spread
from secondlook.diagnosis.paired import change_interval, change_p

_DATASETS = 1000  # a share of 0.8 is then known to ±2.5 points, and samples for it to two digits at most
_MOST = 1_000_000  # samples
_TEMPLATES = 1000


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """Change that a comparison is expected to find.

    Attributes:
        gain: Change of the share of right answers; a loss is seen as often as a gain.
        flips: Share of answers that are right in one log and not in the other.
        templates: Clusters that samples are spread over evenly; ``None`` if each sample is one of its own.
        icc: Correlation of two flips of one template.
        comparisons: Logs compared with one, all tested at the level of Holm's first step.
        level: Coverage of the interval.
    """

    gain: float
    flips: float
    templates: int | None = None
    icc: float = PRIOR_ICC
    comparisons: int = 1
    level: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.flips <= 1:
            raise ValueError(f"flips are {100 * self.flips:g}%; give a share of answers above 0%, at most 100%")
        if not 0 < abs(self.gain) <= self.flips:
            raise ValueError(
                f"a gain of {100 * self.gain:g} points from flips of {100 * self.flips:g}% cannot be: the gain is the "
                "flips to the better less those to the worse, and not 0; give a smaller gain or more flips"
            )
        if self.templates is not None and not 2 <= self.templates <= _TEMPLATES:
            raise ValueError(f"templates are {self.templates}; give 2 to {_TEMPLATES}, or none: each sample its own")
        if not 0 <= self.icc < 1:
            raise ValueError(f"the correlation within a template is {self.icc:g}; give 0 or more, below 1")
        if self.comparisons < 1:
            raise ValueError(f"comparisons are {self.comparisons}; give 1 or more")


@dataclass(frozen=True, slots=True)
class Power:
    """Power at one number of samples: how often the gain is seen, and the interval's half width to expect."""

    samples: int
    power: float
    half_width: float


def power_of(plan: PowerPlan, samples: int, seed: int = 0) -> Power:
    """The power of a comparison, by simulation of the very test and interval it will have.

    Raises:
        ValueError: If there are fewer samples than templates.
    """
    if samples < max(2, plan.templates or 2):
        raise ValueError(f"samples are {samples}; give at least one for each of {plan.templates or 2} templates")
    gained, lost, sizes = _draw(plan, samples, np.random.default_rng(seed))
    of = _singly(gained, lost, sizes) if plan.templates is None else spread(gained - lost, gained + lost, sizes)
    up, down = gained.sum(-1), lost.sum(-1)
    low, high = change_interval(of, up, down, plan.level)
    seen = (change_p(of, up, down) < (1 - plan.level) / plan.comparisons) & ((up - down) * plan.gain > 0)
    return Power(samples, float(seen.mean()), float((high - low).mean() / 2))


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Powers by rising numbers of samples; between two of them the power is on a line in the logarithm of samples."""

    found: tuple[Power, ...]

    def at(self, samples: int) -> Power:
        """The power at a number of samples.

        Raises:
            ValueError: If there are fewer samples than templates.
        """
        if samples < (least := self.found[0].samples):
            raise ValueError(f"samples are {samples}; give {least} or more, at least one for each template")
        known, shares, widths = self._columns()
        x = math.log(samples)
        return Power(samples, float(np.interp(x, known, shares)), float(np.interp(x, known, widths)))

    def fewest(self, power: float) -> Power | None:
        """Fewest samples that show a gain so often, to two digits; ``None`` if the last number is too few.

        Raises:
            ValueError: If the power is no share.
        """
        if not 0 < power < 1:
            raise ValueError(f"the power is {100 * power:g}%; give a share above 0% and below 100%")
        known, shares, _ = self._columns()
        place = int(np.searchsorted(shares, power))
        if place == len(shares):
            return None
        if place == 0:
            return self.found[0]
        # The first of equal powers: np.interp is for powers that rise, as these two do.
        samples = math.exp(float(np.interp(power, shares[place - 1 : place + 1], known[place - 1 : place + 1])))
        unit = 10 ** max(0, math.floor(math.log10(samples)) - 1)
        return self.at(unit * math.ceil(samples / unit - 1e-9))

    def _columns(self) -> tuple[Array, Array, Array]:
        rows = np.array([(math.log(each.samples), each.power, each.half_width) for each in self.found])
        return rows[:, 0], rows[:, 1], rows[:, 2]


def power_curve(plan: PowerPlan, seed: int = 0) -> PowerCurve:
    """The power of a comparison up to a million samples, which never falls where samples grow."""
    return _curve(max(2, plan.templates or 2), _MOST, lambda samples: power_of(plan, samples, seed))


def templates_for_power(plan: PowerPlan, each: int, power: float, seed: int = 0) -> int | None:
    """The fewest templates, of so many samples each, that do; ``None`` if a thousand are too few."""

    def of(templates: int) -> Power:
        return replace(power_of(replace(plan, templates=templates), each * templates, seed), samples=templates)

    found = _curve(2, _TEMPLATES, of).fewest(power)
    return None if found is None else found.samples


def _curve(least: int, most: int, of: Callable[[int], Power]) -> PowerCurve:
    """Simulated powers at steps of √2, made monotone: what falls between two of them is chance."""
    steps = math.ceil(2 * math.log2(most / least))
    found = [of(int(number)) for number in np.unique(np.geomspace(least, most, steps + 1).round())]
    shares = isotonic_regression([each.power for each in found]).x
    widths = isotonic_regression([each.half_width for each in found], increasing=False).x
    return PowerCurve(
        tuple(
            replace(each, power=float(share), half_width=float(width))
            for each, share, width in zip(found, shares, widths, strict=True)
        )
    )


def _draw(plan: PowerPlan, samples: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Pairs gained and lost by template, and its samples: each template has its own rates (a Dirichlet's)."""
    better = (plan.flips + abs(plan.gain)) / 2 / plan.flips
    better = better if plan.gain > 0 else 1 - better
    if plan.templates is None:
        shape, sizes, icc = (_DATASETS, 1), np.array([samples]), 0.0
    else:
        shape, icc = (_DATASETS, plan.templates), plan.icc
        sizes = np.diff(np.linspace(0, samples, plan.templates + 1).round().astype(int))

    def rates(mean: float, total: float) -> Array:
        if icc == 0 or not 0 < mean < 1:
            return np.full(shape, mean)
        return np.asarray(rng.beta(mean * total, (1 - mean) * total, shape))

    # A beta whose parameters sum to T has an intra-cluster correlation of 1 / (T + 1). The Dirichlet of gains, losses
    # and the rest is drawn in two steps: flips among all, then gains among flips, whose parameters sum to flips · T.
    total = (1 - icc) / icc if icc else math.inf
    flipped = rng.binomial(sizes, rates(plan.flips, total))
    gained = rng.binomial(flipped, rates(better, plan.flips * total))
    return gained.astype(float), (flipped - gained).astype(float), np.broadcast_to(sizes, shape).astype(float)


def _singly(gained: Array, lost: Array, sizes: Array) -> Spread:
    """The spread where each sample is a cluster of its own, of whose flips only the numbers matter."""
    n = sizes.sum(-1)
    mean = (gained - lost).sum(-1) / n
    simple = ((gained + lost).sum(-1) / n - mean**2) / (n - 1)
    return Spread(mean=mean, n=n, clusters=n, variance=simple, simple=simple, dof=n - 1, weight=np.ones_like(n))
