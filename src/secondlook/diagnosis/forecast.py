"""Accuracy of rounds nobody has paid for yet: a Markov chain fitted on the first steps.

With CL = P(right → right) and CS = P(wrong → right) that stay the same from round to round,

    Acc_{t+1} = Acc_t · CL + (1 − Acc_t) · CS,      Upp = CS / (1 − CL + CS),      Acc_t = Upp − a^t (Upp − Acc_0),

with a = CL − CS (arXiv 2508.16456). Where answers can be unparsed or refused, these are states of their own and the
recursion is p_{t+1} = p_t M with a transition matrix M; two rates are its special case of two states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import RIGHT, STATES, WRONG
from secondlook.diagnosis.drift import Drift, drift_of
from secondlook.diagnosis.intervals import Estimate
from secondlook.diagnosis.table import Arm

HORIZON = 5
_DRAWS = 4000
_UNSEEN = 0.02  # share of answers that may be in a state from which no transition was seen


@dataclass(frozen=True, slots=True)
class RoundForecast:
    """Accuracy of one round beyond the fit.

    Attributes:
        accuracy: Predicted share of right answers.
        low: Lower end of the 95% prediction interval for the same samples; ``None`` if there is but one template.
        high: Upper end.
        measured: The measured share, if the round was run.
        inside: Whether it lies in the interval.
    """

    round: int
    accuracy: float
    low: float | None
    high: float | None
    measured: float | None
    inside: bool | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A fitted chain and what it predicts.

    Attributes:
        steps: Steps it was fitted on, from round 0.
        n: Samples followed.
        states: States that occur.
        matrix: Transition probabilities between them, rows from, columns to.
        keep: CL over the fitted steps.
        repair: CS over the fitted steps.
        fixed_point: Upp: the accuracy to which it tends; ``None`` where that depends on the start.
        drift: Each rate in later rounds against the fit.
        warning: Reason not to trust the forecast, in one sentence.
    """

    steps: int
    n: int
    states: list[str]
    matrix: list[list[float]]
    keep: float | None
    repair: float | None
    fixed_point: Estimate | None
    rounds: list[RoundForecast]
    drift: list[Drift]
    warning: str | None


def forecast(arm: Arm, *, steps: int = 1, horizon: int = HORIZON, seed: int = 0) -> Forecast | str:
    """Fit a chain on the first steps and predict the rounds after them; or why not, in a sentence's words.

    The prediction interval is for the accuracy of the *same* samples, starting from the states they are in after the
    fit. It holds what is not known of the rates (rows of the matrix drawn from their Dirichlet posterior under
    Jeffreys' prior) and the chance in the samples' further course (multinomial), both widened by the design effect of
    templates, which is estimated from the residuals of the fitted steps.

    Args:
        arm: The arm; samples without an answer in every fitted round are left out.
        steps: Steps to fit on.
        horizon: Last round to predict; later measured rounds are predicted too.
        seed: Seed of the draws.

    Raises:
        ValueError: If ``steps`` is not positive.
    """
    if steps < 1:
        raise ValueError(f"a forecast is fitted on {steps} steps; give 1 or more")
    if arm.rounds <= steps:
        return f"it is fitted on {steps + 1} rounds, and there {'is' if arm.rounds == 1 else 'are'} {arm.rounds}"
    # No answer in the last round and no failed call: the loop ended before.
    if ended := int((~arm.answered[:, -1] & ~arm.failed.any(axis=1)).sum()):
        return f"{ended} samples were not asked in every round; the recursion is for a fixed number of rounds"
    arm = arm.take(np.all(arm.answered[:, : steps + 1], axis=1))
    # Step after step, the order in which np.tile repeats the templates below.
    before, after = arm.state[:, :steps].T.reshape(-1), arm.state[:, 1 : steps + 1].T.reshape(-1)
    if not before.size:
        return "no sample has an answer in every fitted round"
    # Right and wrong are the first two states: their numbers are also their places in the matrix.
    seen = np.unique(np.concatenate([[RIGHT, WRONG], before, after]))  # a state nobody was in may still come
    counts = np.zeros((len(STATES), len(STATES)))
    np.add.at(counts, (before, after), 1)
    counts = counts[np.ix_(seen, seen)]
    start = np.bincount(np.searchsorted(seen, arm.state[:, steps]), minlength=len(seen))
    dark = counts.sum(1) == 0
    if unknown := [STATES[state] for state in seen[dark & (start > _UNSEEN * start.sum())]]:
        return f"no transition from {unknown[0]!r} was seen, and answers are in that state"
    if dark[[RIGHT, WRONG]].all():
        return "no answer that was followed was right or wrong"
    # A state hardly anyone is in, and from which nobody was seen to go, may lead anywhere.
    matrix = np.where(dark[:, None], 1.0, counts)
    matrix /= matrix.sum(1, keepdims=True)
    ahead = max(horizon, arm.rounds - 1) - steps
    # Templates are taken to matter in every row of the matrix as they do for being right.
    residual = (after == RIGHT) - matrix[np.searchsorted(seen, before), RIGHT]
    effect = _design_effect(residual, np.tile(arm.cluster, steps))
    rng = np.random.default_rng(seed)
    drawn, limits = (None, None) if effect is None else _draws(counts, start, effect, ahead, rng)
    shares, predicted = start / start.sum(), []
    for index in range(steps + 1, steps + 1 + ahead):
        shares = shares @ matrix
        low, high = (None, None) if drawn is None else _interval(drawn[:, index - steps - 1], float(shares[RIGHT]))
        measured = float(arm.right[:, index].mean()) if index < arm.rounds else None
        inside = None if measured is None or low is None or high is None else low <= measured <= high
        predicted.append(RoundForecast(index, float(shares[RIGHT]), low, high, measured, inside))
    drift = drift_of(arm, steps)
    moved = [
        f"{rate.rate} {rate.fitted:.2f} → {rate.later:.2f} (p = {rate.adjusted:.2g})" for rate in drift if rate.drifts
    ]
    warning = f"the rates drift: {', '.join(moved)}; do not trust the forecast beyond the measured rounds"
    return Forecast(
        steps=steps,
        n=len(arm.sample),
        states=[STATES[state] for state in seen],
        matrix=matrix.tolist(),
        keep=None if dark[RIGHT] else float(matrix[RIGHT, RIGHT]),
        repair=None if dark[WRONG] else float(matrix[WRONG, RIGHT]),
        fixed_point=None if (dark & (start > 0)).any() else _limit(matrix, limits, arm),
        rounds=predicted,
        drift=drift,
        warning=warning if moved else None,
    )


def _interval(drawn: Array, point: float) -> tuple[float, float]:
    """The middle 95% of the draws, widened to the point itself.

    Where no sample made a step, the point takes its rate for 0, and no draw does: an end is then set to the boundary,
    as Brown, Cai and DasGupta (2001) set the ends of Jeffreys' interval.
    """
    low, high = np.quantile(drawn, (0.025, 0.975))
    return min(float(low), point), max(float(high), point)


def _draws(counts: Array, start: Array, effect: float, steps: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draws of the accuracies measured later, shape ``(draws, steps)``, and of the fixed point, shape ``(draws,)``."""
    # Counts over the design effect: dependent samples tell as much as so many independent ones. Jeffreys adds one half.
    matrix = np.stack([rng.dirichlet(row / effect + 0.5, size=_DRAWS) for row in counts], axis=1)
    expected = np.broadcast_to(start / start.sum(), (_DRAWS, len(start)))
    held = np.broadcast_to(start, (_DRAWS, len(start)))
    drawn = []
    for _ in range(steps):
        expected = np.einsum("ds,dsk->dk", expected, matrix)
        held = np.sum([rng.multinomial(held[:, state], matrix[:, state]) for state in range(len(start))], axis=0)
        # What happens by chance around the expectation; it, too, is as wide as clustered samples make it.
        chance = held[:, RIGHT] / start.sum() - expected[:, RIGHT]
        drawn.append(np.clip(expected[:, RIGHT] + np.sqrt(effect) * chance, 0.0, 1.0))
    # So many rounds that where one starts is forgotten, whatever was drawn: twenty squarings.
    limit = np.linalg.matrix_power(matrix, 2**20)[:, 0, RIGHT]
    return np.asarray(drawn).T.reshape(_DRAWS, steps), limit


def _design_effect(residual: Array, cluster: Array) -> float | None:
    """Clustered over independent variance of the residuals' mean, at least 1, with Korn and Graubard's allowance.

    ``None`` with fewer than two clusters.
    """
    _, index = np.unique(cluster, return_inverse=True)
    count = int(index.max()) + 1
    if count < 2:
        return None
    totals = np.bincount(index, weights=residual)
    alone = float((residual**2).sum()) * residual.size / (residual.size - 1)
    together = float((totals**2).sum()) * count / (count - 1)
    few = float(special.stdtrit(count - 1, 0.975) / special.stdtrit(residual.size - 1, 0.975))
    return max(1.0, together / alone if alone > 0 else 1.0) * few**2


def _limit(matrix: Array, drawn: Array | None, arm: Arm) -> Estimate | None:
    """Share of right answers in the stationary distribution, if there is but one."""
    values, vectors = np.linalg.eig(matrix.T)
    ones = np.flatnonzero(np.abs(values - 1) < 1e-9)
    if len(ones) != 1:
        return None
    stationary = np.real(vectors[:, ones[0]])
    share = float(stationary[RIGHT] / stationary.sum())
    low, high = (None, None) if drawn is None else _interval(drawn, share)
    return Estimate(share, low, high, len(arm.sample), len(np.unique(arm.cluster)))
