"""Weights of an ordinary transformer from sentences about subspaces.

A head is written as the terms of its score and the moves of its values; a feed-forward unit as what it adds up and
where it writes. ``assemble`` turns them into a configuration and a state dict, and is the only place that knows rows
and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from secondlook.construct.residual import Address, ResidualLayout
from secondlook.transformer import Attention, Block, TransformerConfig


@dataclass(frozen=True)
class Match:
    """A term of a head's score: ``scale · ⟨asking token's query, other token's key⟩``.

    Attributes:
        query: Address in the asking token; several are added up.
        key: Address in the token attended to, of the same width.
        scale: Factor.
    """

    query: Address | tuple[Address, ...]
    key: Address
    scale: float

    @property
    def queries(self) -> tuple[Address, ...]:
        """The addresses that are added up."""
        return self.query if isinstance(self.query, tuple) else (self.query,)


@dataclass(frozen=True)
class Move:
    """Move of a head: ``scale · source`` of the tokens attended to is added to ``target`` of the asking token."""

    source: Address
    target: Address
    scale: float = 1.0


@dataclass(frozen=True)
class Head:
    """One attention head: what it does, for people; the terms of its score (none: the same everywhere); its moves."""

    name: str
    score: tuple[Match, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Neuron:
    """One ReLU unit: coordinates it reads and their factors, and the same of those to which its value is added."""

    reads: tuple[tuple[int, float], ...]
    writes: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class BlockPlan:
    """The heads of one block, and the units of its feed-forward network."""

    heads: tuple[Head, ...]
    units: tuple[Neuron, ...] = ()
    attention: Attention = "softmax"


def assemble(
    layout: ResidualLayout,
    plans: Sequence[BlockPlan],
    read_out: Sequence[Address],
    *,
    causal: bool = False,
    read_scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> tuple[TransformerConfig, dict[str, Tensor]]:
    """The configuration and state dict of the transformer that does this.

    Args:
        layout: Names of the coordinates.
        plans: The blocks, first to last.
        read_out: Addresses of equal width whose sum, times ``read_scale``, is the output.
        causal: Whether attention is causal.
        read_scale: Factor of the output.
        dtype: Of the weights.
    """
    outputs = len(layout.where(read_out[0]))
    blocks = tuple(_block(layout, plan) for plan in plans)
    config = TransformerConfig(layout.inputs, outputs, layout.width, blocks, causal=causal, scale=False)
    state = {
        # Fed slots stand first in the stream, in the order of a token's features.
        "read_in.weight": torch.eye(layout.width, layout.inputs, dtype=dtype),
        "read_out.weight": torch.zeros(outputs, layout.width, dtype=dtype),
    }
    for address in read_out:
        _couple(state["read_out.weight"], range(outputs), layout.where(address), read_scale)
    for number, (plan, block) in enumerate(zip(plans, blocks, strict=True)):
        parts = {
            **(_attention(layout, plan.heads, block, dtype) if plan.heads else {}),
            **(_feedforward(layout, plan.units, dtype) if plan.units else {}),
        }
        state |= {f"blocks.{number}.{name}.weight": weight for name, weight in parts.items()}
    return config, state


def _block(layout: ResidualLayout, plan: BlockPlan) -> Block:
    scores = (sum(len(layout.where(term.key)) for term in head.score) for head in plan.heads)
    values = (sum(len(layout.where(move.source)) for move in head.moves) for head in plan.heads)
    # A head without a score (`gather`) still needs a width: one row of zeros scores all tokens alike.
    return Block(len(plan.heads), max(scores, default=0) or 1, max(values, default=0), len(plan.units), plan.attention)


def _attention(layout: ResidualLayout, heads: tuple[Head, ...], block: Block, dtype: torch.dtype) -> dict[str, Tensor]:
    query = torch.zeros(len(heads), block.head_width, layout.width, dtype=dtype)
    key = torch.zeros_like(query)
    value = torch.zeros(len(heads), block.values, layout.width, dtype=dtype)
    out = torch.zeros(layout.width, len(heads), block.values, dtype=dtype)
    for number, head in enumerate(heads):
        end = 0
        for term in head.score:
            where = layout.where(term.key)
            rows = range(end, end := end + len(where))
            _couple(key[number], rows, where, 1.0)
            for address in term.queries:
                _couple(query[number], rows, layout.where(address), term.scale)
        end = 0
        for move in head.moves:
            where = layout.where(move.source)
            rows = range(end, end := end + len(where))
            # The factor goes to the values: what two heads carry with opposite signs then cancels to the last bit.
            _couple(value[number], rows, where, move.scale)
            _couple(out[:, number], layout.where(move.target), rows, 1.0)
    parts = {
        "query": query.flatten(0, 1),
        "key": key.flatten(0, 1),
        "value": value.flatten(0, 1),
        "out": out.flatten(1),
    }
    return {f"attention.{name}": weight for name, weight in parts.items()}


def _feedforward(layout: ResidualLayout, units: tuple[Neuron, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    up = torch.zeros(len(units), layout.width, dtype=dtype)
    down = torch.zeros(layout.width, len(units), dtype=dtype)
    for number, unit in enumerate(units):
        for coordinate, factor in unit.reads:
            up[number, coordinate] += factor
        for coordinate, factor in unit.writes:
            down[coordinate, number] += factor
    return {"feedforward.up": up, "feedforward.down": down}


def _couple(matrix: Tensor, rows: range, columns: range, factor: float) -> None:
    """Add ``factor`` where row i meets column i."""
    if len(rows) != len(columns):
        raise ValueError(f"cannot couple {len(rows)} coordinates with {len(columns)}: the slots differ in width")
    matrix[rows.start : rows.stop, columns.start : columns.stop].diagonal().add_(factor)
