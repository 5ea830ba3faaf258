"""The tables of a block: the attention of every head, and the slot that remembers who is retired."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from secondlook.construct.show.exhibits import Stage
from secondlook.construct.show.record import Recording, label
from secondlook.construct.show.words import TEXT

Json = dict[str, Any]


def attention(recording: Recording, stage: Stage, block: int) -> list[Json]:
    """A table per head: rows ask, columns are attended to; what a causal mask hides is null."""
    construction = recording.construction
    tokens = ["BOS"] * construction.first + [label(response) for response in range(recording.n)]
    weights = recording.attention(block, responses=False)
    seen = torch.ones(weights.shape[1:], dtype=torch.bool)
    if construction.config.causal:
        seen = seen.tril()
    return [
        {
            "title": f"Head {head + 1}: {_title(recording, stage, head)}",
            "role": role,
            "kind": "attention",
            **_table(tokens, tokens, weights[head], seen),
        }
        for head, role in enumerate(stage.heads)
    ]


def memory(recording: Recording, stage: Stage, block: int) -> list[Json]:
    """The slot in which tokens remember who is retired, whom they have used, or where they rank; if there is one."""
    n, slot = recording.n, recording.memory(stage)
    labels = [label(response) for response in range(n)]
    if slot == "retired":
        flags = torch.stack([recording.slot(slot, at)[:, 0] for at in (block - 1, block)])
        return [_memory(slot, _table(["before", "after"], labels, flags))]
    if slot:
        used = recording.slot(slot, block)[recording.construction.first :]
        return [_memory(slot, _table(labels, labels, used, torch.ones_like(used, dtype=torch.bool).tril()))]
    if stage.step is None:  # the two blocks of T8 that prepare
        name, rows = [("rank", ["rank"]), ("missing", [*(f"not in {term}" for term in range(2, n)), "lowest"])][
            block - 1
        ]
        return [_memory(name, _table(rows, labels, recording.slot(name, block).mT))]
    return []


def short(value: float) -> float:
    """Seven significant digits: enough for what is drawn, and a smaller file."""
    return float(f"{value:.7g}")


def _title(recording: Recording, stage: Stage, head: int) -> str:
    role = stage.heads[head]
    if role == "average" and "even" in stage.heads:
        return f"average for term {head + 1}"
    if role == "tell" and recording.construction.result == "T5":
        return "tell the position of the pick"
    title: str = TEXT["heads"][role]
    return title


def _memory(slot: str, table: Json) -> Json:
    return {"title": f"Slot “{slot}” of each token", "role": "mask", "kind": "slot", **table}


def _table(rows: list[str], columns: list[str], values: Tensor, seen: Tensor | None = None) -> Json:
    visible = torch.ones_like(values, dtype=torch.bool) if seen is None else seen
    cells = [
        [short(value) if there else None for value, there in zip(row, there_row, strict=True)]
        for row, there_row in zip(values.tolist(), visible.tolist(), strict=True)
    ]
    return {"rows": rows, "columns": columns, "values": cells}
