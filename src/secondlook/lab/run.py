"""Training run, complete: what is solved, by which transformer, how it is trained. Its name follows from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, get_args, get_type_hints

import torch

from secondlook.initial import Initial
from secondlook.lab.objectives import OBJECTIVES, Objective
from secondlook.lab.tasks import Task
from secondlook.lab.tokens import Layout, inputs, length, reads
from secondlook.transformer import Activation, Attention, Block, Division, Stream, Transformer, TransformerConfig

Schedule = Literal["cosine", "constant"]
PILOT = 10_000
"""Seed of runs that tune rates, and of nothing else."""


@dataclass(frozen=True)
class Shape:
    """The transformer, without what follows from the task.

    Attributes:
        layout: One token a triplet (`merged`), or three (`interleaved`; `shared` as released), which get learned
            positions.
        depth: Blocks.
        width: Width of the residual stream.
        heads: Heads of a block.
        head_width: Width of a head; by default width / heads.
        feedforward: Hidden units; by default 4·width, 0 for none.
        attention: `softmax` or `linear`.
        activation: `relu` or `gelu`.
        norm: Whether layers are normalised.
        causal: Whether a token sees only itself and what came before it.
        division: Divisor of linear attention: the `count` of tokens attended to, or `none`.
        stream: Whether a block without feed-forward network keeps the residual stream; see `Block`.
        initial: Distribution of first weights: `gpt2`, `gpt2-inside` or `torch`.

    Raises:
        ValueError: A layout that is unknown, or heads that do not divide the width. Other sizes are judged by
            `TransformerConfig`.
    """

    layout: Layout = "merged"
    depth: int = 2
    width: int = 48
    heads: int = 4
    head_width: int | None = None
    feedforward: int | None = None
    attention: Attention = "softmax"
    activation: Activation = "relu"
    norm: bool = True
    causal: bool = True
    division: Division = "count"
    stream: Stream = "kept"
    initial: Initial = "gpt2"

    def __post_init__(self) -> None:
        if self.layout not in get_args(Layout):
            raise ValueError(f"layout is {self.layout!r}: choose one of {', '.join(get_args(Layout))}")
        if self.head_width is None and (self.heads < 1 or self.width % self.heads):
            raise ValueError(f"heads is {self.heads}: give a divisor of width {self.width}, or head_width, too")

    def transformer(self, task: Task) -> TransformerConfig:
        """The architecture for a task."""
        block = Block(
            self.heads,
            self.width // self.heads if self.head_width is None else self.head_width,
            feedforward=4 * self.width if self.feedforward is None else self.feedforward,
            attention=self.attention,
            division=self.division,
            stream=self.stream,
        )
        return TransformerConfig.uniform(
            self.depth,
            block,
            inputs=inputs(task, self.layout),
            outputs=task.dy,
            width=self.width,
            causal=self.causal,
            activation=self.activation,
            norm=self.norm,
            bias=True,
            positions=0 if self.layout == "merged" else length(task, self.layout),
            initial=self.initial,
        )


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        task: Distribution of problems.
        shape: Transformer that is trained.
        objective: Training objective, averaged over prefixes.
        batch: Problems a step, all of them new.
        steps: Steps of AdamW.
        rate: Learning rate.
        schedule: Whether the rate falls to 0 along a cosine, or stays.
        warmup: Steps over which it first rises from 0.
        decay: Weight decay.
        beta2: Decay of the average of squares.
        clip: Largest norm of a gradient; 0 for any.
        seed: Seed of weights and data. Runs with the same seed and task see the same problems.

    Raises:
        ValueError: A field out of range.
    """

    task: Task = field(default_factory=Task)
    shape: Shape = field(default_factory=Shape)
    objective: Objective = "pl-cosine"
    batch: int = 128
    steps: int = 600
    rate: float = 3e-3
    schedule: Schedule = "cosine"
    warmup: int = 50
    decay: float = 0.0
    beta2: float = 0.98
    clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("objective", OBJECTIVES), ("schedule", get_args(Schedule))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")
        for name, least in (("batch", 1), ("steps", 1), ("warmup", 0), ("decay", 0), ("clip", 0), ("seed", 0)):
            # `not >=` refuses nan as well.
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not reads(self.task, self.shape.layout)[0]:
            raise ValueError(f"n is {self.task.n}: an interleaved token has not seen its own response, give at least 3")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate is {self.rate}: give a positive number")
        if not 0 <= self.beta2 < 1:
            raise ValueError(f"beta2 is {self.beta2}: give a number from 0 to below 1")

    @property
    def name(self) -> str:
        """Task, shape and seed for people, and a digest of every field that is not at its default.

        So a field that is added later, and at its default changes nothing, changes no name.
        """
        task, shape = self.task, self.shape
        # No default may ever change: a run that was kept at the old one would be taken for a run at the new one.
        own = type(self)().differences(self)
        digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:10]
        return f"{task.name}-{self.objective}-{shape.layout}-d{shape.depth}-w{shape.width}-s{self.seed}-{digest}"

    @property
    def parameters(self) -> int:
        """Numbers in its weights."""
        with torch.device("meta"):
            model = Transformer(self.shape.transformer(self.task))
        return sum(weights.numel() for weights in model.parameters())

    @property
    def peers(self) -> Self:
        """The run without what may differ among members of an ensemble; runs of equal peers can train together."""
        # Tasks of one query differ in how problems are drawn, not in any shape.
        task = replace(self.task, p=0.0, noise="replace", name="fresh-query" if self.task.fresh else "released")
        return replace(self, task=task, rate=1.0, decay=0.0, seed=0, objective="pl-cosine")

    def factor(self, step: int) -> float:
        """Learning-rate multiplier at a step, counted from 0."""
        if step < self.warmup:
            # One more than the step, or the first would be made at a rate of 0.
            return (step + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(1, self.steps - self.warmup)))

    def differences(self, other: Self) -> dict[str, Any]:
        """Fields of another run that differ, e.g. `shape.depth`, with its values; the seed does not count."""
        own = flat(asdict(self))
        return {name: value for name, value in flat(asdict(other)).items() if name != "seed" and value != own[name]}

    def record(self) -> dict[str, Any]:
        """Record for JSON; `of` reads it back."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """A run from a record, in which fields may be missing.

        Raises:
            ValueError: A field that is unknown (the known ones are listed), or a value of another type.
        """
        if not isinstance(record, dict):
            raise ValueError(f"a run is {record!r}: give a table of its fields")  # noqa: TRY004 - a user's file
        given = dict(record)
        task, shape = _build(Task, given.pop("task", {})), _build(Shape, given.pop("shape", {}))
        built: Self = _build(cls, {**given, "task": task, "shape": shape})
        return built


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields of a record by names with dots, e.g. `shape.depth`."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _build(kind: type[Any], values: Any) -> Any:
    own = kind.__name__.lower()
    if not isinstance(values, dict):
        raise ValueError(f"{own} is {values!r}: give a table of its fields")  # noqa: TRY004 - a user's file
    known = get_type_hints(kind)
    if unknown := values.keys() - known.keys():
        raise ValueError(f"{own} has no field {min(unknown)!r}; known: {', '.join(known)}")
    for name, value in values.items():
        if not _fits(value, known[name]):
            raise ValueError(f"{name} is {value!r}: give {_WORDS[known[name]]}")
    return kind(**values)


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    int | None: "a whole number, or none",
}
"""What may be given, by type; fields of words name theirs themselves."""


def _fits(value: object, kind: Any) -> bool:
    if kind not in _WORDS:
        return True
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int | float) if kind is float else kind)
