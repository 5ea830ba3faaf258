"""Likelihood of a ranking of responses under a prediction: Plackett–Luce (of two, Bradley–Terry), all prefixes at once.

Losses and scores of half precision inputs are computed, and returned, in float32; else in the widest dtype given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from secondlook.objective.checks import check_choice, check_shapes
from secondlook.objective.ranked import in_full, ranked_nll, widen

Reward = Literal["squared", "cosine"]


def rank(rewards: Tensor) -> Tensor:
    """Ranking τ: the index of the best response, of the second best, and so on; ``[..., n]`` to ``[..., n]``.

    Of equal rewards the earlier response ranks first, so a prefix is ranked as it is within the whole context.
    """
    return rewards.argsort(dim=-1, descending=True, stable=True)


def scores(prediction: Tensor, responses: Tensor, reward: Reward = "squared") -> Tensor:
    """The model's reward of every response: −‖f − y‖², or the cosine of their angle, as in the paper's released code.

    Args:
        prediction: f, ``[..., d]``.
        responses: y, ``[..., n, d]``.
        reward: Which of the two. The cosine with a zero vector is 0, and so is its gradient there.

    Returns:
        ``[..., n]``.

    Raises:
        ValueError: If the shapes do not fit, or the reward is unknown.
    """
    check_shapes(prediction=(prediction, "... d"), responses=(responses, "... n d"))
    check_choice("reward", reward, get_args(Reward))
    prediction, responses = widen(prediction, responses)
    if reward == "squared":
        return -(prediction[..., None, :] - responses).square().sum(-1)
    return (_unit(prediction)[..., None, :] * _unit(responses)).sum(-1)


def plackett_luce(ranked_scores: Tensor) -> Tensor:
    """−log P of a ranking from its scores ``[..., n]``, best first; ``[...]`` in nats, 0 for n = 1."""
    (ranked_scores,) = widen(ranked_scores)
    by_rank = ranked_scores.movedim(-1, 0)
    return ranked_nll(by_rank, torch.ones_like(by_rank))


def info_nce(ranked_scores: Tensor) -> Tensor:
    """−log P of the first factor of ``plackett_luce``: the first of ``[..., n]`` is preferred to all; ``[...]``."""
    (ranked_scores,) = widen(ranked_scores)
    return ranked_scores.logsumexp(-1) - ranked_scores[..., 0]


def prefix_plackett_luce(
    predictions: Tensor,
    responses: Tensor,
    rewards: Tensor,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    reward: Reward = "squared",
) -> Tensor:
    """The Plackett–Luce loss of every prefix of every context at once; the paper averages it over prefixes.

    Args:
        predictions: ``[batch, p, d]``; ``predictions[:, k]`` is judged on the first ``lengths[k]`` responses.
        responses: ``[batch, n, d]``.
        rewards: ``[batch, n]``; every prefix is ranked by its own.
        lengths: ``[p]``, each from 1 to n; 1 … n by default.
        reward: See ``scores``.

    Returns:
        −log P ``[batch, p]`` in nats, differentiable (twice) by predictions and responses.

    Raises:
        ValueError: If the shapes do not fit, a length is not from 1 to n, or the reward is unknown.
    """
    return Prefixes.of(responses, rewards, lengths, reward).loss(predictions)


@dataclass(frozen=True, slots=True, eq=False)
class Prefixes:
    """Contexts ranked once, to judge many predictions.

    Attributes:
        responses: ``[batch, n, d]``, best first; relative to ``centre``, or of unit length for the cosine.
        centre: ``[batch, 1, d]``, their mean, which keeps products of far-off responses exact; ``None`` for the cosine.
        counted: ``[n, batch, p]``, 1 where the response of a rank belongs to a prefix, else 0.
    """

    responses: Tensor
    centre: Tensor | None
    counted: Tensor

    @classmethod
    def of(
        cls,
        responses: Tensor,
        rewards: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        reward: Reward = "squared",
    ) -> Prefixes:
        """Rank ``responses [batch, n, d]`` by ``rewards [batch, n]``; else as ``prefix_plackett_luce``."""
        n = check_shapes(responses=(responses, "batch n d"), rewards=(rewards, "batch n"))["n"]
        check_choice("reward", reward, get_args(Reward))
        lengths = torch.as_tensor(range(1, n + 1) if lengths is None else lengths, device=rewards.device)
        known = range(1, n + 1)
        if lengths.ndim != 1 or not len(lengths) or not all(length in known for length in lengths.tolist()):
            raise ValueError(f"lengths is {lengths.tolist()}: give a list of whole numbers from 1 to n = {n}")
        order = rank(rewards)
        (ranked,) = widen(responses.take_along_dim(order[..., None], -2))
        # All scores of a context move alike with the centre, so no gradient is lost by detaching it, and a prefix may
        # be seen from the mean of the whole context.
        centre = ranked.detach().mean(-2, keepdim=True) if reward == "squared" else None
        ranked = _unit(ranked) if centre is None else ranked - centre
        # Where a response was given decides which prefixes have it, not its rank.
        counted = (order.mT[..., None] < lengths).to(ranked.dtype, memory_format=torch.contiguous_format)
        return cls(ranked, centre, counted)

    def loss(self, predictions: Tensor) -> Tensor:
        """−log P ``[batch, p]`` of every prefix under ``predictions [batch, p, d]``; see ``prefix_plackett_luce``."""
        check_shapes(
            responses=(self.responses, "batch n d"),
            counted=(self.counted, "n batch p"),
            predictions=(predictions, "batch p d"),
        )
        f, y, counted = widen(predictions, self.responses, self.counted)
        with in_full(f):
            if self.centre is None:
                s = y @ _unit(f).mT
            else:  # −‖f − y‖² without ‖f‖², which cancels: 2 f·y − ‖y‖², seen from the centre.
                s = torch.baddbmm(y.square().sum(-1, keepdim=True), y, (f - self.centre).mT, beta=-1, alpha=2)
            return ranked_nll(s.transpose(0, 1), counted)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors ``[..., d]`` at length 1, whatever their length was; 0 stays 0, with gradient 0."""
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest > 0, largest, torch.inf)
    # The largest entry of what is scaled is 1, so only 0 is shorter than 1. Squares of unscaled entries could leave
    # the range of the dtype.
    return scaled / scaled.square().sum(-1, keepdim=True).clamp_min(1).sqrt()
