"""Contexts that a promise allows: ordinary ones, and adversaries."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from secondlook.construct.promise import Promise
from secondlook.objective import Contexts, MultiQueryContexts

FAMILIES = {
    "random": "normal responses, rewards anywhere",
    "tight": "normal responses, every gap the least that was promised",
    "best first": "the same, given in ranked order",
    "worst first": "the same, given in the opposite order",
    "one gap": "two rewards the least gap apart, the others spread out",
    "long": "all responses as long as was promised",
    "twins": "responses in pairs that differ by about 10⁻⁶ of their length",
    "cluster": "all responses about 10⁻³ of the norm from each other in every coordinate, far from the prediction",
    "line": "responses on a line through the prediction",
    "repeated": "the same response every second time",
    "same": "the same response every time",
    "at the prediction": "all responses within about 10⁻⁶ of the prediction, in units of the norm",
}
"""Families of contexts, by name."""


def draw(
    promise: Promise, generator: Generator, *, batch: int, dx: int, family: str, gap: float | None = None
) -> tuple[Contexts, Tensor]:
    """Contexts of one of ``FAMILIES`` and W₀ [batch, d, dx], inside the promise, in float64.

    ``dx`` is the width of a query, ``gap`` the least gap, if it is to be wider than the promised one.
    """
    query = _length(normal(generator, batch, dx), _uniform(generator, batch, 1, low=0.5, high=2.0), promise)
    start = _start(promise, generator, query[:, None])
    prediction = (start @ query[..., None]).squeeze(-1)
    responses = _responses(promise, generator, prediction, family)
    return Contexts(query, responses, _rewards(promise, generator, batch, family, gap)), start


def draw_queries(
    promise: Promise,
    generator: Generator,
    *,
    batch: int,
    dx: int,
    family: str,
    orthogonal: bool,
    gap: float | None = None,
) -> tuple[MultiQueryContexts, Tensor]:
    """Contexts of ``promise.queries`` queries; the test queries are those, or new ones where they are not orthogonal.

    Queries that are not orthogonal have the promised coherence at most. Otherwise as ``draw``.
    """
    q = promise.queries
    basis = torch.linalg.qr(normal(generator, batch, dx, dx))[0].mT[:, :q]
    if not orthogonal:
        # Leaning every direction on the first by μ gives cosines of μ with it, and μ² among the others.
        lean = promise.max_coherence * basis[:, :1]
        basis = torch.cat([basis[:, :1], lean + (1 - promise.max_coherence**2) ** 0.5 * basis[:, 1:]], dim=1)
    queries = _length(basis, _uniform(generator, batch, q, 1, low=0.5, high=2.0), promise)
    test = queries if orthogonal else _length(normal(generator, batch, q, dx), torch.ones(batch, q, 1), promise)
    start = _start(promise, generator, torch.cat([queries, test], dim=1))
    predictions = (queries @ start.mT).flatten(0, 1)
    responses = _responses(promise, generator, predictions, family).reshape(batch, q, promise.n, promise.d)
    rewards = _rewards(promise, generator, batch * q, family, gap).reshape(batch, q, promise.n)
    return MultiQueryContexts(queries, responses, rewards, test), start


def _responses(promise: Promise, generator: Generator, prediction: Tensor, family: str) -> Tensor:
    """Responses [batch, n, d] no longer than promised."""
    # A little short, so that rounding cannot make a response longer than promised.
    batch, n, longest = len(prediction), promise.n, promise.max_norm * (1 - 1e-12)
    y = normal(generator, batch, n, promise.d)
    center = _length(normal(generator, batch, 1, promise.d), torch.full((batch, 1, 1), 0.9), promise)
    if family == "long":
        return _normalised(y) * longest
    if family == "twins":
        y = y[:, : (n + 1) // 2].repeat_interleave(2, dim=1)[:, :n]
        # Cut to length before they are told apart: cut afterwards, they would become one.
        size = y.norm(dim=-1, keepdim=True).clamp_max(longest * (1 - 1e-5))
        y = size * (_normalised(y) + 1e-6 * normal(generator, *y.shape) / promise.d**0.5)
    elif family == "cluster":
        y = center + 1e-3 * promise.max_norm * y
    elif family == "line":
        y = prediction[:, None] * normal(generator, batch, n, 1)
    elif family == "repeated":
        y = y[:, : (n + 1) // 2].repeat(1, 2, 1)[:, :n]
    elif family == "same":
        y = y[:, :1].expand(-1, n, -1)
    elif family == "at the prediction":
        y = prediction[:, None] + 1e-6 * promise.max_norm * _normalised(y)
    length: Tensor = y.norm(dim=-1, keepdim=True)
    return y * (longest / length.clamp_min(longest))


def _rewards(promise: Promise, generator: Generator, batch: int, family: str, gap: float | None) -> Tensor:
    """Rewards [batch, n] within ±max_reward, at least ``gap`` apart."""
    n, least = promise.n, promise.min_gap if gap is None else gap
    # A gap must survive the subtraction that made it, where there is room for that.
    stretch = min(1 + 1e-12, 2 * promise.max_reward / ((n - 1) * least))
    room = max(0.0, 2 * promise.max_reward - (n - 1) * least * stretch)
    if family == "random":
        spare = _uniform(generator, batch, n, low=0.0, high=room).sort(dim=-1).values
    elif family == "one gap":
        # The two lowest rewards get the same share of the room: the ladder alone keeps them apart.
        even = room * torch.linspace(0, 1, n - 1, dtype=torch.float64)
        spare = torch.cat([even[:1], even]).expand(batch, n)
    else:
        spare = _uniform(generator, batch, 1, low=0.0, high=room).expand(batch, n)
    ladder = torch.arange(n, dtype=torch.float64) * least * stretch
    ascending = (spare + ladder - promise.max_reward).clamp(-promise.max_reward, promise.max_reward)
    if family == "worst first":
        return ascending
    if family == "best first":
        return ascending.flip(-1)
    shuffle = torch.rand(batch, n, generator=generator, dtype=torch.float64).argsort(dim=-1)
    return ascending.gather(-1, shuffle)


def _start(promise: Promise, generator: Generator, queries: Tensor) -> Tensor:
    """W₀ [batch, d, dx] whose predictions at queries [batch, q, dx] are no longer than promised."""
    weights = normal(generator, len(queries), promise.d, queries.shape[-1])
    longest = (queries @ weights.mT).norm(dim=-1).amax(-1)[:, None, None]
    weights *= _uniform(generator, len(queries), 1, 1, low=0.05, high=0.9) * promise.max_norm / longest
    return weights


def _length(vectors: Tensor, factor: Tensor, promise: Promise) -> Tensor:
    """Vectors of the given lengths, at most 2, in units of 1, or of max_norm/2 where that is smaller."""
    return _normalised(vectors) * factor.clamp_max(2.0) * min(1.0, promise.max_norm / 2)


def _normalised(vectors: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _uniform(generator: Generator, *shape: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
