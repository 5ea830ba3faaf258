"""T11: with the paper's sign the step is taken backwards, and the loss rises."""

import pytest
import torch
from term_by_term import a_promise, architecture, by_autograd, by_terms, drawn, one_by_one, plain_loss

from secondlook.construct import sign


@pytest.mark.parametrize("oracle", [by_terms, by_autograd])
@pytest.mark.parametrize(("printed", "direction"), [(True, -1), (False, 1)])
@pytest.mark.parametrize("n", [2, 4])
def test_the_printed_sign_moves_by_minus_the_step_and_ours_by_the_step(oracle, printed, direction, n):
    construction = sign.build(a_promise(n, 3), printed=printed)
    contexts, start = drawn(construction, batch=8)
    for made, one in zip(construction.step(contexts, start), one_by_one(contexts, start), strict=True):
        x, y, r, w = one
        step = oracle(*one, construction.promise, factors=1)
        torch.testing.assert_close(made, (w @ x + direction * step)[None], rtol=1e-12, atol=1e-13)
        rise = plain_loss(made[0], y, r, factors=1) - plain_loss(w @ x, y, r, factors=1)
        assert rise * direction < 0


def test_it_is_one_block_of_two_heads_read_after_the_responses():
    for printed in (True, False):
        construction = sign.build(a_promise(3, 3), printed=printed)
        assert architecture(construction) == [(2, 0, "softmax")]
        assert construction.first == 3


def test_it_shifts_every_response_by_minus_the_step():
    """Proposition 3.1: what the responses become is where the next step starts."""
    construction = sign.build(a_promise(2, 3))
    contexts, start = drawn(construction)
    with torch.no_grad():
        trace = construction.model().trace(construction.embed(contexts, start))
    shifted = construction.layout.view(trace.residual[-1], "response")[:, :2]
    for made, one in zip(shifted, one_by_one(contexts, start), strict=True):
        torch.testing.assert_close(made, one[1] - by_terms(*one, construction.promise), rtol=1e-12, atol=1e-14)


def test_more_than_one_step_is_refused():
    with pytest.raises(ValueError, match=r"steps is 2; .* built for 1"):
        sign.build(a_promise(2, 3, steps=2))
