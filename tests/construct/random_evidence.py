"""Constructions of any shape beside their bounds, for Hypothesis: a slice in `make test`, the whole in `make soak`."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from secondlook.construct import Promise, attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow
from secondlook.construct.bounds import Bound, bound
from secondlook.construct.construction import Construction
from secondlook.construct.prove.draw import FAMILIES, draw, draw_queries
from secondlook.construct.reference import reference

SINGLE = (bradley_terry, plackett_luce, causal, attention_only, shallow)
BATCH = 20  # contexts of one example


@dataclass(frozen=True)
class Run:
    """One construction on a batch of contexts: errors, bounds, and what both are relative to, [batch, answers]."""

    construction: Construction[Any]
    error: Tensor
    bound: Bound
    size: Tensor

    @property
    def name(self):
        return f"{self.construction.result}, {self.construction.name}, {self.construction.promise}"

    def tightness(self):
        """Bound/error at the answer with the largest error, if it is truncation that bounds it there; else None.

        Truncation is more than e^{−βΔ} where rounding blurs the scores, and where T7 has leaks to amplify.
        """
        promise = self.construction.promise
        blur = promise.roundoff * (promise.reward_range + promise.match_reward)
        hidden = promise.hide_reward if self.construction.result == "T7" else 1.0
        worst = (self.error / self.size).argmax()
        truncation, rounding = self.bound.truncation.flatten()[worst], self.bound.rounding.flatten()[worst]
        if truncation < 10 * rounding or max(blur, hidden * math.exp(-promise.reward_sharpness)) > 0.1:
            return None
        return ((truncation + rounding) / self.error.flatten()[worst]).item()


@st.composite
def promises(draw):
    """Any shape, step size, norm, range, gap from the least to the widest, temperature, and precision."""
    n, d = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    norm, reward = draw(st.sampled_from([0.1, 1.0, 3.0, 10.0])), draw(st.sampled_from([0.5, 1.0, 4.0]))
    least, widest = n * 16 * torch.finfo(dtype).eps / 2 * reward, 2 * reward / (n - 1)
    gap = least * (0.99 * widest / least) ** draw(st.floats(0.01, 1))
    promise = Promise(
        n, d, draw(st.sampled_from([0.1, 1.0])) * gentle(n, norm), draw(st.integers(1, 3)), gap, norm, reward, dtype
    )
    return replace(promise, sharpness=draw(st.none() | st.floats(1.0, promise.reward_sharpness)))


def gentle(n, norm):
    """A step that cannot overshoot even if two queries are as long as `draw` makes them."""
    return 1 / (8 * (n - 1) * norm**2 * min(2.0, norm) ** 2)


examples = {
    "promise": promises(),
    "dx": st.integers(2, 6),
    "family": st.sampled_from(sorted(FAMILIES)),
    "seed": st.integers(0, 2**32),
}


def runs(promise, dx, family, seed):
    """Every construction on contexts of one family."""
    generator = torch.Generator().manual_seed(seed)
    for room in SINGLE:
        yield run(room.build(promise), *draw(promise, generator, batch=BATCH, dx=dx, family=family))
    for cross in (False, True):
        several = replace(promise, queries=2, max_coherence=0.5 if cross else 0.0)
        built = multi_query.build(several, tests=2, dx=dx, cross=cross)
        yield run(built, *draw_queries(several, generator, batch=BATCH, dx=dx, family=family, orthogonal=not cross))


def run(construction, contexts, start):
    expected = reference(construction, contexts, start)
    error = (construction.step(contexts, start).double() - expected.step).norm(dim=-1)
    return Run(construction, error, bound(construction, contexts, start), expected.size)


def check(promise, dx, family, seed):
    """No answer of any construction above its bound; where truncation dominates, no bound above 100 times the error."""
    for found in runs(promise, dx, family, seed):
        assert found.error.isfinite().all(), found.name
        assert (found.error <= found.bound.total).all(), found.name
        assert (found.tightness() or 1) <= 100, found.name
