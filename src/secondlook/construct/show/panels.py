"""The tables of a block: the attention of every head, and the slot that remembers who is retired."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from secondlook.construct.show import words
from secondlook.construct.show.exhibits import Role, Stage
from secondlook.construct.show.record import Recording

Json = dict[str, Any]

_TITLES: dict[Role, str] = {
    "pick": "pick the top reward",
    "average": "average by distance",
    "tell": "tell the top reward",
    "gather": "gather all rewards",
    "even": "average evenly",
}


def attention(recording: Recording, stage: Stage, block: int) -> list[Json]:
    """A table per head: rows ask, columns are attended to; what a causal mask hides is null."""
    construction = recording.construction
    tokens = ["BOS"] * construction.first + recording.labels
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
    construction, labels = recording.construction, recording.labels
    slots, first = construction.layout.slots, construction.first
    if "retired" in slots:
        flags = torch.stack([recording.slot("retired", at)[:, 0] for at in (block - 1, block)])
        return [_memory("retired", _table(["before", "after"], labels, flags))]
    for name in ("used", f"used_{stage.step}"):
        if name in slots:
            used = recording.slot(name, block)[first:]
            return [_memory(name, _table(labels, labels, used, torch.ones_like(used, dtype=torch.bool).tril()))]
    if construction.result == "T8" and block == 1:
        return [_memory("rank", _table(["rank"], labels, recording.slot("rank", 1).mT))]
    if construction.result == "T8" and block == 2:
        rows = [*(f"not in {term}" for term in range(2, recording.n)), "lowest"]
        return [_memory("missing", _table(rows, labels, recording.slot("missing", 2).mT))]
    return []


def caption(recording: Recording, role: Role, row: Tensor) -> str:
    """What attention [n] of the asking token does."""
    if row.sum() < 0.5:
        return "All attention is on BOS: no response is left."
    if role == "gather":
        return "All tokens alike."
    if role == "even":
        return f"All but the lowest, evenly: {words.spread(row)}."
    if role == "average":
        return f"{words.spread(row)}."
    if role == "tell":
        written = "reward goes to “top”" if recording.construction.result == "T3" else "position goes to “picked”"
        return f"{words.focus(row)} Its {written}, which the feed-forward network reads and clears."
    return words.focus(row)


def short(value: float) -> float:
    """Seven significant digits: enough for what is drawn, and a smaller file."""
    return float(f"{value:.7g}")


def _title(recording: Recording, stage: Stage, head: int) -> str:
    role = stage.heads[head]
    if role == "average" and "even" in stage.heads:
        return f"average for term {head + 1}"
    if role == "tell" and recording.construction.result == "T5":
        return "tell the position of the pick"
    return _TITLES[role]


def _memory(slot: str, table: Json) -> Json:
    return {"title": f"Slot “{slot}” of each token", "role": "mask", "kind": "slot", **table}


def _table(rows: list[str], columns: list[str], values: Tensor, seen: Tensor | None = None) -> Json:
    visible = torch.ones_like(values, dtype=torch.bool) if seen is None else seen
    cells = [
        [short(value) if there else None for value, there in zip(row, there_row, strict=True)]
        for row, there_row in zip(values.tolist(), visible.tolist(), strict=True)
    ]
    return {"rows": rows, "columns": columns, "values": cells}
