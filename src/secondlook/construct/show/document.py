"""A recording as the data that the page draws: plain lists, numbers, sentences, and the tables of each block."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from secondlook.construct.show import words
from secondlook.construct.show.exhibits import Stage
from secondlook.construct.show.record import Recording, label
from secondlook.transformer import Block

Json = dict[str, Any]


def document(name: str, recording: Recording, seed: int) -> Json:
    """Everything the page knows."""
    construction, promise = recording.construction, recording.construction.promise
    labels = [label(response) for response in range(recording.n)]
    asking = [
        {"label": labels[token - construction.first], "length": length, "order": recording.order(length)}
        for token, length in recording.askers
    ]
    return {
        "name": name,
        "result": construction.result,
        **words.TEXT["exhibits"][name],
        "loss": construction.name if construction.result == "T2" else "Plackett–Luce",
        "prefixes": construction.prefixes,
        "first": construction.first,
        "settings": {"n": recording.n, "steps": promise.steps, "eta": promise.eta, "seed": seed},
        "architecture": _architecture(recording),
        "labels": labels,
        "responses": recording.responses.tolist(),
        "rewards": recording.rewards.tolist(),
        "base": recording.base.tolist(),
        "factor": 2 * promise.eta * float(recording.contexts.query[0].square().sum()),
        "fed": list(construction.layout.fed),
        "asking": asking,
        "stages": [_stage(recording, block) for block in range(len(recording.plan) + 1)],
        "comparisons": recording.comparisons(),
    }


def _architecture(recording: Recording) -> str:
    construction, promise = recording.construction, recording.construction.promise
    shapes = Counter(_shape(block) for block in construction.config.blocks)
    text: str = words.TEXT["architecture"]["exact" if construction.result == "T8" else "ranked"]
    return text.format(
        blocks=", ".join(f"{words.count(many, 'block')} of {shape}" for shape, many in shapes.items()),
        mask=" under a causal mask" if construction.config.causal else "",
        width=construction.layout.width,
        weights=construction.parameters,
        dtype=str(promise.dtype).removeprefix("torch."),
        beta=words.number(promise.beta),
    )


def _shape(block: Block) -> str:
    parts = [words.count(block.heads, "head")] if block.heads else []
    if block.feedforward:
        parts.append(words.count(block.feedforward, "ReLU unit"))
    return " and ".join(parts)


def _stage(recording: Recording, block: int) -> Json:
    stage = recording.plan[block - 1] if block else None
    tables = [*_attention(recording, stage, block), *_slots(recording, stage, block)] if stage else []
    return {
        "step": stage.step if stage else None,
        "panels": tables,
        "views": [_view(recording, stage, block, *asker) for asker in recording.askers],
    }


def _view(recording: Recording, stage: Stage | None, block: int, token: int, length: int) -> Json:
    """State of one token after a block, and what it did there."""
    accumulated, truth = recording.made(block)[token], recording.truth[length][block]
    before = recording.made(block - 1)[token] if block else accumulated
    layout, stream = recording.construction.layout, recording.trace.residual[block][0, token]
    nobody = torch.zeros_like(recording.rewards).tolist()
    view: Json = {
        "accumulated": accumulated.tolist(),
        "truth": truth.tolist(),
        "added": (accumulated - before).tolist(),
        "error": float((accumulated - truth).norm()),
        "loss": recording.loss(recording.base + accumulated, length),
        "from": recording.base.tolist(),
        "hidden": nobody,
        "after": nobody,
        "pick": None,
        "averages": [],
        "even": None,
        "captions": [],
        "stream": {name: [_short(x) for x in layout.view(stream, name).tolist()] for name in layout.slots},
    }
    if stage is not None:
        rows = recording.attention(block)[:, token]
        view["captions"] = [words.caption(recording, role, row) for role, row in zip(stage.heads, rows, strict=True)]
        if stage.step is not None:
            view |= _work(recording, stage, block, token, length)
    headline, lines = words.describe(recording, stage, block, token, length)
    return view | {"headline": headline, "lines": lines}


def _work(recording: Recording, stage: Stage, block: int, token: int, length: int) -> Json:
    """Reads of a token in a block that adds to its step: where from, who is live, and what its heads carry."""
    rows = recording.attention(block)[:, token]
    carried = (rows @ recording.responses).tolist()
    found: Json = {
        "from": (recording.base + recording.made(block - 1, stage.step)[token]).tolist(),
        "hidden": recording.hidden(stage, block - 1, token).tolist(),
        "after": recording.hidden(stage, block, token).tolist(),
    }
    # This ranking has no such term any more: what the heads carry cancels, and there is nothing to draw.
    if stage.terms.start >= length - 1:
        return found
    heads = list(enumerate(stage.heads))
    return found | {
        "averages": [{"at": carried[at], "weights": rows[at].tolist()} for at, role in heads if role == "average"],
        "even": next((carried[at] for at, role in heads if role == "even"), None),
        "pick": recording.picked(block, token) if "pick" in stage.heads else None,
    }


def _attention(recording: Recording, stage: Stage, block: int) -> list[Json]:
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


def _slots(recording: Recording, stage: Stage, block: int) -> list[Json]:
    """Slot where tokens remember who is retired, whom they have used, or where they rank; if there is one."""
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


def _short(value: float) -> float:
    """Seven significant digits: enough for what is drawn, and a smaller file."""
    return float(f"{value:.7g}")


def _title(recording: Recording, stage: Stage, head: int) -> str:
    role = stage.heads[head]
    if role == "average" and "even" in stage.heads:
        return f"average for term {head + 1}"
    if role == "tell" and recording.construction.result == "T5":
        return "tell the position of the pick"
    title: str = words.TEXT["heads"][role]
    return title


def _memory(slot: str, table: Json) -> Json:
    return {"title": f"Slot “{slot}” of each token", "role": "mask", "kind": "slot", **table}


def _table(rows: list[str], columns: list[str], values: Tensor, seen: Tensor | None = None) -> Json:
    visible = torch.ones_like(values, dtype=torch.bool) if seen is None else seen
    cells = [
        [_short(value) if there else None for value, there in zip(row, there_row, strict=True)]
        for row, there_row in zip(values.tolist(), visible.tolist(), strict=True)
    ]
    return {"rows": rows, "columns": columns, "values": cells}
