"""T5 (appendix F.2): with a causal mask every token makes the Plackett–Luce step of its own prefix.

What is retired now differs from token to token, so a flag at the retired token will not do. Every token keeps a mask
over positions, `used`, and hides whom it has used. The third head tells it the position of its pick, and the
feed-forward network rounds that to a one-hot vector and adds it to the mask. A prefix of p responses has p−1 terms; in
later blocks its token attends to itself with both heads, and the difference is zero. K steps are K stacks (T6).
"""

from __future__ import annotations

from torch import Tensor

from secondlook.construct.construction import Construction, features, positions, widths
from secondlook.construct.heads import average_by_distance, pick_top_reward
from secondlook.construct.layout import Part, ResidualLayout
from secondlook.construct.promise import Promise
from secondlook.construct.units import erase, threshold
from secondlook.construct.weights import BlockPlan, Head, Match, Move, Unit, assemble
from secondlook.objective import Contexts

HIDDEN = ("used", "position")


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) causal blocks of three heads and 4N ReLU units (the last of a step: 2N); token t makes step t."""
    steps = [f"step_{number}" for number in range(promise.steps)]
    layout = ResidualLayout(
        {**widths(promise.d), "position": promise.n},
        {"picked": promise.n, "used": promise.n, **dict.fromkeys(steps, promise.d)},
    )
    plans = [
        BlockPlan(
            _heads(promise, term, ("base", *steps[:number]), step), tuple(_mask(layout, promise, term == promise.n - 1))
        )
        for number, step in enumerate(steps)
        for term in range(1, promise.n)
    ]
    config, weights = assemble(layout, plans, steps, causal=True, dtype=promise.dtype)

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        promise.check(contexts, start, fewer=True)
        own = positions(promise, contexts.batch, contexts.n, contexts.rewards.device)
        return layout.pack({**features(promise, contexts, start), "position": own})

    return Construction("T5", "causal", promise, layout, config, weights, embed, prefixes=True)


def _heads(promise: Promise, term: int, prediction: tuple[str, ...], step: str) -> tuple[Head, ...]:
    pick = (Move("pull", step, 2 * promise.eta),)
    average = (Move("pull", step, -2 * promise.eta),)
    told = pick_top_reward(
        promise, (Move("position", "picked"),), HIDDEN, _self(term, promise.hide_reward + promise.reward_range)
    )
    return (
        pick_top_reward(promise, pick, HIDDEN, _self(term, promise.hide_reward + promise.reward_range)),
        average_by_distance(
            promise, prediction, average, HIDDEN, _self(term, promise.hide_score + promise.score_range)
        ),
        Head("tell the position of the pick", told.score, told.moves),
    )


def _self(term: int, scale: float) -> tuple[Match, ...]:
    """At term k the first k−1 tokens have used up their prefix: they attend to themselves.

    Everyone they see is hidden by then; `scale`, doubled, lifts the token itself above what hides it and the others.
    """
    done = Part("position", 0, term - 1)
    return (Match(done, done, 2 * scale),) if term > 1 else ()


def _mask(layout: ResidualLayout, promise: Promise, last: bool) -> list[Unit]:
    """Add the pick, rounded to a one-hot vector, to the mask; or clear the mask after the last term of a step.

    Mask and pick go through one threshold, so that whoever is picked again stays at 1.
    """
    clear = erase(layout, "picked", signed=False) + erase(layout, "used", signed=False)
    if last:
        return clear
    for j in range(promise.n):
        terms = ((Part("picked", j, j + 1), 1.0), (Part("used", j, j + 1), 1.0))
        clear += threshold(layout, terms, Part("used", j, j + 1), center=0.5, width=1.0)
    return clear
