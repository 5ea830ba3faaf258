"""Heads of every construction, with what each contributes and how far off it can be.

Notation: f the prediction at which the step starts, y responses, r rewards, β the inverse temperature, L = β·Δ its
sharpness, u the unit roundoff. A *hidden* token is one that the asking token has already used: a pair of addresses
whose product is 1 for it and 0 for the others. ``extra`` are further terms of a head's score.
"""

from __future__ import annotations

from secondlook.construct.promise import Promise
from secondlook.construct.residual import Address
from secondlook.construct.weights import Head, Match, Move

Pair = tuple[Address, Address]


def pick_top_reward(
    promise: Promise,
    moves: tuple[Move, ...],
    hidden: Pair | None = None,
    extra: tuple[Match, ...] = (),
    *,
    reward: Address = "reward",
) -> Head:
    """Carry from the live token with the highest reward, and from no other; from several that share it, their average.

    The score is β·r_j − C·hidden_j. Of the live tokens, the one that is m places behind the top gets at most e^{−Lm}
    of the attention, so what is carried differs from the top's by at most Σ_{m≥1} e^{−Lm}·‖v_m − v_top‖
    ≤ e^{−L}/(1−e^{−L})·max‖v − v_top‖. Hidden tokens get less than u altogether by the choice of C.
    """
    score = (*extra, Match("one", reward, promise.beta), *_hide(hidden, promise.hide_reward))
    return Head("pick the top reward", score, moves)


def tell_top_reward(promise: Promise, target: Address, hidden: Pair | None, extra: tuple[Match, ...] = ()) -> Head:
    """Tell every token the highest live reward, to compare its own with.

    The same scores as ``pick_top_reward``, carrying r: low by at most Σ_m e^{−β(r_top − r_m)}·(r_top − r_m), which is
    at most Δ·e^{−L}/(1−e^{−L})² (each summand falls as its reward falls, once L ≥ 1). The comparison needs it within
    Δ/4: L ≥ 1.77 suffices.
    """
    head = pick_top_reward(promise, (Move("reward", target),), hidden, extra)
    return Head("tell the top reward", head.score, head.moves)


def average_by_distance(
    promise: Promise,
    prediction: tuple[Address, ...],
    moves: tuple[Move, ...],
    hidden: Pair | None = None,
    extra: tuple[Match, ...] = (),
) -> Head:
    """Carry the average of the live tokens under softmax of −‖f − y_j‖²: the β-average of the Plackett–Luce gradient.

    The score is 2f·y_j − ‖y_j‖² − C·hidden_j, where f is the sum of the slots in ``prediction``; −‖f‖² is the same for
    all and cancels. Exact up to rounding: an error δ in the scores moves the average by at most 2δ·max‖y_j − ȳ‖.
    """
    # Large terms that cancel stand first, so that what they leave is added to the small ones, not these to them.
    distance = (Match(prediction, "response", 2.0), Match("one", "square", -1.0))
    return Head("average by distance", (*extra, *distance, *_hide(hidden, promise.hide_score)), moves)


def term_of_step(
    promise: Promise,
    prediction: tuple[Address, ...],
    target: Address,
    hidden: Pair | None = None,
    *,
    carried: Address = "pull",
    reward: Address = "reward",
    extra: tuple[tuple[Match, ...], tuple[Match, ...]] = ((), ()),
) -> tuple[Head, Head]:
    """A term of the gradient step, 2η·(top − average) of the slot ``carried``: what a pick and an average add."""
    pick, average = (Move(carried, target, sign * 2 * promise.eta) for sign in (1, -1))
    return (
        pick_top_reward(promise, (pick,), hidden, extra[0], reward=reward),
        average_by_distance(promise, prediction, (average,), hidden, extra[1]),
    )


def average_evenly(promise: Promise, moves: tuple[Move, ...], hidden: Pair) -> Head:
    """Carry the plain average of the live tokens: the same score for all of them."""
    return Head("average evenly", _hide(hidden, promise.hide_score), moves)


def gather(moves: tuple[Move, ...]) -> Head:
    """Carry the average of all tokens, whatever they are.

    Where each token writes to coordinates of its own (its one-hot position times a value), the average times the
    number of tokens is all values side by side, exact up to two roundings.
    """
    return Head("gather", (), moves)


def match_query(scale: float) -> tuple[Match, ...]:
    """Terms that let a token see only tokens of its own query.

    g·(⟨x̂, x̂'⟩ − 1) is 0 for the same query and at most −(1−μ)g for another (μ the greatest coherence). With
    g = (range of the head's other terms + log(n/u))/(1−μ), other queries get less than u.
    """
    return (Match("direction", "key_direction", scale), Match("one", "one", -scale))


def sink(score: float) -> Match:
    """A score for the BOS token, which carries nothing: what is left when no token is live.

    Set ``log(n/u)`` below the lowest live score, and above the hidden ones by as much: it takes less than u from live
    tokens, and all of the attention when there are none, so that the head then adds zero.
    """
    return Match("one", "bos", score)


def _hide(hidden: Pair | None, scale: float) -> tuple[Match, ...]:
    return () if hidden is None else (Match(*hidden, -scale),)
