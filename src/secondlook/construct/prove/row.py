"""One line of evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from secondlook.construct.construction import Construction


@dataclass(frozen=True)
class Row:
    """A check, what it measured, and what was allowed.

    Attributes:
        result: Claim, T1 to T11.
        construction: What was run, for people.
        d: Width of a response.
        n: Responses.
        steps: Gradient steps K.
        dtype: Precision.
        gap: Least distance of two rewards in the contexts that were run.
        contexts: How many contexts were run.
        error: The worst error of any answer in any of them, relative to the step (`Reference.size`); in the rows that
            are no construction, what `construction` says.
        bound: The bound at that answer, on the same scale; inf where there is none.
        sharpness: βΔ, where it was set and not derived.
        passed: No answer above its bound, nor above `limit`.
        limit: The largest error accepted whatever the bound says.
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


def architecture(construction: Construction[Any]) -> dict[str, int]:
    """The sizes of a construction, as fields of its row."""
    config = construction.config
    return {
        "blocks": len(config.blocks),
        "heads": max(block.heads for block in config.blocks),
        "feedforward": max(block.feedforward for block in config.blocks),
        "width": config.width,
        "parameters": construction.parameters,
    }


def name_of(dtype: torch.dtype) -> str:
    """float64 for torch.float64."""
    return str(dtype).removeprefix("torch.")
