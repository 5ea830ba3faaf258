"""A recording as the data that the page draws: plain lists, numbers and sentences."""

from __future__ import annotations

from collections import Counter

import torch

from secondlook.construct.show import panels, words
from secondlook.construct.show.exhibits import Stage
from secondlook.construct.show.panels import Json
from secondlook.construct.show.record import Recording, label
from secondlook.transformer import Block


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
    tables = [*panels.attention(recording, stage, block), *panels.memory(recording, stage, block)] if stage else []
    return {
        "step": stage.step if stage else None,
        "panels": tables,
        "views": [_view(recording, stage, block, *asker) for asker in recording.askers],
    }


def _view(recording: Recording, stage: Stage | None, block: int, token: int, length: int) -> Json:
    """How far one token has come after a block, and what it did there."""
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
        "stream": {name: [panels.short(x) for x in layout.view(stream, name).tolist()] for name in layout.slots},
    }
    if stage is not None:
        rows = recording.attention(block)[:, token]
        view["captions"] = [words.caption(recording, role, row) for role, row in zip(stage.heads, rows, strict=True)]
        if stage.step is not None:
            view |= _work(recording, stage, block, token, length)
    headline, lines = words.describe(recording, stage, block, token, length)
    return view | {"headline": headline, "lines": lines}


def _work(recording: Recording, stage: Stage, block: int, token: int, length: int) -> Json:
    """What a token reads in a block that adds to its step: where from, who is live, and what its heads carry."""
    rows = recording.attention(block)[:, token]
    carried = (rows @ recording.responses).tolist()
    found: Json = {
        "from": (recording.base + recording.made(block - 1, stage.step)[token]).tolist(),
        "hidden": recording.hidden(stage, block - 1, token).tolist(),
        "after": recording.hidden(stage, block, token).tolist(),
    }
    if stage.terms.start >= length - 1:
        return found
    heads = list(enumerate(stage.heads))
    return found | {
        "averages": [{"at": carried[at], "weights": rows[at].tolist()} for at, role in heads if role == "average"],
        "even": next((carried[at] for at, role in heads if role == "even"), None),
        "pick": recording.picked(block, token) if "pick" in stage.heads else None,
    }
