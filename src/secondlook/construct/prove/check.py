"""One line of evidence, and how a construction comes by it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from secondlook.construct.bounds import bound
from secondlook.construct.construction import Construction
from secondlook.construct.reference import reference
from secondlook.objective import Contexts, JudgedContexts, MultiQueryContexts


@dataclass(frozen=True)
class Check:
    """Check: what was measured, and what was allowed.

    Attributes:
        result: Claim, T1 to T13.
        construction: What was run, for people.
        d: Width of a response.
        n: Responses.
        steps: Gradient steps K.
        dtype: Precision.
        gap: Least distance of two rewards in the contexts that were run.
        contexts: How many contexts were run.
        error: The worst error of any answer in any of them, relative to the step (``Reference.size``); in the checks
            that are of no construction, what ``construction`` says.
        bound: The bound at that answer, on the same scale; inf where there is none.
        passed: No answer above its bound, nor above ``limit``.
        limit: The largest error accepted whatever the bound says.
        sharpness: βΔ, where it was set and not derived.
        blocks: Blocks of the transformer.
        heads: Most heads in a block.
        feedforward: Most feed-forward units in a block.
        width: Width of the residual stream.
        parameters: Numbers in the state dict.
    """

    result: str
    construction: str
    d: int
    n: int
    steps: int
    dtype: str
    gap: float
    contexts: int
    error: float
    bound: float
    passed: bool
    limit: float | None = None
    sharpness: float | None = None
    blocks: int | None = None
    heads: int | None = None
    feedforward: int | None = None
    width: int | None = None
    parameters: int | None = None

    def record(self) -> dict[str, Any]:
        """The fields as JSON has them: no bound, and an error that is no number, is null."""
        return {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in vars(self).items()}


def judge(
    construction: Construction[Any],
    parts: Sequence[tuple[Contexts | MultiQueryContexts | JudgedContexts, Tensor]],
    gaps: Sequence[float],
    limits: Sequence[float | None] = (None,),
) -> Iterator[Check]:
    """Run a construction on batches of contexts, beside automatic differentiation and its bound.

    Args:
        construction: What is judged.
        parts: Contexts and W₀, batches of equal size: all of the first gap, then all of the second, and so on.
        gaps: Gaps with which the contexts were drawn; each gets a check.
        limits: For each gap the largest error accepted whatever the bound says.
    """
    promise = construction.promise
    contexts, start = _joined([contexts for contexts, _ in parts]), torch.cat([start for _, start in parts])
    expected = reference(construction, contexts, start)
    errors = expected.error(construction.step(contexts, start))
    bounds = bound(construction, contexts, start).total / expected.size
    chunks = (errors.chunk(len(gaps)), bounds.chunk(len(gaps)))
    for gap, limit, error, allowed in zip(gaps, limits, *chunks, strict=True):
        worst = int(error.argmax())
        yield Check(
            # That K steps are K stacks is T6, whatever is stacked; rounds are part of T12 itself.
            result=construction.result if promise.steps == 1 or construction.result == "T12" else "T6",
            construction=construction.name,
            d=promise.d,
            n=promise.n,
            steps=promise.steps,
            dtype=str(promise.dtype).removeprefix("torch."),
            gap=gap,
            contexts=len(error),
            error=error.flatten()[worst].item(),
            bound=allowed.flatten()[worst].item(),
            passed=bool((error <= allowed).all() and (limit is None or (error <= limit).all())),
            limit=limit,
            sharpness=promise.sharpness,
            **architecture(construction),
        )


def architecture(construction: Construction[Any]) -> dict[str, int]:
    """The sizes of a construction, as fields of its check."""
    config = construction.config
    return {
        "blocks": len(config.blocks),
        "heads": max(block.heads for block in config.blocks),
        "feedforward": max(block.feedforward for block in config.blocks),
        "width": config.width,
        "parameters": construction.parameters,
    }


def _joined(
    parts: Sequence[Contexts | MultiQueryContexts | JudgedContexts],
) -> Contexts | MultiQueryContexts | JudgedContexts:
    kind = type(parts[0])
    return kind(**{name: torch.cat([getattr(part, name) for part in parts]) for name in kind.__dataclass_fields__})
