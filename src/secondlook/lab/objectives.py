"""Training objectives of predictions: likelihoods of the ranking that was shown, or the truth."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  its name everywhere

from secondlook.lab.tasks import Episodes
from secondlook.objective import Reward, prefix_plackett_luce, scores
from secondlook.objective.checks import check_shapes

Objective = Literal["pl-squared", "pl-cosine", "bt", "infonce", "regression", "right"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)


def judge(predictions: Tensor, episodes: Episodes, seen: list[int], objective: Objective = "pl-cosine") -> Tensor:
    """The loss of every prediction.

    Args:
        predictions: ``[batch, p, dy]``; the k-th was made after ``seen[k]`` responses, or, of several queries, for
            query ``seen[k]`` (counted from 0), after all before it.
        episodes: With one query, a prediction is judged on the responses it has seen; with several, on those of the
            new query, which it has not.
        seen: See there.
        objective: Plackett–Luce with either reward; Bradley–Terry, the mean over all pairs; InfoNCE, the first factor
            (both with the squared reward); as an upper reference, the squared error to the truth; or, of two answers
            of which a critic judged the right one and a wrong one (task `verdicts`), −log P of the right one.

    Returns:
        ``[batch, p]``; nats, but for `regression`.

    Raises:
        ValueError: If shapes do not fit or the objective is unknown.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective is {objective!r}: choose one of {', '.join(OBJECTIVES)}")
    check_shapes(
        predictions=(predictions, "batch p dy"),
        truth=(episodes.truth, "batch q dy"),
        seen=(torch.tensor(seen), "p"),
    )
    single = episodes.queries.shape[1] == 1
    at = [0] * len(seen) if single else seen
    if objective == "right":
        return F.softplus(-margins(predictions, episodes))
    if objective == "regression":
        return (predictions - episodes.truth[:, at]).square().sum(-1)
    if single:
        responses, rewards, lengths, f = episodes.responses[:, 0], episodes.rewards[:, 0], seen, predictions
    else:
        # Each new query is a context of its own, in which all responses count.
        responses, rewards = (x[:, at].flatten(0, 1) for x in (episodes.responses, episodes.rewards))
        lengths, f = [rewards.shape[-1]], predictions.flatten(0, 1)[:, None]
    if objective in ("pl-squared", "pl-cosine"):
        reward: Reward = "cosine" if objective == "pl-cosine" else "squared"
        loss = prefix_plackett_luce(f, responses, rewards, lengths=lengths, reward=reward)
    else:
        loss = (_pairs if objective == "bt" else _first)(f, responses, rewards, lengths)
    return loss if single else loss.view(predictions.shape[:-1])


def margins(predictions: Tensor, episodes: Episodes) -> Tensor:
    """δ = ‖f − y₋‖² − ‖f − y₊‖² [batch, p]: the log-odds of the right answer, for task `verdicts`.

    Args:
        predictions: ``[batch, p, dy]``.
        episodes: Of one query, whose first two responses are the right answer and the wrong one, in some order.

    Raises:
        ValueError: Of another task.
    """
    first = episodes.clean[:, :, :2]
    if episodes.queries.shape[1] != 1 or not torch.equal(first.sum(-1), torch.ones_like(first[..., 0])):
        raise ValueError("objective is 'right': that needs two answers, one right and one wrong: task verdicts")
    right, wrong = (first[:, 0] == value for value in (1, 0))
    answers = episodes.responses[:, 0, :2]
    better, worse = (answers[which][:, None] for which in (right, wrong))
    # The difference of the squares without ‖f‖², which cancels.
    middle = (better + worse) / 2
    return 2 * ((predictions - middle) * (better - worse)).sum(-1)


def _pairs(f: Tensor, responses: Tensor, rewards: Tensor, lengths: list[int]) -> Tensor:
    """Mean softplus(s_j − s_i) of all pairs of a prefix whose response i is better than j; [batch, p]."""
    s = _scores(f, responses)
    better = rewards[:, :, None] > rewards[:, None]
    known = _known(lengths, responses)
    counted = better[:, None] & known[:, :, None] & known[:, None]
    loss = -F.logsigmoid(s[..., :, None] - s[..., None, :])
    # A prefix without a pair (one response, or ties alone) has a loss of 0.
    return (loss * counted).sum((-2, -1)) / counted.sum((-2, -1)).clamp_min(1)


def _first(f: Tensor, responses: Tensor, rewards: Tensor, lengths: list[int]) -> Tensor:
    """−log P of the best of a prefix against all of it; [batch, p]."""
    known = _known(lengths, responses)
    s = _scores(f, responses).masked_fill(~known, -torch.inf)
    best = rewards[:, None].masked_fill(~known, -torch.inf).argmax(-1, keepdim=True)
    return s.logsumexp(-1) - s.gather(-1, best)[..., 0]


def _scores(f: Tensor, responses: Tensor) -> Tensor:
    """Squared reward of every response under every prediction; [batch, p, n]."""
    return scores(f, responses[:, None].expand(-1, f.shape[1], -1, -1))


def _known(lengths: list[int], responses: Tensor) -> Tensor:
    """Mask of the responses that a prefix has; [p, n]."""
    at = torch.arange(responses.shape[1], device=responses.device)
    return at < torch.tensor(lengths, device=responses.device)[:, None]
