"""The gradient steps one context, one term and one response at a time: the oracles of this room's tests.

`by_terms` adds up the closed form with a softmax written out; `by_autograd` differentiates the loss on W. Neither uses
the package.
"""

import math

import pytest
import torch

from secondlook.construct import Promise
from secondlook.construct.prove.draw import draw, draw_queries


def best_first(rewards):
    return sorted(range(len(rewards)), key=lambda j: -float(rewards[j]))


def plain_softmax(scores):
    exps = [math.exp(score - max(scores)) for score in scores]
    return [e / math.fsum(exps) for e in exps]


def plain_terms(f, responses, rewards):
    """y_τ(k) − Σ_{j≥k} β_kj y_τ(j), one k after the other."""
    order = best_first(rewards)
    for k in range(len(order) - 1):
        live = [responses[j] for j in order[k:]]
        shares = plain_softmax([-float((f - y) @ (f - y)) for y in live])
        yield live[0] - sum(share * y for share, y in zip(shares, live, strict=True))


def by_terms(query, responses, rewards, start, promise, factors=None):
    """ΔWx after K steps, each the sum of the first `factors` terms, or of all."""
    moved = torch.zeros_like(responses[0])
    for _ in range(promise.steps):
        terms = list(plain_terms(start @ query + moved, responses, rewards))[:factors]
        moved = moved + 2 * promise.eta * (query @ query) * sum(terms, torch.zeros_like(moved))
    return moved


def plain_loss(prediction, responses, rewards, factors=None):
    """−log P of the ranking, or of its first `factors` choices."""
    scores = torch.stack([-((prediction - responses[j]) ** 2).sum() for j in best_first(rewards)])
    return sum((torch.logsumexp(scores[k:], 0) - scores[k] for k in range(len(scores))[:factors]), 0 * scores.sum())


def descent_on_weights(start, rankings, promise, factors=None):
    """ΔW after K steps on the sum of the losses of `rankings`, each a query, responses and rewards."""
    weights = start.clone()
    for _ in range(promise.steps):
        weights.requires_grad_()
        loss = sum(plain_loss(weights @ query, y, r, factors) for query, y, r in rankings)
        weights = (weights - promise.eta * torch.autograd.grad(loss, weights)[0]).detach()
    return weights - start


def by_autograd(query, responses, rewards, start, promise, factors=None):
    return descent_on_weights(start, [(query, responses, rewards)], promise, factors) @ query


oracles = pytest.mark.parametrize("oracle", [by_terms, by_autograd])


def a_promise(n, d, steps=1, **fields):
    """Gaps and norms are ordinary, and steps so short that K of them converge."""
    return Promise(n, d, **{"eta": 0.1 / (n - 1), "steps": steps, "min_gap": 0.02, "max_norm": 2.0} | fields)


def drawn(construction, seed=0, batch=3, dx=3, family="random"):
    """Contexts and W₀ that a construction was built for; queries have lengths from 0.5 to 2."""
    promise, generator = construction.promise, torch.Generator().manual_seed(seed)
    if construction.result == "T4":
        orthogonal = construction.name == "matching only" and not promise.max_coherence
        return draw_queries(promise, generator, batch=batch, dx=dx, family=family, orthogonal=orthogonal)
    return draw(promise, generator, batch=batch, dx=dx, family=family)


def one_by_one(contexts, start):
    """Query, responses, rewards and W₀ of each context."""
    return zip(contexts.query, contexts.responses, contexts.rewards, start, strict=True)


def check_steps(construction, oracle, contexts, start, factors=None, digits=12):
    """Every answer of every context is ΔWx as the oracle has it, to so many digits of a step's size."""
    made = construction.step(contexts, start)
    for answers, (x, y, r, w) in zip(made, one_by_one(contexts, start), strict=True):
        for place, answer in enumerate(answers, start=1):
            cut = place if construction.prefixes else len(r)
            expected = oracle(x, y[:cut], r[:cut], w, construction.promise, factors)
            size = max(expected.norm(), 1e-3 * construction.promise.eta * (x @ x) * y.norm(dim=-1).max())
            assert (answer - expected).norm() <= 10.0**-digits * size, (place, answer, expected)


def slots(construction, contexts, start, name):
    """What a slot holds after the read-in and after every block, [stages, batch, tokens, width]."""
    with torch.no_grad():
        trace = construction.model().trace(construction.embed(contexts, start))
    return torch.stack([construction.layout.view(stream, name) for stream in trace.residual])


def architecture(construction):
    """Of each block: heads, feed-forward units, and the kind of attention."""
    return [(block.heads, block.feedforward, block.attention) for block in construction.config.blocks]
