"""Bounds on a construction's distance from the true step: what softmax leaks, and what rounding adds.

Everything is derived in docs/theory.md. ``truncation`` is what an exact computer would still get wrong because
softmax gives e^{−βΔ} to the wrong token; ``rounding`` bounds what the precision adds, in the construction and in its
reference. Both are evaluated at a given context, so that a bound can be compared with the error measured there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise
from secondlook.objective import Contexts, JudgedContexts, MultiQueryContexts, accepted, rank

# Thresholds and masks are right as long as leaks stay below a quarter of what they decide on.
_QUARTER = 0.25


@dataclass(frozen=True)
class Bound:
    """Bounds on ‖step − expected‖, [batch, answers] each."""

    truncation: Tensor
    rounding: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of leaks and rounding."""
        return self.truncation + self.rounding


def bound(
    construction: Construction[Contexts] | Construction[MultiQueryContexts] | Construction[JudgedContexts],
    contexts: Contexts | MultiQueryContexts | JudgedContexts,
    start: Tensor,
) -> Bound:
    """The bound at each answer.

    Args:
        construction: What is judged.
        contexts: As ``construction.step`` takes them.
        start: W₀ [batch, d, dx].
    """
    promise, start, contexts = construction.promise, start.double(), contexts.to(torch.float64)
    if isinstance(contexts, MultiQueryContexts):
        return Bound(*_bound(promise, construction.result, [contexts] * promise.steps, start))
    if isinstance(contexts, JudgedContexts):
        rounds = [contexts.round(number).as_multi_query() for number in range(promise.steps)]
        truncation, rounding = _bound(promise, construction.result, rounds, start)
        answers = contexts.responses.shape[1]
        return Bound(truncation.expand(-1, answers), rounding.expand(-1, answers))
    lengths = range(1, contexts.n + 1) if construction.prefixes else [contexts.n]
    cut = (contexts.prefix(length).as_multi_query() for length in lengths)
    found = [_bound(promise, construction.result, [part] * promise.steps, start) for part in cut]
    truncation, rounding = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
    answers = contexts.n if construction.first == 0 else truncation.shape[1]
    return Bound(truncation.expand(-1, answers), rounding.expand(-1, answers))


def _bound(promise: Promise, result: str, rounds: Sequence[MultiQueryContexts], start: Tensor) -> tuple[Tensor, Tensor]:
    """Truncation and rounding [batch, test queries], carried along the K steps as errors of W in Frobenius norm.

    An error b_q of query q's step is an error b_q·‖x_q‖ of W. A step maps W to W + 2ηΣ_qΣ_k(y_k − ȳ_k)x_qᵀ, whose
    Jacobian is I − H with 0 ≤ H ≤ 4ηΣ_q‖x_q‖²Σ_k radius_k²: an error e before the step is at most
    max(1, ‖H‖ − 1)·e after it. ``rounds`` are the contexts as each step sees them; only rewards may differ.
    """
    u, contexts = promise.roundoff, rounds[0]
    r = contexts.rewards
    weights, travelled = start, torch.zeros_like(r[:, 0, 0])
    n, dx, d = r.shape[-1], start.shape[-1], start.shape[-2]
    x, largest = contexts.queries.norm(dim=-1), contexts.responses.norm(dim=-1).amax(-1)
    matched = (dx + 4) * promise.match_score if result == "T4" else 0.0
    truncation, rounding = torch.zeros_like(travelled), torch.zeros_like(travelled)
    for number, one in enumerate(rounds):
        # K steps look at one ranking; every round of verdicts has its own.
        if number == 0 or one is not rounds[number - 1]:
            order = rank(one.rewards)
            y, r = one.responses.take_along_dim(order[..., None], -2), one.rewards.take_along_dim(order, -1)
            leaks = _leaks(promise, result, r)
            count = leaks.pick.shape[-2]
            # What a pick should carry: a response, or the average of all that share the highest verdict (T12).
            picked = accepted(r)[..., None, :] @ y if result == "T12" else y[..., :count, :]
            distances = (picked[..., None, :] - y[..., None, :, :]).norm(dim=-1)
            # Terms that a prefix no longer has still carry a response to and fro.
            spare = promise.n - 1 - count if result in ("T5", "T7") else 0
        prediction = contexts.queries @ weights.mT
        attention, apart, radius, average = _terms(prediction, y, count)
        step = picked - average
        leak = (leaks.pick * distances).sum((-2, -1))
        leak = leak + (leaks.lift * (attention * leaks.fade * apart).sum(-1)).sum(-1) + leaks.lost * largest
        # Rounding of f = W₀x + Σ steps, of the scores made from it, and of the averages made from those. The
        # constants are derived in docs/theory.md, Rounding of one step.
        moved = u * (dx + 4) * (start.norm(dim=(-2, -1)) + travelled)[:, None] * x
        scores = u * ((d + promise.steps + 8) * (2 * prediction.norm(dim=-1) + largest) * largest + matched)
        carried = u * (n + 12) * 2 * largest
        wrong = 2 * (scores + 2 * moved * largest)[..., None] * radius + carried[..., None]
        wrong = wrong.sum(-1) + spare * carried
        travelled = travelled + 2 * promise.eta * (x * step.norm(dim=-1).sum(-1)).sum(-1)
        stored = u * (count + r[0].numel() + dx + 4) * travelled
        # Attention at a prediction that is off by e differs from attention there by at most a factor e^{4e·max‖y‖}.
        drift = (4 * (truncation + rounding) * (x * largest).amax(-1)).exp()
        grown = (4 * promise.eta * (x.square() * radius.square().sum(-1)).sum(-1) - 1).clamp_min(1)
        truncation = grown * truncation + drift * 2 * promise.eta * (x * leak).sum(-1)
        rounding = grown * rounding + 2 * drift * (2 * promise.eta * (x * wrong).sum(-1) + stored)
        weights = weights + 2 * promise.eta * step.sum(-2).mT @ contexts.queries
    asked = contexts.test.norm(dim=-1)
    answers = [asked * part[:, None] for part in (truncation, rounding)]
    # An exponential that overflows, times zero, is not a number: there is no bound then.
    truncation, rounding = (part.nan_to_num(torch.inf, posinf=torch.inf) for part in answers)
    return truncation, rounding


@dataclass(frozen=True)
class _Leaks:
    """Softmax weight on the wrong tokens, in ranked order, for the terms of one step.

    Attributes:
        pick: [batch, q, terms, n], at most this much attention of term k's pick goes to j.
        fade: [batch, q, terms, n], share of attention that the average of term k takes from j, as it is partly hidden.
        lift: [batch, q, terms], factor by which the other tokens of that average gain at most.
        lost: [batch, q], attention of all heads together that goes to T7's BOS token and should not; inf if leaks
            are so large that some token may not be retired when its turn has come: then there is no bound.
    """

    pick: Tensor
    fade: Tensor
    lift: Tensor
    lost: Tensor


FIRST_FACTOR = ("T2", "T11", "T12")
"""Results whose step has but one term, the ranking's first."""


def _leaks(promise: Promise, result: str, r: Tensor) -> _Leaks:
    """Leaks for rewards r [batch, q, n], best first: e^{−β(r_k − r_j)} of a pick, and what T7's mask makes of that.

    Rounding takes at most 6uβ·max|r| off the distance of two scores.
    """
    n = r.shape[-1]
    count = min(1, n - 1) if result in FIRST_FACTOR else n - 1
    blank, even = r.new_zeros(*r.shape[:-1], count, n), r.new_ones(*r.shape[:-1], count)
    # T8 has no pick, and a prefix of a single response no term.
    if result == "T8" or not count:
        return _Leaks(blank, blank, even, blank.sum((-2, -1)))
    behind = promise.beta * (r[..., :count, None] - r[..., None, :])
    slack = promise.roundoff * (3 * promise.reward_range + 2 * (result == "T4") * promise.match_reward)
    # Not behind are the token itself, those retired before it, and ties (T12), which share the pick.
    ahead = torch.where(behind > 0, slack - behind, -torch.inf)
    if result == "T7":
        return _masked(promise, r, ahead, slack)
    pick = ahead.exp()
    # After the last term of a step nobody has to retire.
    retiring = pick[..., : 0 if result in FIRST_FACTOR else promise.n - 2, :]
    # What decides is the position that a head is told (T5), or the reward in units of the gap (T3, T4).
    short = retiring if result == "T5" else retiring * behind[..., : retiring.shape[-2], :] / promise.reward_sharpness
    lost = torch.where((short.sum(-1) > _QUARTER).any(-1), torch.inf, 0.0)
    return _Leaks(pick, blank, even, lost)


def _masked(promise: Promise, r: Tensor, ahead: Tensor, slack: float) -> _Leaks:
    """T7: the mask of a live token is the sum of the leaks so far, and dims the token in both heads.

    Dimmed by δ, term k's token loses e^δ times as much to the others, and to the BOS token, which stands ``silence``
    below the lowest score there can be. In a prefix shorter than promised, the one response that is left after the
    last term is picked and averaged alone: of that, only what BOS takes from one head and not from the other is seen.
    ``ahead`` [batch, q, terms, n] is by how much j's score can exceed that of term k's token if neither is dimmed, and
    ``slack`` what rounding takes off the distance of two scores.
    """
    count, left_over = ahead.shape[-2], r.shape[-1] < promise.n
    mask, masks, picks = torch.zeros_like(r), [], []
    lost, wrong = torch.zeros_like(r[..., 0]), torch.zeros_like(r[..., 0])
    for k in range(count + left_over):
        dim, fade = promise.hide_reward * mask[..., k], promise.hide_score * mask[..., k:].amax(-1)
        pick = (ahead[..., k, :] + dim[..., None]).exp() if k < count else torch.zeros_like(r)
        bos = (dim + slack - promise.silence - promise.beta * (r[..., k] + promise.max_reward)).exp()
        wrong = torch.maximum(wrong, bos + pick.sum(-1))
        # What BOS takes from a token that is not dimmed is less than u, and counts as rounding.
        lost = lost - bos * torch.expm1(-dim) + math.exp(-promise.silence) * torch.expm1(fade)
        masks.append(mask)
        picks.append(pick)
        mask = mask + pick
    dimmed = (promise.hide_score * torch.stack(masks[:count], dim=-2)).triu()
    lost = torch.where(wrong > _QUARTER, torch.inf, lost)
    return _Leaks(torch.stack(picks[:count], dim=-2), -torch.expm1(-dimmed), dimmed.amax(-1).exp(), lost)


def _terms(prediction: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The first terms of a step at f [..., d], for ranked responses y [..., n, d].

    Returns:
        β_kj [..., terms, n]; ‖y_j − ȳ_k‖ for j ≥ k, else 0; its maximum over j; and ȳ_k [..., terms, d].
    """
    live = torch.ones(count, y.shape[-2], dtype=torch.bool, device=y.device).triu()
    score = -(prediction[..., None, :] - y).square().sum(-1)
    attention = score[..., None, :].masked_fill(~live, float("-inf")).softmax(-1)
    average = attention @ y
    apart = torch.where(live, (average[..., None, :] - y[..., None, :, :]).norm(dim=-1), 0.0)
    return attention, apart, apart.amax(-1), average
