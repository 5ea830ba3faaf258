"""A construction: a configuration, weights, and the embedding of contexts that they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.objective import Contexts
from secondlook.transformer import Transformer, TransformerConfig

C = TypeVar("C")


@dataclass(frozen=True)
class Construction(Generic[C]):
    """A transformer written by hand.

    Attributes:
        result: The claim it is evidence for, e.g. T3.
        name: For people.
        promise: What it was built for.
        layout: Names of the residual stream's coordinates.
        config: The architecture.
        weights: The state dict; ``Transformer.load(config, weights)`` is the model.
        embed: Contexts and W₀ [batch, d, dx] to tokens [batch, tokens, inputs]; refuses what was not promised.
        first: The first token at which the step is read; the ones after it are read too.
        prefixes: Whether token t makes the step of the first t responses, rather than of all.
    """

    result: str
    name: str
    promise: Promise
    layout: ResidualLayout
    config: TransformerConfig
    weights: dict[str, Tensor]
    embed: Callable[[C, Tensor], Tensor]
    first: int = 0
    prefixes: bool = False

    def model(self) -> Transformer:
        """The transformer with these weights."""
        return Transformer.load(self.config, self.weights)

    @torch.no_grad()
    def step(self, contexts: C, start: Tensor) -> Tensor:
        """ΔWx [batch, answers, d] as the forward pass makes it."""
        outputs: Tensor = self.model()(self.embed(contexts, start))
        return outputs[:, self.first :]

    @property
    def parameters(self) -> int:
        """Numbers in the state dict."""
        return sum(weight.numel() for weight in self.weights.values())


def widths(d: int) -> dict[str, int]:
    """Widths of the slots that ``features`` fills."""
    return {"base": d, "response": d, "pull": d, "reward": 1, "square": 1, "one": 1}


def step_slots(promise: Promise) -> list[tuple[str, tuple[str, ...]]]:
    """Slot that each gradient step fills, and the slots that add up to the prediction before it."""
    slots = [f"step_{number}" for number in range(promise.steps)]
    return [(slot, ("base", *slots[:number])) for number, slot in enumerate(slots)]


def features(promise: Promise, contexts: Contexts, start: Tensor) -> dict[str, Tensor]:
    """Features that a token knows of itself: f₀ = W₀x, y, ‖x‖²·y, r, ‖y‖² and a constant; each [batch, n, width].

    ‖x‖² multiplies the whole step. A head's weights are the same for every context, so the factor travels with the
    value that the heads carry: they average y by its distance, and move ‖x‖²·y.
    """
    # In float64, so that every feature is rounded once, by the precision of the weights.
    query, responses, rewards = (x.double() for x in (contexts.query, contexts.responses, contexts.rewards))
    base = (start.double() @ query[..., None]).mT.expand_as(responses)
    found = {
        "base": base,
        "response": responses,
        "pull": query.square().sum(-1)[:, None, None] * responses,
        "reward": rewards[..., None],
        "square": responses.square().sum(-1, keepdim=True),
        "one": torch.ones_like(rewards)[..., None],
    }
    return {name: feature.to(promise.dtype) for name, feature in found.items()}


def embedding(promise: Promise, layout: ResidualLayout, *, fewer: bool = False) -> Callable[[Contexts, Tensor], Tensor]:
    """The embedding of contexts of one query: of each token's features those that a layout names.

    Besides ``features`` these are ``position``, one-hot; ``own``, the reward at that position; and ``bos`` and
    ``test``, flags of tokens that are no response. It refuses what was not promised, fewer responses unless welcome.
    """

    def embed(contexts: Contexts, start: Tensor) -> Tensor:
        promise.check(contexts, start, fewer=fewer)
        known = features(promise, contexts, start)
        position = positions(promise, contexts.batch, contexts.n, contexts.rewards.device)
        flag = torch.zeros_like(known["one"])
        known |= {"position": position, "own": known["reward"] * position, "bos": flag, "test": flag}
        return layout.pack({name: known[name] for name in layout.fed})

    return embed


def positions(promise: Promise, batch: int, n: int, device: torch.device) -> Tensor:
    """One-hot positions [batch, n, promise.n] of the first n tokens."""
    return torch.eye(promise.n, dtype=promise.dtype, device=device)[:n].expand(batch, n, promise.n)
