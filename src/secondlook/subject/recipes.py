"""The subjects that come with the package, by name, and the recipe of each."""

from __future__ import annotations

from functools import partial

from secondlook.subject.train import TrainConfig

_family = partial(
    TrainConfig,
    heads=4,
    lessons=200,
    practice=240,
    steps=1560,
    batch=32,
    rate=3e-3,
    matrices=0.02,
    curriculum="family",
)

RECIPES = {
    "planted": TrainConfig(),
    "planted-0.1m": _family(width=48, layers=2),
    "planted-0.5m": _family(width=96, layers=4),
    "planted-2m": _family(width=192, layers=4),
}
"""The last three are the family: data, steps and recipe are shared, and only the size differs."""
