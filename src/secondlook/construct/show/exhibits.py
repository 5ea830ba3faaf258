"""What can be shown: the constructions of a single query, and what each of their blocks is for."""

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
    """One construction.

    Attributes:
        build: Its builder.
        plan: Its blocks.
        source: Where the claim stands, for people.
        claim: The claim, for people.
        n: Responses to show unless told otherwise.
    """

    build: Callable[[Promise], Construction[Contexts]]
    plan: Callable[[Promise], tuple[Stage, ...]]
    source: str
    claim: str
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
    "bradley-terry": Exhibit(
        bradley_terry.build,
        _first_term_only,
        "Theorem 3.2",
        "One softmax attention layer with two heads takes the Bradley–Terry gradient step.",
        n=2,
    ),
    "plackett-luce": Exhibit(
        plackett_luce.build,
        _one_term_a_block("pick", "average", "tell"),
        "Theorem 3.3",
        "N − 1 blocks of three softmax heads and a feed-forward network take the N-ary Plackett–Luce gradient step.",
    ),
    "causal": Exhibit(
        causal.build,
        _one_term_a_block("pick", "average", "tell"),
        "Appendix F.2",
        "Under a causal mask every token takes the Plackett–Luce gradient step of its own prefix.",
    ),
    "attention-only": Exhibit(
        attention_only.build,
        _one_term_a_block("pick", "average"),
        "Beyond the paper, T7",
        "Two causal heads a block, without any feed-forward network, take the step of every prefix.",
    ),
    "shallow": Exhibit(
        shallow.build,
        _all_terms_at_once,
        "Beyond the paper, T8",
        "Depth traded for heads: two blocks, and one more for every gradient step, however many responses there are.",
    ),
}


def find(name: str) -> Exhibit:
    """The construction of this name.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    if name not in EXHIBITS:
        raise ValueError(f"construction {name!r} is unknown; known: {', '.join(EXHIBITS)}")
    return EXHIBITS[name]
