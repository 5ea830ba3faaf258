"""T9: how the error falls with temperature, and how far each precision lets it fall.

The contexts have every gap at its least, Δ, so that the bound is e^{−βΔ} times a constant: the logarithm of the error
against βΔ has slope −1, until rounding takes over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats
from torch import Generator

from secondlook.construct import attention_only, causal, plackett_luce
from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check, judge
from secondlook.construct.prove.draw import draw
from secondlook.objective import Contexts

BUILDERS = (plackett_luce.build, causal.build, attention_only.build)
DTYPES = (torch.float64, torch.float32, torch.bfloat16)
N, D, ETA, GAP, BATCH = 4, 5, 0.1, 0.25, 32
SHARPNESS = (*range(2, 20), *range(20, 50, 4))
SLOPE, SLOPE_TOLERANCE, TIGHT = -1.0, 0.05, 100.0
# The slope is read where e^{−βΔ} is small, and the error still this many times what rounding leaves in the end.
STEEP, CLEAR, POINTS = 8, 30.0, 4


@dataclass(frozen=True)
class TemperatureSweep:
    """One construction in one precision, as βΔ grows.

    Attributes:
        rows: A check for each βΔ; errors and bounds are the worst of all answers in all contexts.
        slope: Fitted slope of log error against βΔ, or None where rounding leaves too few points.
        tightness: Largest bound/error of the points that the slope is fitted to.
        best: The least error.
        enough: The least βΔ whose error is within a tenth of ``best``.
    """

    rows: tuple[Check, ...]
    slope: float | None
    tightness: float | None
    best: float
    enough: float

    def summary(self) -> Check:
        """The slope's distance from −1, or, where there is none to fit, the least error; with what was allowed."""
        held, last = all(row.passed for row in self.rows), self.rows[-1]
        what = f"{last.construction}, least error {self.best:.0e} from βΔ = {self.enough:g}"
        whole = replace(last, sharpness=None, contexts=sum(row.contexts for row in self.rows))
        if self.slope is None or self.tightness is None:
            # An error that is not a number equals none, itself included; then no row is left, and there is no bound.
            bound = max((row.bound for row in self.rows if row.error == self.best), default=math.inf)
            return replace(whole, construction=f"{what}: that error", error=self.best, bound=bound, passed=held)
        off = abs(self.slope - SLOPE)
        passed = held and off <= SLOPE_TOLERANCE and self.tightness <= TIGHT
        what = f"{what}: slope {self.slope:.4f}, off −1 by"
        return replace(whole, construction=what, error=off, bound=SLOPE_TOLERANCE, passed=passed)


def sweeps(seed: int = 0) -> Iterator[TemperatureSweep]:
    """Every construction whose pick leaks, in every precision."""
    for build in BUILDERS:
        for dtype in DTYPES:
            yield sweep(build, dtype, seed)


def sweep(build: Callable[[Promise], Construction[Contexts]], dtype: torch.dtype, seed: int = 0) -> TemperatureSweep:
    """Build for one βΔ after the other, and measure."""
    rows = tuple(_point(build, dtype, float(sharpness), seed) for sharpness in SHARPNESS)
    errors = np.array([row.error for row in rows])
    ratio = np.array([row.bound for row in rows]) / errors
    sharpness = np.array(SHARPNESS, dtype=float)
    fitted = (sharpness >= STEEP) & (errors >= CLEAR * errors[-1])
    best = float(errors.min())
    enough = float(sharpness[errors <= 1.1 * best].min(initial=np.inf))
    if fitted.sum() < POINTS:
        return TemperatureSweep(rows, None, None, best, enough)
    slope = stats.linregress(sharpness[fitted], np.log(errors[fitted])).slope
    return TemperatureSweep(rows, float(slope), float(ratio[fitted].max()), best, enough)


def _point(
    build: Callable[[Promise], Construction[Contexts]], dtype: torch.dtype, sharpness: float, seed: int
) -> Check:
    promise = Promise(N, D, ETA, 1, GAP, 1.0, dtype=dtype, sharpness=sharpness)
    drawn = draw(promise, Generator().manual_seed(seed), batch=BATCH, dx=D, family="tight")
    (check,) = judge(build(promise), [drawn], [GAP])
    return replace(check, result="T9")
