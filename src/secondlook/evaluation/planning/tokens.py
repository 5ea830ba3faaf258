"""Tokens of a study from those of a pilot: a ratio estimator for every kind of call.

The prompts of a conversation grow, each by the reply before it and a request of its own. What a call *adds* is counted
in characters for pilot and study alike; the pilot's measured tokens of these additions, divided by its counted
characters, turn the study's characters into tokens. A prompt is the sum of what was added so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secondlook.evaluation.planning.counting import Call, Kind

Cell = tuple[Kind, int]
"""The kind of a call and its round."""
Sums = Mapping[Cell, Mapping[str, float]]
"""Calls, lengths and seconds of each kind of call, in the order of a conversation."""
_NUMBERS = ["calls", "input", "added", "output", "cached", "seconds"]
_DRAWS, _LEVEL = 400, 95.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """What the pilot says of a call of some kind.

    Attributes:
        share: Of the conversations, how many come so far.
        per_character: Tokens for a character that the call adds to its prompt.
        reply: Tokens of the reply.
        cached: Share of the prompt that the endpoint says it had in its cache.
        hits: These tokens, as a part of those that a prefix cache could serve. Longer conversations have a larger share
            of their prompts in the cache, and not a larger part of this.
        seconds: Wall time of a call.
        prompt: Tokens of the prompt.
    """

    share: float
    per_character: float
    reply: float
    cached: float
    hits: float
    seconds: float
    prompt: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls and tokens of one kind of call, over a whole arm.

    Attributes:
        calls: Requests.
        tokens_in: Prompt tokens, those from a cache included.
        tokens_out: Tokens of the replies.
        tokens_cached: Prompt tokens that come from a cache, if it serves the study as it served the pilot.
        tokens_reusable: Prompt tokens that a prefix cache could serve at most: what the prompt shares with the
            beginning of the call before it; more where the pilot's endpoint remembered other arms' prompts too.
    """

    calls: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    tokens_cached: float = 0.0
    tokens_reusable: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def times(self, factor: float) -> Spent:
        """As much so many times."""
        return Spent(*(factor * getattr(self, name) for name in self.__slots__))


def tabulated(calls: Mapping[str, Sequence[Call]], templates: Mapping[str, str]) -> pd.DataFrame:
    """Calls of conversations as a table, the sums of each template of questions and kind of call.

    Args:
        calls: The calls by question.
        templates: Of each question, what others share.
    """
    rows = [
        (templates[sample], call.kind, call.round, 1, call.input, call.added, call.output, call.cached, call.seconds)
        for sample, made in calls.items()
        for call in made
    ]
    return (
        pd.DataFrame(rows, columns=["template", "kind", "round", *_NUMBERS])
        .groupby(["template", "kind", "round"], sort=False)
        .sum()
        .reset_index()
    )


def ratios(measured: Sums, counted: Sums) -> dict[Cell, Ratio]:
    """What the pilot says of each kind of call.

    Args:
        measured: Sums in tokens of the pilot's calls.
        counted: Sums in characters of the same conversations, as they were counted.
    """
    found = {}
    for cell, had in measured.items():
        if cell not in counted or not had["calls"] or not counted[cell]["added"]:
            continue
        dry = counted[cell]
        reusable = had["input"] - _fresh(dry, had["added"] / dry["added"])
        found[cell] = Ratio(
            share=had["calls"] / dry["calls"],
            per_character=had["added"] * dry["calls"] / (dry["added"] * had["calls"]),
            reply=had["output"] / had["calls"],
            cached=had["cached"] / had["input"] if had["input"] else 0.0,
            hits=had["cached"] / reusable if reusable > 0 else 0.0,
            seconds=had["seconds"] / had["calls"],
            prompt=had["input"] / had["calls"],
        )
    return found


def _fresh(counted: Mapping[str, float], tokens: float) -> float:
    """Prompt tokens that no prefix cache could serve, where a counted character is so many tokens."""
    return (counted["input"] - counted["cached"]) * tokens


def nearest(known: Mapping[Cell, Ratio], cell: Cell) -> Cell:
    """The pilot's kind of call that stands for one of a study: the same, in the same round or the last one before.

    Raises:
        ValueError: If the pilot has no call of the kind.
    """
    kind, index = cell
    rounds = sorted(other for same, other in known if same == kind)
    if not rounds:
        raise ValueError(f"the pilot made no call of kind {kind!r}; run the pilot with more --rounds")
    return kind, max((other for other in rounds if other <= index), default=rounds[0])


def spent(known: Mapping[Cell, Ratio], counted: Sums) -> dict[Cell, Spent]:
    """What a study spends on each kind of call, in the order of a conversation.

    Args:
        known: What the pilot says.
        counted: Sums in characters of the study's calls.
    """
    found: dict[Cell, Spent] = {}
    before, share = 0.0, 1.0  # tokens of the prompts of the calls before, and how many conversations had them
    for cell, dry in counted.items():
        ratio = known[nearest(known, cell)]
        prompt = dry["added"] * ratio.per_character * ratio.share
        if cell[0] != "first":
            prompt += before * ratio.share / share
        reusable = max(0.0, prompt - _fresh(dry, ratio.per_character * ratio.share))
        calls = dry["calls"] * ratio.share
        cached = min(prompt, reusable * ratio.hits)
        found[cell] = Spent(calls, prompt, calls * ratio.reply, cached, max(cached, reusable))
        before, share = prompt, ratio.share
    return found


def intervals(measured: pd.DataFrame, counted: pd.DataFrame, study: Sums, seed: int) -> dict[str, tuple[float, float]]:
    """95% intervals of an arm's tokens, from the pilot's templates drawn again.

    They say how well the pilot's questions stand for the study's, and nothing of rounds that the pilot did not have.
    """
    generator = np.random.default_rng(seed)
    templates = sorted(measured["template"].unique())
    stacks = [_stack(table, templates) for table in (measured, counted)]
    draws: list[Spent] = []
    for _ in range(_DRAWS):
        weight = np.bincount(generator.integers(len(templates), size=len(templates)), minlength=len(templates))
        own, dry = (_as_sums(cells, np.tensordot(weight, stack, 1)) for cells, stack in stacks)
        draws.append(sum(spent(ratios(own, dry), study).values(), Spent()))
    tails = [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2]
    found = {}
    for name in ("tokens_in", "tokens_out", "tokens_cached"):
        low, high = np.percentile([getattr(draw, name) for draw in draws], tails)
        found[name] = (float(low), float(high))
    return found


def by_template(transcripts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Templates by question; a question without one stands for itself."""
    return {sample: template or sample for sample, template in transcripts}


def sums(table: pd.DataFrame) -> dict[Cell, dict[str, float]]:
    """Sums of each kind of call, in the order of a conversation."""
    cells, stack = _stack(table, sorted(table["template"].unique()))
    return _as_sums(cells, stack.sum(axis=0))


def _stack(table: pd.DataFrame, templates: Sequence[str]) -> tuple[list[Cell], NDArray[np.float64]]:
    """Kinds of calls, and their numbers by template, kind and :data:`_NUMBERS`."""
    made = list(zip(table["kind"], table["round"], strict=True))
    cells: list[Cell] = sorted(set(made), key=lambda cell: (cell[1], _ORDER[cell[0]]))
    places, rows = {cell: place for place, cell in enumerate(cells)}, {name: row for row, name in enumerate(templates)}
    stack = np.zeros((len(templates), len(cells), len(_NUMBERS)))
    np.add.at(
        stack,
        ([rows[name] for name in table["template"]], [places[cell] for cell in made]),
        table[_NUMBERS].to_numpy(float),
    )
    return cells, stack


def _as_sums(cells: Sequence[Cell], numbers: NDArray[np.float64]) -> dict[Cell, dict[str, float]]:
    return {cell: dict(zip(_NUMBERS, map(float, row), strict=True)) for cell, row in zip(cells, numbers, strict=True)}


_ORDER = {"first": 0, "again": 0, "check": 1}
