"""T12: T2's layer, fed a critic's verdicts in the place of rewards, moves the odds of the right answer by c(u − p).

A block for each round, each with a slot of its own for that round's verdicts; it reads f₀ plus what the rounds before
wrote (T6). The weights are T2's. Equal verdicts are welcome: the head that picks then carries the average of all that
share the highest, so that the step is that of −(1/M) Σ_accepted log softmax, and of two answers judged alike u = ½.
"""

from __future__ import annotations

from torch import Tensor

from secondlook.construct.attention_heads import term_of_step
from secondlook.construct.construction import Construction, features, step_slots, widths
from secondlook.construct.promise import Promise
from secondlook.construct.residual import Coordinates, ResidualLayout
from secondlook.construct.weights import BlockPlan, assemble
from secondlook.objective import JudgedContexts


def build(promise: Promise) -> Construction[JudgedContexts]:
    """A block of two heads for each of ``promise.steps`` rounds of verdicts, no feed-forward, every token alike."""
    rounds, steps = promise.steps, dict(step_slots(promise))
    layout = ResidualLayout({**widths(promise.d), "reward": rounds}, dict.fromkeys(steps, promise.d))
    plans = [
        BlockPlan(term_of_step(promise, prediction, step, reward=Coordinates("reward", number, number + 1)))
        for number, (step, prediction) in enumerate(steps.items())
    ]
    config, weights = assemble(layout, plans, list(steps), dtype=promise.dtype)

    def embed(contexts: JudgedContexts, start: Tensor) -> Tensor:
        if (given := contexts.verdicts.shape[-1]) != rounds:
            raise ValueError(f"verdicts span {given} rounds, this construction was built for {rounds}; build another")
        # The first round stands for all as far as queries and responses go; verdicts are checked for every round.
        promise.check(contexts.round(0), start, ties=True)
        promise.check_rewards(contexts.verdicts.mT, ties=True)
        known = features(promise, contexts.round(0), start)
        return layout.pack(known | {"reward": contexts.verdicts.to(promise.dtype)})

    return Construction("T12", "verdicts", promise, layout, config, weights, embed)
