"""Exhibits: the constructions of a single query, and what each of their blocks is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from secondlook.construct import attention_only, bradley_terry, causal, plackett_luce, shallow
from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise
from secondlook.objective import Contexts

Role = Literal["pick", "average", "tell", "gather", "even"]


@dataclass(frozen=True)
class Stage:
    """One block.

    Attributes:
        step: The gradient step to which it adds; None if it only prepares.
        terms: The terms of the gradient it adds: term i sets the response of rank i against those of rank i and lower.
        heads: What its heads do, in order.
        last: Whether it completes its step.
    """

    step: int | None
    terms: range
    heads: tuple[Role, ...]
    last: bool = False


@dataclass(frozen=True)
class Exhibit:
    """One construction: its claim, its builder, its blocks, and the responses to show unless told otherwise."""

    claim: str
    build: Callable[[Promise], Construction[Contexts]]
    plan: Callable[[Promise], tuple[Stage, ...]]
    n: int = 6


def _one_term_a_block(*heads: Role) -> Callable[[Promise], tuple[Stage, ...]]:
    def plan(promise: Promise) -> tuple[Stage, ...]:
        last = promise.n - 2
        places = [(step, term) for step in range(promise.steps) for term in range(last + 1)]
        return tuple(Stage(step, range(term, term + 1), heads, term == last) for step, term in places)

    return plan


def _first_term_only(promise: Promise) -> tuple[Stage, ...]:
    return tuple(Stage(step, range(1), ("pick", "average"), last=True) for step in range(promise.steps))


def _all_terms_at_once(promise: Promise) -> tuple[Stage, ...]:
    terms = promise.n - 1
    averages: list[Role] = ["average"] * terms
    prepare = (Stage(None, range(0), ("gather",)), Stage(None, range(0), ()))
    return (*prepare, *(Stage(step, range(terms), (*averages, "even"), last=True) for step in range(promise.steps)))


EXHIBITS = {
    "bradley-terry": Exhibit("T2", bradley_terry.build, _first_term_only, n=2),
    "plackett-luce": Exhibit("T3", plackett_luce.build, _one_term_a_block("pick", "average", "tell")),
    "causal": Exhibit("T5", causal.build, _one_term_a_block("pick", "average", "tell")),
    "attention-only": Exhibit("T7", attention_only.build, _one_term_a_block("pick", "average")),
    "shallow": Exhibit("T8", shallow.build, _all_terms_at_once),
}
