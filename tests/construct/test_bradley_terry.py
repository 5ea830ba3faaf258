"""T2: two heads in one layer are the Bradley–Terry step, and with more responses the InfoNCE step."""

import pytest
import torch
from term_by_term import a_promise, architecture, by_terms, check_steps, drawn, one_by_one, oracles

from secondlook.construct import bradley_terry


@oracles
@pytest.mark.parametrize(
    ("n", "d", "dx", "steps"), [(2, 1, 1, 1), (2, 5, 3, 1), (2, 3, 4, 4), (6, 3, 2, 1), (20, 4, 3, 3)]
)
def test_every_token_makes_the_step_of_the_first_factor(oracle, n, d, dx, steps):
    construction = bradley_terry.build(a_promise(n, d, steps))
    check_steps(construction, oracle, *drawn(construction, dx=dx), factors=1)


def test_the_step_of_two_is_the_formula_of_the_sigmoid():
    """2η‖x‖²·sigmoid(s_worse − s_better)·(y_better − y_worse)."""
    construction = bradley_terry.build(a_promise(2, 3))
    contexts, start = drawn(construction, batch=8)
    for answers, (x, y, r, w) in zip(construction.step(contexts, start), one_by_one(contexts, start), strict=True):
        better, worse = y[r.argmax()], y[r.argmin()]
        behind = (w @ x - better).square().sum() - (w @ x - worse).square().sum()
        expected = 0.2 * (x @ x) * torch.sigmoid(behind) * (better - worse)
        torch.testing.assert_close(answers, expected.expand(2, 3), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_is_one_block_of_two_heads_and_nothing_else(steps):
    construction = bradley_terry.build(a_promise(5, 3, steps))
    assert architecture(construction) == [(2, 0, "softmax")] * steps
    assert not construction.config.causal


def test_with_more_than_two_responses_the_rest_of_the_ranking_is_not_seen():
    construction = bradley_terry.build(a_promise(5, 3))
    contexts, start = drawn(construction)
    for answers, one in zip(construction.step(contexts, start), one_by_one(contexts, start), strict=True):
        whole = by_terms(*one, construction.promise)
        assert (answers[0] - whole).norm() > 0.1 * whole.norm()


def test_it_is_named_after_its_loss():
    assert bradley_terry.build(a_promise(2, 3)).name == "Bradley–Terry"
    assert bradley_terry.build(a_promise(3, 3)).name == "InfoNCE"
