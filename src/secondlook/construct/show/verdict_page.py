"""The page of T12: the layer itself, whose forward pass the page makes as a reader moves model and critic."""

from __future__ import annotations

import torch

from secondlook.construct.prove.looks import Looks
from secondlook.construct.show.document import Json

NAME = "verdicts"
_SLIDERS = (
    {"id": "p", "says": "p, the model is right", "low": 0.02, "high": 0.98, "step": 0.01, "value": 0.6},
    {"id": "keeps", "says": "a₁ = P(“right” | right)", "low": 0, "high": 1, "step": 0.01, "value": 0.85},
    {"id": "alarms", "says": "a₀ = P(alarm | wrong)", "low": 0, "high": 1, "step": 0.01, "value": 0.6},
    {"id": "size", "says": "c, the size of a step", "low": -1, "high": 1.5, "step": 0.05, "value": 0},
)
_RECORDED = [(delta, c, u) for c in (0.1, 1.0, 10.0) for delta in (-3.0, -0.5, 0.0, 1.0, 4.0) for u in (0.0, 0.5, 1.0)]


def verdict_data(seed: int = 0) -> Json:
    """Data of the page: weights of the layer, directions of an example, and forward passes to be checked by.

    Args:
        seed: Of the directions.
    """
    deltas, sizes, favours = zip(*_RECORDED, strict=True)
    looks = Looks(sizes, deltas, seed)
    # One example for all: the layer does not depend on it, and a page has one picture.
    unit, across = (part[0] for part in (looks.apart / looks.c.sqrt()[:, None], looks.middle / looks.c.sqrt()[:, None]))
    before = looks.margin
    looks.look(torch.tensor(favours, dtype=torch.float64))
    moved = (looks.margin - before).tolist()
    weights, (block,) = looks.construction.weights, looks.construction.config.blocks
    names = ("query", "key", "value", "out")
    return {
        "name": NAME,
        "settings": {"seed": seed},
        "sliders": list(_SLIDERS),
        "unit": unit.tolist(),
        # verdicts.js puts the middle 0.3·√c away again, as `Looks` does.
        "across": (across / 0.3).tolist(),
        "weights": looks.construction.parameters,
        "layer": {
            "heads": block.heads,
            "head_width": block.head_width,
            "values": block.values,
            **{name: weights[f"{name}.weight"].tolist() for name in ("read_in", "read_out")},
            **{name: weights[f"blocks.0.attention.{name}.weight"].tolist() for name in names},
        },
        "recorded": [
            {"delta": delta, "c": c, "u": u, "moved": step}
            for delta, c, u, step in zip(before.tolist(), sizes, favours, moved, strict=True)
        ],
    }
