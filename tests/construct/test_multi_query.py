"""T4: several queries in one context, with matching heads alone, and with the cross terms of a linear head."""

from dataclasses import replace

import pytest
import torch
from term_by_term import a_promise, architecture, by_terms, descent_on_weights, drawn, oracles

from secondlook.construct import multi_query
from secondlook.objective import MultiQueryContexts


def several(n=4, d=3, steps=1, queries=3, tests=None, dx=4, coherence=0.5, cross=True, **fields):
    promise = a_promise(n, d, steps, queries=queries, max_coherence=coherence, eta=0.1 / (n - 1) / queries, **fields)
    return multi_query.build(promise, tests=tests or queries, dx=dx, cross=cross)


def rankings(contexts, context):
    """Query, responses and rewards of each of a context's queries."""
    return list(zip(contexts.queries[context], contexts.responses[context], contexts.rewards[context], strict=True))


def weights_by_terms(start, rankings, promise):
    """ΔW after K steps, each Σ_q Δ_q x_qᵀ written out."""
    one, moved = replace(promise, steps=1), torch.zeros_like(start)
    for _ in range(promise.steps):
        shifts = (by_terms(x, y, r, start + moved, one) / (x @ x) for x, y, r in rankings)
        moved = moved + sum(torch.outer(shift, x) for shift, (x, _, _) in zip(shifts, rankings, strict=True))
    return moved


def expected(construction, contexts, start, oracle=descent_on_weights):
    """ΔWx' at the test queries, [batch, tests, d]."""
    moved = [oracle(w, rankings(contexts, i), construction.promise) for i, w in enumerate(start)]
    return contexts.test @ torch.stack(moved).mT


def apart(made, steps):
    """The largest error of an answer relative to its step."""
    return ((made - steps).norm(dim=-1) / steps.norm(dim=-1)).max()


def turned(contexts, test):
    return MultiQueryContexts(contexts.queries, contexts.responses, contexts.rewards, test)


@pytest.mark.parametrize("oracle", [weights_by_terms, descent_on_weights])
@pytest.mark.parametrize(
    ("n", "d", "dx", "queries", "steps", "coherence"),
    [(2, 1, 2, 2, 1, 0.5), (3, 2, 5, 2, 3, 0.9), (8, 4, 3, 3, 2, 0.0), (3, 2, 2, 1, 1, 0.0)],
)
def test_a_new_query_gets_the_step_on_w_with_its_cross_terms(oracle, n, d, dx, queries, steps, coherence):
    construction = several(n, d, steps, queries, dx=dx, coherence=coherence)
    contexts, start = drawn(construction, dx=dx)
    assert apart(construction.step(contexts, start), expected(construction, contexts, start, oracle)) < 1e-12


def test_any_number_of_test_queries_is_answered_each_for_itself():
    contexts, start = drawn(several(tests=3), dx=4)
    one = several(tests=1).step(turned(contexts, contexts.test[:, :1]), start)
    five = contexts.test[:, [0, 1, 2, 0, 0]]
    answers = several(tests=5).step(turned(contexts, five), start)
    torch.testing.assert_close(answers[:, [0, 3, 4]], one.expand(-1, 3, -1), rtol=1e-12, atol=1e-14)
    assert not torch.allclose(answers[:, 0], answers[:, 1])


def test_of_orthogonal_queries_matching_alone_is_exact():
    construction = several(coherence=0.0, cross=False, steps=2)
    contexts, start = drawn(construction, dx=4)
    made = construction.step(contexts, start)
    for oracle in (weights_by_terms, descent_on_weights):
        assert apart(made, expected(construction, contexts, start, oracle)) < 1e-12


def test_of_other_queries_matching_alone_makes_the_own_step_and_drops_the_cross_terms():
    construction = several(coherence=0.6, cross=False)
    contexts, start = drawn(construction, dx=4)
    contexts = turned(contexts, contexts.queries)
    made = construction.step(contexts, start)
    own = [by_terms(*one, w, construction.promise) for i, w in enumerate(start) for one in rankings(contexts, i)]
    assert apart(made, torch.stack(own).reshape(made.shape)) < 1e-12
    assert apart(made, expected(construction, contexts, start)) > 0.1
    complete = several(coherence=0.6)
    assert apart(complete.step(contexts, start), expected(complete, contexts, start)) < 1e-12


def embed(questions, **built):
    contexts, start = drawn(several(coherence=0.6), dx=4)
    several(**built).embed(turned(contexts, questions(contexts)), start)


MATCHING = {"coherence": 0.6, "cross": False}


@pytest.mark.parametrize(
    ("questions", "built", "message"),
    [
        (lambda c: c.queries, {"coherence": 0.0, "cross": False}, "two queries have cosine 0.6, .* larger max_coher"),
        (lambda c: 0.5 * c.queries, MATCHING, r"a test query is .* the nearest query; .* build with cross=True"),
        (lambda c: -c.queries, MATCHING, "build with cross=True"),
        (lambda c: c.test, MATCHING, "build with cross=True"),
        (lambda c: c.test, {"queries": 2, "tests": 3}, "queries: 3, .* built for 2; build one for 3"),
        (lambda c: c.test, {"tests": 2}, "test queries: 3, .* built for 2; build one for 3"),
        (lambda c: c.test, {"dx": 5}, "query width: 4, .* built for 5; build one for 4"),
    ],
)
def test_queries_that_cannot_be_served_are_refused(questions, built, message):
    with pytest.raises(ValueError, match=message):
        embed(questions, **built)


@pytest.mark.parametrize("steps", [1, 2])
def test_cross_terms_take_one_linear_head_a_step(steps):
    ranking = [(3, 5, "softmax")] * 2 + [(3, 3, "softmax")]
    linear = (1, 2 * 3, "linear")
    assert architecture(several(steps=steps)) == [*ranking, linear] * steps
    assert architecture(several(steps=steps, cross=False)) == ranking * steps


def test_what_a_test_token_holds_is_no_part_of_the_step():
    """Its own step, made from the responses of the nearest query, is not carried."""
    contexts, start = drawn(several(), dx=4)
    near = contexts.test.clone()
    near[:, 1:] = contexts.queries[:, :2] * 1.001
    assert torch.equal(several().step(turned(contexts, near), start)[:, 0], several().step(contexts, start)[:, 0])


@oracles
def test_one_query_is_plackett_luce(oracle):
    construction = several(queries=1, tests=2, coherence=0.0)
    contexts, start = drawn(construction, dx=4)
    contexts = turned(contexts, contexts.queries.repeat(1, 2, 1))
    steps = [oracle(*rankings(contexts, i)[0], w, construction.promise) for i, w in enumerate(start)]
    assert apart(construction.step(contexts, start), torch.stack(steps)[:, None]) < 1e-12


def test_a_query_is_known_to_its_own_tokens_alone():
    construction = several(n=4, queries=3)
    contexts, start = drawn(construction, dx=4)
    before = construction.embed(contexts, start)
    for q in range(3):
        for name, rows in (("queries", list(range(4 * q, 4 * q + 4))), ("test", [12 + q])):
            queries = getattr(contexts, name).clone()
            queries[0, q] *= 0.9
            changed = construction.embed(replace(contexts, **{name: queries}), start)
            assert (changed != before).any(-1).nonzero().tolist() == [[0, row] for row in rows]
