import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rankings import plain_loss, plain_order, random_contexts, random_like
from torch.autograd import gradcheck
from torch.testing import assert_close

from secondlook.objective import Contexts, MultiQueryContexts, query_step, weight_step

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def plain_step(f, responses, rewards, eta):
    """The sum of §1, term by term."""
    y = responses[plain_order(rewards)]
    step = torch.zeros_like(f)
    for i in range(len(y) - 1):
        weights = torch.softmax(2 * y[i:] @ f - (y[i:] ** 2).sum(-1), 0)
        step += 2 * eta * (y[i] - weights @ y[i:])
    return step


def plain_gradient(weights, queries, responses, rewards, reward):
    """By autograd on W, one context at a time, through the looped loss."""
    gradients = []
    for w, xs, ys, rs in zip(weights, queries, responses, rewards, strict=True):
        w = w.clone().requires_grad_()
        loss = sum(plain_loss(w @ x, y, r, reward) for x, y, r in zip(xs, ys, rs, strict=True))
        gradients.append(torch.autograd.grad(loss, w)[0])
    return torch.stack(gradients)


def random_multi(seed, batch=2, q=3, n=4, dx=3, dy=2):
    queries, responses, rewards = (
        random_like(seed + i, *shape) for i, shape in enumerate([(batch, q, dx), (batch, q, n, dy), (batch, q, n)])
    )
    return MultiQueryContexts(queries, responses, rewards, queries)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), batch=st.integers(1, 3), n=st.integers(1, 6), d=st.integers(1, 4), ties=st.booleans())
def test_the_step_is_the_sum_of_its_terms(seed, batch, n, d, ties):
    contexts = random_contexts(seed, batch, n, 2, d)
    if ties:
        contexts.rewards.round_()
    f = random_like(seed + 1000, batch, d)
    expected = [plain_step(*one, 0.3) for one in zip(f, contexts.responses, contexts.rewards, strict=True)]
    assert_close(query_step(f, contexts.responses, contexts.rewards, 0.3), torch.stack(expected), **EXACT)


@pytest.mark.parametrize("reward", ["squared", "cosine"])
@pytest.mark.parametrize("q", [1, 3])
def test_the_weight_step_goes_down_the_gradient(q, reward):
    many, weights = random_multi(0, q=q), random_like(9, 2, 2, 3)
    gradient = plain_gradient(weights, many.queries, many.responses, many.rewards, reward)
    assert_close(weight_step(weights, many, 0.1, reward), -0.1 * gradient, **EXACT)
    if q == 1:
        one = Contexts(many.queries[:, 0], many.responses[:, 0], many.rewards[:, 0])
        assert weight_step(weights, one, 0.1, reward).equal(weight_step(weights, many, 0.1, reward))


def test_at_a_single_query_the_weight_step_moves_the_prediction_by_the_query_step():
    contexts, weights = random_contexts(1), random_like(2, 3, 2, 3)
    f = (weights @ contexts.query[..., None])[..., 0]
    moved = (weight_step(weights, contexts, 0.2) @ contexts.query[..., None])[..., 0]
    norm2 = contexts.query.square().sum(-1)
    assert_close(query_step(f, contexts.responses, contexts.rewards, 0.2, norm2), moved, **EXACT)


def test_several_queries_add_their_steps_by_inner_product():
    many, weights = random_multi(3), random_like(4, 2, 2, 3)
    each = query_step(many.queries @ weights.mT, many.responses, many.rewards, 0.1)
    at = random_like(5, 2, 3)
    inner = (many.queries @ at[..., None])[..., 0]
    moved = (weight_step(weights, many, 0.1) @ at[..., None])[..., 0]
    assert_close(moved, (inner[..., None] * each).sum(1), **EXACT)


def test_two_responses_make_the_bradley_terry_step():
    f, better, worse = (random_like(seed, 5, 2) for seed in (6, 7, 8))
    step = query_step(f, torch.stack([worse, better], 1), torch.tensor([[0.0, 1.0]]).expand(5, 2), 0.5)
    wrong = torch.sigmoid((better - f).square().sum(-1) - (worse - f).square().sum(-1))
    assert_close(step, wrong[:, None] * (better - worse), **EXACT)


def test_leading_axes_and_norms():
    f, y, r, norm2 = random_like(0, 2, 3, 4), random_like(1, 2, 3, 5, 4), random_like(2, 2, 3, 5), random_like(3, 2, 3)
    steps = query_step(f, y, r, 0.1, norm2)
    assert_close(steps[1, 2], norm2[1, 2] * query_step(f[1, 2], y[1, 2], r[1, 2], 0.1), **EXACT)
    assert_close(query_step(f, y, r, 0.1, 2.0), query_step(f, y, r, 0.2), **EXACT)


def test_the_query_step_is_differentiable():
    r = random_like(2, 2, 4)
    inputs = (random_like(0, 2, 3).requires_grad_(), random_like(1, 2, 4, 3).requires_grad_())
    assert gradcheck(lambda f, y: query_step(f, y, r, 0.1), inputs)


def test_dtypes_follow_the_prediction_and_half_precision_is_widened():
    contexts = random_contexts(6).to(torch.bfloat16)
    f, weights = random_like(7, 3, 2).bfloat16(), random_like(8, 3, 2, 3).bfloat16()
    wide = contexts.to(torch.float32)
    found = query_step(f, contexts.responses, contexts.rewards, 0.1)
    assert found.equal(query_step(f.float(), wide.responses, wide.rewards, 0.1).bfloat16())
    assert weight_step(weights, contexts, 0.1).equal(weight_step(weights.float(), wide, 0.1).bfloat16())


def test_neither_autocast_nor_no_grad_changes_a_step():
    contexts = random_contexts(9, dtype=torch.float32)
    f, weights = random_like(7, 3, 2, dtype=torch.float32), random_like(8, 3, 2, 3, dtype=torch.float32)

    def steps():
        return query_step(f, contexts.responses, contexts.rewards, 0.1), weight_step(weights, contexts, 0.1)

    plain = steps()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert all(found.equal(expected) for found, expected in zip(steps(), plain, strict=True))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (2, 4, 2), (2, 4)), "responses has shape (2, 4, 2): give [..., n, d] with d = 3, not 2"),
        (((2, 3), (2, 4, 3), (2, 5)), "rewards has shape (2, 5): give [..., n] with n = 4, not 5"),
        (
            ((3,), (2, 4, 3), (2, 4)),
            "responses has shape (2, 4, 3): give [..., n, d], with the leading axes of prediction, ()",
        ),
    ],
)
def test_bad_shapes_are_named(shapes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        query_step(*(torch.ones(shape) for shape in shapes), 0.1)
    with pytest.raises(ValueError, match=r"^weights has shape \(3, 3, 2\): give \[batch, dy, dx\] with dy = 2, not 3$"):
        weight_step(torch.ones(3, 3, 2), random_contexts(0), 0.1)
