"""One forward pass, block by block, beside the gradient that it is to follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from secondlook.construct.bounds import bound
from secondlook.construct.construction import Construction
from secondlook.construct.reference import reference
from secondlook.construct.show import example
from secondlook.construct.show.exhibits import Exhibit, Stage
from secondlook.objective import Contexts, info_nce, plackett_luce, rank, scores
from secondlook.transformer import Trace

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Recording:
    """Recording of a forward pass, in float64.

    Attributes:
        construction: The transformer.
        plan: What its blocks are for.
        contexts: One context.
        start: W₀ [1, d, dx].
        trace: The forward pass.
        askers: Tokens whose step is looked at, and how many responses that step is about.
    """

    construction: Construction[Contexts]
    plan: tuple[Stage, ...]
    contexts: Contexts
    start: Tensor
    trace: Trace
    askers: tuple[tuple[int, int], ...]

    @property
    def n(self) -> int:
        """Responses."""
        return self.contexts.n

    @property
    def responses(self) -> Tensor:
        """Responses of the context, [n, d]."""
        return self.contexts.responses[0]

    @property
    def rewards(self) -> Tensor:
        """Rewards of the responses, [n]."""
        return self.contexts.rewards[0]

    @property
    def base(self) -> Tensor:
        """f₀ = W₀x, [d]."""
        return self.start[0] @ self.contexts.query[0]

    def order(self, length: int) -> list[int]:
        """The first ``length`` responses, best first."""
        order: list[int] = rank(self.rewards[:length]).tolist()
        return order

    def slot(self, name: str, block: int) -> Tensor:
        """A slot of every token's residual stream after a block, [tokens, width]; block 0 is the read-in."""
        return self.construction.layout.view(self.trace.residual[block][0], name)

    def attention(self, block: int, *, responses: bool = True) -> Tensor:
        """Attention of a block, from 1, [heads, tokens (asking), responses or tokens (attended to)]."""
        first = self.construction.first if responses else 0
        return self.trace.attention[block - 1][0][..., first:]

    def made(self, block: int, steps: int | None = None) -> Tensor:
        """Sum of the slots of all steps, or of the first ``steps`` of them, after a block: [tokens, d]."""
        total = torch.zeros_like(self.slot("base", block))
        for number in range(self.construction.promise.steps if steps is None else steps):
            total = total + self.slot(f"step_{number}", block)
        return total

    def memory(self, stage: Stage) -> str | None:
        """Slot where tokens remember who is retired, or whom they have used; if there is one."""
        names = ("retired", "used", f"used_{stage.step}")
        return next((name for name in names if name in self.construction.layout.slots), None)

    def hidden(self, stage: Stage, block: int, token: int) -> Tensor:
        """Share of each response that a token hides after a block, [n]: 1 where retired, 0 where live."""
        slot = self.memory(stage)
        if slot is None:
            return torch.zeros_like(self.rewards)
        return self.slot(slot, block)[:, 0] if slot == "retired" else self.slot(slot, block)[token]

    def picked(self, block: int, token: int) -> int:
        """Response that a token's first head attends to most."""
        return int(self.attention(block)[0, token].argmax())

    def loss(self, prediction: Tensor, length: int) -> float:
        """−log P of the ranking of the first responses, in nats; for T2 of its first factor."""
        values = scores(prediction, self.responses[self.order(length)])
        return float(info_nce(values) if self.construction.result == "T2" else plackett_luce(values))

    @cached_property
    def truth(self) -> dict[int, Tensor]:
        """True sum of the terms after every block, [blocks + 1, d], by the length of the ranking."""
        return {length: self._partial_sums(length) for length in {length for _, length in self.askers}}

    def _partial_sums(self, length: int) -> Tensor:
        """ΔWx after every block: each term −η∇_W of one factor of the likelihood, by automatic differentiation."""
        promise, query = self.construction.promise, self.contexts.query[0]
        ranked, weights = self.responses[self.order(length)], self.start[0]
        sums = [torch.zeros_like(self.base)]
        for stage in self.plan:
            if stage.terms.start == 0:
                # A step starts (or has not yet): all its terms are taken where the steps before have led.
                at = weights.clone()
            for term in stage.terms:
                if term < length - 1:
                    weights = weights - promise.eta * _slope(at, query, ranked[term:])
            sums.append((weights - self.start[0]) @ query)
        return torch.stack(sums)

    def comparisons(self) -> list[dict[str, float | list[float]]]:
        """Per asker, the read-out beside autograd's step on W, with the error's bound."""
        step = self.trace.outputs[0, self.construction.first :]
        expected = reference(self.construction, self.contexts, self.start)
        columns = {
            "step": step,
            "expected": expected.step[0],
            "error": (step - expected.step[0]).norm(dim=-1),
            "relative": expected.error(step)[0],
            "bound": bound(self.construction, self.contexts, self.start).total[0],
        }
        places = [token - self.construction.first for token, _ in self.askers]
        return [{name: column[at].tolist() for name, column in columns.items()} for at in places]


def label(response: int) -> str:
    """The name of a response, counted from 0: y₁, y₂ and so on."""
    return f"y{response + 1}".translate(SUBSCRIPTS)


@torch.no_grad()
def record(exhibit: Exhibit, n: int, steps: int, eta: float, seed: int) -> Recording:
    """Build the construction, draw a context and run it.

    Raises:
        ValueError: What cannot be shown, and what to do.
    """
    promise = example.promise(n, steps, eta)
    contexts, start = example.draw(promise, seed)
    construction = exhibit.build(promise)
    trace = construction.model().trace(construction.embed(contexts, start))
    lengths = range(1, n + 1) if construction.prefixes else [n] * n
    askers = tuple((construction.first + at, length) for at, length in enumerate(lengths))
    return Recording(construction, exhibit.plan(promise), contexts, start, trace, askers)


@torch.enable_grad()
def _slope(weights: Tensor, query: Tensor, ranked: Tensor) -> Tensor:
    """∇_W of −log P(the first of these is preferred to all)."""
    weights = weights.detach().requires_grad_()
    (slope,) = torch.autograd.grad(info_nce(scores(weights @ query, ranked)), weights)
    return slope
