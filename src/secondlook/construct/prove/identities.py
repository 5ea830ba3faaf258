"""T1 and T11: the step on W as a shift of the responses, and the sign that the shift needs."""

from __future__ import annotations

from torch import Generator, Tensor

from secondlook.construct import sign
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check, architecture
from secondlook.construct.prove.draw import draw
from secondlook.construct.prove.grid import eta
from secondlook.construct.reference import reference
from secondlook.objective import Contexts, prefix_plackett_luce, weight_step

D, BATCH, GAP, ROUNDING = 5, 64, 1e-2, 1e-12


def prove_shift(n: int, seed: int = 0) -> Check:
    """T1: L(W + ΔW; y) = L(W; y − ΔWx), the largest difference relative to 1 + the loss."""
    contexts, start, promise = _drawn(n, seed)
    moved = weight_step(start, contexts, promise.eta)
    shift = (moved @ contexts.query[..., None]).mT
    stepped = _loss(contexts, start + moved)
    shifted = _loss(Contexts(contexts.query, contexts.responses - shift, contexts.rewards), start)
    error = ((stepped - shifted).abs() / (1 + stepped)).max().item()
    # Distances of up to (2·max_norm)² enter each of n−1 factors with a relative error of a few roundings.
    bound = 16 * n * (2 * promise.max_norm) ** 2 * promise.roundoff
    return Check("T1", "step on W = shift of y", D, n, 1, "float64", GAP, len(start), error, bound, error <= bound)


def prove_sign(seed: int = 0) -> list[Check]:
    """T11: with the paper's sign the loss rises; with ours the step is the true one, and the loss falls."""
    contexts, start, promise = _drawn(2, seed)
    checks, before = [], _loss(contexts, start)
    for printed in (True, False):
        construction = sign.build(promise, printed=printed)
        base = (start @ contexts.query[..., None]).mT
        step = construction.step(contexts, start) - base
        expected = reference(construction, contexts, start)
        error = expected.error(-step if printed else step).max().item()
        # The read-out is W₀x ± ΔWx: the rounding of W₀x, which the other constructions keep apart, is in the step.
        slack = 4 * promise.roundoff * (base.norm(dim=-1) / expected.size).max().item()
        after = prefix_plackett_luce(base + step, contexts.responses, contexts.rewards, lengths=[2])[:, 0]
        moved = bool((after > before).all()) if printed else bool((after < before).all())
        name = "printed sign: loss rises, by minus the step" if printed else "corrected sign: loss falls, by the step"
        passed, sizes = moved and error <= ROUNDING + slack, architecture(construction)
        checks.append(Check("T11", name, D, 2, 1, "float64", GAP, len(start), error, ROUNDING + slack, passed, **sizes))
    return checks


def _drawn(n: int, seed: int) -> tuple[Contexts, Tensor, Promise]:
    promise = Promise(n, D, eta(n, 1.0), min_gap=GAP, max_norm=1.0)
    return (*draw(promise, Generator().manual_seed(seed), batch=BATCH, dx=D, family="random"), promise)


def _loss(contexts: Contexts, weights: Tensor) -> Tensor:
    prediction = (weights @ contexts.query[..., None]).mT
    return prefix_plackett_luce(prediction, contexts.responses, contexts.rewards, lengths=[contexts.n])[:, 0]
