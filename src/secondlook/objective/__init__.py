"""Objective of in-context alignment: the loss of a ranking, its gradient step, and descent on it.

A context holds a query x, responses y_i and rewards r_i. The rewards rank the responses, and f = Wx is judged by the
Plackett–Luce likelihood of that ranking when −‖f − y_i‖² is the model's own reward (docs/theory.md, Notation). A
context can be cut after any number of responses; every prefix is a problem of its own, and all of them, of all
contexts, are solved at once. The constructions have to make ``query_step``; the laboratory compares its transformers
with ``descend``.
"""

from secondlook.objective.contexts import Contexts, JudgedContexts, MultiQueryContexts
from secondlook.objective.descend import Descent, descend
from secondlook.objective.likelihood import (
    Prefixes,
    Reward,
    info_nce,
    plackett_luce,
    prefix_plackett_luce,
    rank,
    scores,
)
from secondlook.objective.ranked import beta
from secondlook.objective.steps import query_step, weight_step
from secondlook.objective.verdicts import ErringCritic, Floats, accepted, accepted_nll, margin_bound, mean_bound

__all__ = [
    "Contexts",
    "Descent",
    "ErringCritic",
    "Floats",
    "JudgedContexts",
    "MultiQueryContexts",
    "Prefixes",
    "Reward",
    "accepted",
    "accepted_nll",
    "beta",
    "descend",
    "info_nce",
    "margin_bound",
    "mean_bound",
    "plackett_luce",
    "prefix_plackett_luce",
    "query_step",
    "rank",
    "scores",
    "weight_step",
]
