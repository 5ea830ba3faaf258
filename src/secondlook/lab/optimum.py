"""The least Plackett–Luce loss there is under the cosine reward, for every context and prefix, with proof.

The loss depends on the direction of a prediction alone, so it is sought among unit vectors u. With y_j the unit
responses, best first, it is L(u) = Σ_i (log Σ_{j≥i} exp u·y_j − u·y_i), and this L is convex in all of space. So for
unit v

    L(v) ≥ L(u) + g·(v − u) ≥ L(u) − (‖g‖ + g·u),        g = ∇L(u):

the bracket bounds how far u is from the best. It is 0 where g points along −u, that is at every stationary point from
which L still falls outwards: there is nothing to search for, one descent finds the global optimum and knows it. Only
where L has its minimum inside the ball (noise, mostly) can there be stationary points that are not the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import eigh, vector_norm

from secondlook.lab.tasks import Episodes
from secondlook.objective import Prefixes

_SETTLED = 1e-7  # length of a gradient, or of a trust region, at which a descent ends
_PROVEN = 1e-6  # nats
_FLAT = 1e-8  # least curvature that a Newton step is divided by
_ROUNDS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The best directions.

    Attributes:
        prediction: ``[batch, p, dy]``, of length 1, in the dtype of the responses.
        loss: ``[batch, p]`` in nats, float64.
        gap: ``[batch, p]`` in nats, float64: no prediction has a loss lower than ``loss − gap``. Up to rounding it is 0
            where the optimum is proven; elsewhere ``loss`` is the least that several descents found, and far closer to
            the optimum than ``gap`` says.
    """

    prediction: Tensor
    loss: Tensor
    gap: Tensor


@torch.no_grad()
def optimum(episodes: Episodes, seen: list[int]) -> Optimum:
    """Minimise the cosine Plackett–Luce loss of the first ``seen[k]`` responses of every context.

    Newton's method on the sphere within a trust region, in float64, first from the direction in which the loss falls
    most at 0. Where that leaves the optimum unproven, it starts again from the mirror images of what it found along
    the axes of the Hessian: if L were quadratic, the best point and the one other local minimum would have opposite
    signs along its flattest axis.

    Args:
        episodes: Problems with one query.
        seen: How many responses count, ``[p]``, each from 1 to n.

    Returns:
        The optimum of each.

    Raises:
        ValueError: Several queries, or a length out of range.
    """
    contexts = episodes.contexts
    judge = Prefixes.of(contexts.responses.double(), contexts.rewards, seen, "cosine")
    problems = _Problems(
        judge.responses.repeat_interleave(len(seen), 0), judge.counted.permute(1, 2, 0).flatten(0, 1).contiguous()
    )
    # The gradient at 0 vanishes where nothing is to be ranked; there the best response will do.
    zero = torch.zeros_like(problems.responses[:, 0])
    # The first that counts, since responses stand best first.
    best = (problems.counted.cumsum(-1) == 1).to(zero.dtype).argmax(-1)
    spare = problems.responses.take_along_dim(best[:, None, None], 1)[:, 0]
    # A best response of 0 has no direction: the first axis will do.
    spare[..., 0] += (spare == 0).all(-1)
    downhill = -problems.at(zero).slope
    start = torch.where(_length(downhill) > _SETTLED, downhill, spare)
    found = problems.polish(_unit(start))
    # A gap that is not proven may be a saddle or another valley: mirror u along each axis of the Hessian and try again.
    (open_,) = (found.gap > _PROVEN).nonzero(as_tuple=True)
    if len(open_):
        part, again = problems.only(open_), found.only(open_)
        for axis in eigh(again.hessian).eigenvectors.unbind(-1):
            other = part.polish(_unit(again.u - 2 * (again.u * axis).sum(-1, keepdim=True) * axis))
            found.put(open_, other, other.loss < found.loss[open_])
    shape = len(episodes), len(seen)
    prediction = found.u.to(contexts.responses.dtype).view(*shape, -1)
    return Optimum(prediction, found.loss.view(shape), found.gap.view(shape))


@dataclass(slots=True)
class _Points:
    """State of the problems: u ``[m, d]``, L ``[m]``, and its gradient ``[m, d]`` and Hessian ``[m, d, d]``."""

    u: Tensor
    loss: Tensor
    slope: Tensor
    hessian: Tensor

    @property
    def gap(self) -> Tensor:
        return torch.clamp_min(_length(self.slope)[..., 0] + (self.slope * self.u).sum(-1), 0)

    def only(self, at: Tensor) -> _Points:
        return _Points(self.u[at], self.loss[at], self.slope[at], self.hessian[at])

    def put(self, at: Tensor, other: _Points, where: Tensor) -> None:
        """Take over the points of ``other`` (those at ``at``) for which ``where`` is true."""
        for name in ("u", "loss", "slope", "hessian"):
            getattr(self, name)[at[where]] = getattr(other, name)[where]


@dataclass(frozen=True, slots=True)
class _Problems:
    """Unit responses ``[m, n, d]``, best first, and which of them count, ``[m, n]``, 1 or 0."""

    responses: Tensor
    counted: Tensor

    def only(self, at: Tensor) -> _Problems:
        return _Problems(self.responses[at], self.counted[at])

    def at(self, u: Tensor) -> _Points:
        """L and its derivatives, Σ_i (m_i − y_i) and Σ_i (Σ_j β_ij y_j y_jᵀ − m_i m_iᵀ), where m_i = Σ_j β_ij y_j."""
        y, counted = self.responses, self.counted
        s = (y @ u[..., None])[..., 0]
        e = s.exp() * counted  # |s| is at most 1 for unit vectors: nothing overflows
        d = _later(e) + (1 - counted)  # 1 where a response does not count, so that the logarithm is 0
        # Σ_{i≤j} β_ij of every response j, which is in the factors up to its own.
        weight = e * (counted / d).cumsum(-1)
        mean = _later(e[..., None] * y) * (counted / d)[..., None]
        slope = ((weight - counted)[:, None] @ y)[:, 0]
        hessian = (y * weight[..., None]).mT @ y - mean.mT @ mean
        return _Points(u, ((d.log() - s) * counted).sum(-1), slope, hessian)

    def polish(self, start: Tensor) -> _Points:
        """Descend from unit vectors ``[m, d]`` to where the gradient along the sphere is 0."""
        found = self.at(start)
        radius = torch.ones_like(found.loss)
        for _ in range(_ROUNDS):
            along = found.slope - _radial(found.slope, found.u)
            # A radius that has shrunk away means that rounding hides any step down.
            (left,) = ((_length(along)[..., 0] > _SETTLED) & (radius > _SETTLED)).nonzero(as_tuple=True)
            if not len(left):
                break
            here, problems = found.only(left), self.only(left)
            step = _newton(here, along[left])
            length = _length(step)
            # A trust region: no step is longer than the radius, which doubles after a step down and shrinks otherwise.
            step *= (radius[left, None] / length).clamp_max(1)
            there = problems.at(_unit(here.u + step))
            lower = there.loss < here.loss
            found.put(left, there, lower)
            radius[left] = torch.where(lower, (2 * radius[left]).clamp_max(1), radius[left].minimum(length[..., 0]) / 4)
        return found


def _newton(here: _Points, along: Tensor) -> Tensor:
    """The step against the gradient along the sphere, by the Hessian of the sphere, P(∇²L − (g·u))P, made positive."""
    inward = (here.slope * here.u).sum(-1)[..., None, None]
    flat = torch.eye(here.u.shape[-1], dtype=here.u.dtype, device=here.u.device) - here.u[..., None] * here.u[:, None]
    values, axes = eigh(flat @ here.hessian @ flat - inward * flat)
    # |eigenvalue|: at a saddle Newton's step would climb.
    step = (axes.mT @ along[..., None]) / values.abs().clamp_min(_FLAT)[..., None]
    # Along u the matrix is 0, and `_FLAT` has blown up what rounding left there: `flat` takes it out.
    return -torch.matmul(flat, axes @ step)[..., 0]


def _later(x: Tensor) -> Tensor:
    """Σ_{j≥i} x_j along axis 1."""
    return x.flip(1).cumsum(1).flip(1)


def _radial(v: Tensor, u: Tensor) -> Tensor:
    return (v * u).sum(-1, keepdim=True) * u


def _length(v: Tensor) -> Tensor:
    length: Tensor = vector_norm(v, dim=-1, keepdim=True)
    return length


def _unit(v: Tensor) -> Tensor:
    return v / _length(v)
