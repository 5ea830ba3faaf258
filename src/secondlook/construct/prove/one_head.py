"""T13: one softmax head, without feed-forward network, cannot make the Bradley–Terry step; two can (T2).

docs/theory.md proves more: a layer of one head is off by at least η, half of the largest step, in one of three contexts
of two responses of length 1. Here such layers are fitted as well as they can be, and looked at in those contexts.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from secondlook.construct import bradley_terry
from secondlook.construct.construction import features
from secondlook.construct.promise import Promise
from secondlook.construct.prove.check import Check
from secondlook.objective import Contexts
from secondlook.transformer import Block, Transformer, TransformerConfig

D, ETA, CONTEXTS, STARTS, ITERATIONS = 2, 0.5, 128, 6, 150
_PROMISE = Promise(2, D, ETA, min_gap=1.0, max_norm=1.0)
_SLOTS = bradley_terry.build(_PROMISE).layout
_INPUTS = _SLOTS.inputs


def prove_two_heads(seed: int = 0) -> list[Check]:
    """Fitted and random layers of one head in the proof's contexts, and the least error a fit has on average."""
    generator = Generator().manual_seed(seed)
    drawn = circle(generator, CONTEXTS)
    fits = [fit(drawn, generator) for _ in range(STARTS)]
    random = [Layer.drawn(generator, scale) for scale in (0.1, 1.0, 10.0) for _ in range(50)]
    least = min(layer.worst() for layer in (*random, *(layer for layer, _ in fits)))
    best = min(error for _, error in fits)
    two = bradley_terry.build(_PROMISE)
    off = (two.step(drawn, torch.zeros(len(drawn.query), D, 1, dtype=torch.float64)) - step(drawn)[:, None]).norm(
        dim=-1
    )
    allowed = 64 * _PROMISE.roundoff * ETA
    # Of the proof's bound, one half, a rounding or two are taken off.
    return [
        _check(f"one head, best fit off by {best:.2f} rms: ½ over its worst error", 0.5 / least, 1 + 1e-12),
        _check("two heads: worst error", float(off.max()), allowed),
    ]


class Layer:
    """One head of softmax attention on T2's tokens: Σ_j softmax_j(e_i·M e_j) V e_j + R e_i, read at token i.

    Args:
        match: M [inputs, inputs].
        value: V [d, inputs].
        read: R [d, inputs], what is read of the token itself.
    """

    def __init__(self, match: Tensor, value: Tensor, read: Tensor) -> None:
        self.match, self.value, self.read = match, value, read

    @classmethod
    def drawn(cls, generator: Generator, scale: float) -> Layer:
        """A layer of normal numbers of this standard deviation."""
        shapes = (_INPUTS, _INPUTS), (D, _INPUTS), (D, _INPUTS)
        parts = (scale * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        return cls(*parts)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Prediction read at each token, [batch, tokens, d]."""
        attention = (tokens @ self.match @ tokens.mT).softmax(-1)
        return attention @ tokens @ self.value.mT + tokens @ self.read.mT

    def transformer(self) -> Transformer:
        """The same as one block of the one transformer."""
        block = Block(1, _INPUTS, value_width=D)
        config = TransformerConfig(_INPUTS, D, _INPUTS + D, (block,), scale=False)
        nothing, eye = torch.zeros(_INPUTS, D, dtype=torch.float64), torch.eye(_INPUTS + D, dtype=torch.float64)
        return Transformer.load(
            config,
            {
                "read_in.weight": eye[:, :_INPUTS],
                "blocks.0.attention.query.weight": torch.cat([self.match.mT, nothing], 1),
                "blocks.0.attention.key.weight": eye[:_INPUTS],
                "blocks.0.attention.value.weight": torch.cat([self.value, nothing[:D]], 1),
                "blocks.0.attention.out.weight": eye[:, _INPUTS:],
                "read_out.weight": torch.cat([self.read, eye[:D, :D]], 1),
            },
        )

    @torch.no_grad()
    def worst(self) -> float:
        """The largest error in the proof's contexts, (z, z), (−z, −z) and (z, −z), over the largest step, 2η.

        z is of length 1 and at right angles to what the head carries for a reward.
        """
        (reward,) = _SLOTS.where("reward")
        line = self.value[:, reward] / self.value[:, reward].norm()
        z = torch.stack([-line[1], line[0]])
        contexts = _contexts(torch.stack([torch.stack(pair) for pair in ((z, z), (-z, -z), (z, -z))]))
        outputs: Tensor = self.transformer()(tokens(contexts))
        return float((outputs - step(contexts)[:, None]).norm(dim=-1).max() / (2 * ETA))


def circle(generator: Generator, many: int) -> Contexts:
    """Pairs of responses of length 1, in all directions; the first is preferred."""
    turn = 2 * math.pi * torch.rand(many, 2, generator=generator, dtype=torch.float64)
    return _contexts(torch.stack([turn.cos(), turn.sin()], dim=-1))


def tokens(contexts: Contexts) -> Tensor:
    """Tokens as T2 embeds them, for W₀ = 0."""
    start = torch.zeros(len(contexts.query), D, 1, dtype=torch.float64)
    return _SLOTS.pack(features(_PROMISE, contexts, start))


def step(contexts: Contexts) -> Tensor:
    """η(y₁ − y₂) [batch, d]: the Bradley–Terry step at f = 0 of responses of equal length."""
    return ETA * (contexts.responses[:, 0] - contexts.responses[:, 1])


def fit(contexts: Contexts, generator: Generator) -> tuple[Layer, float]:
    """A layer of one head fitted to the step at both tokens, and its error: root mean square over that of the step."""
    layer = Layer.drawn(generator, 0.5)
    parts = [part.requires_grad_() for part in (layer.match, layer.value, layer.read)]
    given, wanted = tokens(contexts), step(contexts)[:, None]
    optimizer = torch.optim.LBFGS(parts, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        off = (layer(given) - wanted).square().sum(-1).mean() / wanted.square().sum(-1).mean()
        off.backward()  # type: ignore[no-untyped-call]
        return off

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    layer = Layer(*(part.detach() for part in parts))
    with torch.no_grad():
        off = (layer(given) - wanted).square().sum(-1).mean() / wanted.square().sum(-1).mean()
    return layer, float(off.sqrt())


def _contexts(responses: Tensor) -> Contexts:
    """Contexts with a query of length 1, the first of two responses preferred."""
    batch = len(responses)
    rewards = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(batch, 2)
    return Contexts(torch.ones(batch, 1, dtype=torch.float64), responses, rewards)


def _check(name: str, error: float, bound: float) -> Check:
    return Check("T13", name, D, 2, 1, "float64", 1.0, CONTEXTS, error, bound, error <= bound)
