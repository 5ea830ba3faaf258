"""T5 (appendix F.2): with a causal mask every token makes the Plackett–Luce step of its own prefix.

What is retired now differs from token to token, so a flag at the retired token will not do. Every token keeps a mask
over positions, ``used``, and hides whom it has used. The third head tells it the position of its pick, and the
feed-forward network rounds that to a one-hot vector and adds it to the mask. A prefix of p responses has p−1 terms; in
later blocks its token attends to itself with both heads, and the difference is zero. K steps are K stacks (T6).
"""

from __future__ import annotations

from secondlook.construct.attention_heads import pick_top_reward, term_of_step
from secondlook.construct.construction import Construction, embedding, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import Coordinates, ResidualLayout
from secondlook.construct.units import erase, threshold
from secondlook.construct.weights import BlockPlan, Head, Match, Move, Neuron, assemble
from secondlook.objective import Contexts

HIDDEN = ("used", "position")


def build(promise: Promise) -> Construction[Contexts]:
    """K·(N−1) causal blocks of three heads and 4N ReLU units (the last of a step: 2N); token t makes step t."""
    n, steps = promise.n, dict(step_slots(promise))
    layout = ResidualLayout(
        {**widths(promise.d), "position": n}, {"picked": n, "used": n, **dict.fromkeys(steps, promise.d)}
    )
    plans = [
        BlockPlan(_heads(promise, term, prediction, step), tuple(_mask(layout, n, last=term == n - 1)))
        for step, prediction in steps.items()
        for term in range(1, n)
    ]
    config, weights = assemble(layout, plans, list(steps), causal=True, dtype=promise.dtype)
    embed = embedding(promise, layout, fewer=True)
    return Construction("T5", "causal", promise, layout, config, weights, embed, prefixes=True)


def _heads(promise: Promise, term: int, prediction: tuple[str, ...], step: str) -> tuple[Head, ...]:
    by_reward = _itself(term, promise.hide_reward + promise.reward_range)
    by_distance = _itself(term, promise.hide_score + promise.score_range)
    told = pick_top_reward(promise, (Move("position", "picked"),), HIDDEN, by_reward)
    return (
        *term_of_step(promise, prediction, step, HIDDEN, extra=(by_reward, by_distance)),
        Head("tell the position of the pick", told.score, told.moves),
    )


def _itself(term: int, scale: float) -> tuple[Match, ...]:
    """Matches to itself at term k, of the first k−1 tokens, which have used up their prefix.

    Everyone they see is hidden by then; ``scale``, doubled, lifts the token itself above what hides it and the others.
    """
    done = Coordinates("position", 0, term - 1)
    return (Match(done, done, 2 * scale),) if term > 1 else ()


def _mask(layout: ResidualLayout, n: int, *, last: bool) -> list[Neuron]:
    """Add the pick, rounded to a one-hot vector, to the mask; or clear the mask after the last term of a step.

    Mask and pick go through one threshold, so that whoever is picked again stays at 1.
    """
    units = erase(layout, "picked", signed=False) + erase(layout, "used", signed=False)
    for j in range(0 if last else n):
        picked, used = Coordinates("picked", j, j + 1), Coordinates("used", j, j + 1)
        units += threshold(layout, ((picked, 1.0), (used, 1.0)), used, center=0.5, width=1.0)
    return units
