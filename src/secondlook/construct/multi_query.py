"""T4 (appendix F.1): several queries in one context.

Each query's responses are ranked among themselves: every score gets a term ⟨x̂, x̂'⟩ that lets a token see only its own
query (``match_query``), and then the blocks are those of ``plackett_luce``. A token of query q, or a test token at q,
so makes the step of its own query, Δ_q‖x_q‖². The true step at x' is Σ_q ⟨x_q, x'⟩Δ_q: matching alone drops the cross
terms, and is exact for orthogonal queries only. With ``cross=True`` each step ends in one linear-attention head that
carries ⟨x_j, x'⟩·Δ_j from all responses, which makes the whole sum, also at a test query that is new.
"""

from __future__ import annotations

import torch
from torch import Tensor

from secondlook.construct.attention_heads import match_query
from secondlook.construct.construction import Construction, features, step_slots, widths
from secondlook.construct.plackett_luce import blocks_of_step
from secondlook.construct.promise import Promise
from secondlook.construct.residual import ResidualLayout
from secondlook.construct.units import erase
from secondlook.construct.weights import BlockPlan, Head, Match, Move, assemble
from secondlook.objective import Contexts, MultiQueryContexts


def build(promise: Promise, tests: int, dx: int, *, cross: bool = True) -> Construction[MultiQueryContexts]:
    """The K·(N−1) blocks of ``plackett_luce``, and, with ``cross``, K blocks of one linear head and 2d ReLU units.

    Args:
        promise: What is built for; ``queries`` and ``max_coherence`` count here.
        tests: Test tokens; the step is read there.
        dx: Width of a query.
        cross: Whether to add the cross terms ⟨x_q, x'⟩Δ_q of different queries.
    """
    n, q = promise.n, promise.queries
    directions = {"direction": dx, "key_direction": dx}
    match = (match_query(promise.match_reward), match_query(promise.match_score))
    plans: list[BlockPlan] = []
    if cross:
        fed = {**widths(promise.d), **directions, "query": dx, "key_query": dx}
        del fed["pull"]  # the linear head multiplies by ⟨x_q, x'⟩ instead
        steps = ["shift"]
        layout = ResidualLayout(fed, {"retired": 1, "top": 1, "step": promise.d, "shift": promise.d})
        for _ in range(promise.steps):
            plans += blocks_of_step(promise, layout, "response", ("base", "shift"), "step", match)
            # Each of a query's n tokens holds Δ_q, and linear attention divides by all tokens. A test token's key is
            # zero: what it has made of its own query is not carried.
            move = Move("step", "shift", (q * n + tests) / n)
            add_up = Head("add up over queries", (Match("query", "key_query", 1.0),), (move,))
            plans.append(BlockPlan((add_up,), tuple(erase(layout, "step", signed=True)), attention="linear"))
    else:
        predictions = dict(step_slots(promise))
        steps = list(predictions)
        made = {"retired": 1, "top": 1, **dict.fromkeys(steps, promise.d)}
        layout = ResidualLayout({**widths(promise.d), **directions}, made)
        for step, prediction in predictions.items():
            plans += blocks_of_step(promise, layout, "pull", prediction, step, match)
    config, weights = assemble(layout, plans, steps, dtype=promise.dtype)

    def embed(contexts: MultiQueryContexts, start: Tensor) -> Tensor:
        _check(promise, contexts, start, tests=tests, dx=dx, cross=cross)
        queries = contexts.queries.repeat_interleave(n, dim=1)
        rows = {**_responses(promise, contexts, start), **_directions(promise, queries)}
        asked = _directions(promise, contexts.test)
        # No key in a test token: it asks, and nobody attends to it.
        test = {name: rows[name].new_zeros(*asked["query"].shape[:-1], rows[name].shape[-1]) for name in rows}
        base = (contexts.test.double() @ start.double().mT).to(promise.dtype)
        test |= {"base": base, "one": test["one"] + 1, "direction": asked["direction"], "query": asked["query"]}
        return layout.pack({name: torch.cat([rows[name], test[name]], dim=1) for name in layout.fed})

    name = "several queries" if cross else "matching only"
    return Construction("T4", name, promise, layout, config, weights, embed, first=q * n)


def _responses(promise: Promise, contexts: MultiQueryContexts, start: Tensor) -> dict[str, Tensor]:
    batch, q = contexts.queries.shape[:2]
    single = Contexts(contexts.queries.flatten(0, 1), contexts.responses.flatten(0, 1), contexts.rewards.flatten(0, 1))
    known = features(promise, single, start.repeat_interleave(q, dim=0))
    return {name: feature.reshape(batch, -1, feature.shape[-1]) for name, feature in known.items()}


def _directions(promise: Promise, queries: Tensor) -> dict[str, Tensor]:
    query = queries.double()
    direction = torch.nn.functional.normalize(query, dim=-1)
    found = {"direction": direction, "key_direction": direction, "query": query, "key_query": query}
    return {name: feature.to(promise.dtype) for name, feature in found.items()}


def _check(promise: Promise, contexts: MultiQueryContexts, start: Tensor, *, tests: int, dx: int, cross: bool) -> None:
    """Refuse what was not promised, another number of queries, and queries too close to be told apart."""
    q, width = contexts.queries.shape[1:]
    sizes = {"queries": (q, promise.queries), "test queries": (contexts.test.shape[1], tests)}
    for name, (found, built) in {**sizes, "query width": (width, dx)}.items():
        if found != built:
            raise ValueError(f"{name}: {found}, this construction was built for {built}; build one for {found}")
    promise.check(contexts, start)
    directions = torch.nn.functional.normalize(contexts.queries.double(), dim=-1)
    cosines = (directions @ directions.mT).abs() - torch.eye(q, dtype=torch.double, device=directions.device)
    if (coherence := cosines.max().item()) > promise.max_coherence + 1e-9:
        raise ValueError(
            f"two queries have cosine {coherence:.3g}, this construction was built for max_coherence="
            f"{promise.max_coherence:g}; build one with a larger max_coherence"
        )
    if not cross:
        # The same direction is not enough: of another length, the step starts elsewhere and is ⟨x_q, x'⟩Δ_q.
        off = (contexts.test[:, :, None] - contexts.queries[:, None]).double().norm(dim=-1)
        # A query of length 0 divides by 0, and must be near to no test query.
        farthest = (off / contexts.queries.double().norm(dim=-1)[:, None]).nan_to_num(torch.inf).amin(-1).max().item()
        if farthest > 1e-9:
            raise ValueError(
                f"a test query is {farthest:.3g} of its length away from the nearest query; matching heads answer only "
                "queries of the context: build with cross=True"
            )
