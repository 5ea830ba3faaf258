"""Curves and panels of a figure, over repetitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secondlook.evidence.outcome import ClaimEstimate


@dataclass(frozen=True)
class Curve:
    """A line of a figure.

    Attributes:
        panel: The panel it is in.
        label: Its name.
        x: Places on the horizontal axis.
        seeds: Its values, [seeds][x]; one seed has no interval. Empty where `points` are given.
        kind: `transformer` or `baseline`, which are drawn differently; `published` for numbers that others measured;
            `points` for values that no line joins.
        points: Estimates that come with their intervals, one at each x.

    Raises:
        ValueError: Neither seeds nor points, both, or not one for each x.
    """

    panel: str
    label: str
    x: tuple[float, ...]
    seeds: tuple[tuple[float, ...], ...] = ()
    kind: str = "transformer"
    points: tuple[ClaimEstimate, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.seeds} | ({len(self.points)} if self.points else set())
        if bool(self.seeds) == bool(self.points) or lengths != {len(self.x)}:
            raise ValueError(
                f"curve {self.label!r} has {len(self.x)} x, {len(self.seeds)} seeds and {len(self.points)} points; "
                "give seeds or points, with a value for each x"
            )

    def estimates(self) -> list[ClaimEstimate]:
        """Mean and interval at each x."""
        return list(self.points) or [ClaimEstimate.of(values) for values in np.array(self.seeds).T]


@dataclass(frozen=True)
class Panel:
    """A panel of a figure.

    Attributes:
        name: Key by which curves refer to it.
        title: What is seen.
        x: Name of its horizontal axis.
        y: Name of its vertical axis.
        scale: `linear` or `log` of the vertical axis.
        ticks: Names of the places x = 1, 2, …, where these are kinds and not numbers.
    """

    name: str
    title: str
    x: str
    y: str
    scale: str = "linear"
    ticks: tuple[str, ...] = ()
