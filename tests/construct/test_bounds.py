"""Bounds hold, and say something: on random contexts here, on 10,000 of them in `make soak`."""

import pytest
import torch
from hypothesis import given, settings
from random_evidence import BATCH, check, examples, run
from term_by_term import a_promise, drawn

from secondlook.construct import attention_only, causal, plackett_luce, shallow
from secondlook.construct.bounds import bound

ranking = pytest.mark.parametrize("room", [plackett_luce, causal, attention_only])


@pytest.mark.parametrize("contexts", [200, pytest.param(10_000, marks=pytest.mark.soak)])
def test_no_error_is_above_its_bound_and_no_bound_far_above_the_error(contexts):
    settings(deadline=None, max_examples=contexts // BATCH)(given(**examples)(check))()


@ranking
def test_truncation_falls_with_the_temperature_and_rounding_with_the_precision(room):
    def bounds(**fields):
        construction = room.build(a_promise(4, 2, **fields))
        return bound(construction, *drawn(construction, family="tight"))

    mild, sharp = bounds(sharpness=15.0), bounds(sharpness=20.0)
    ratio = sharp.truncation[:, 1:].amax() / mild.truncation[:, 1:].amax()
    assert ratio == pytest.approx(torch.tensor(-5.0).exp().item(), rel=0.01)
    coarse, fine = bounds(dtype=torch.float32, sharpness=15.0), bounds(sharpness=15.0)
    torch.testing.assert_close(
        coarse.rounding / fine.rounding, torch.full_like(fine.rounding, 2.0**29), rtol=0.05, atol=0
    )


def test_nothing_is_truncated_where_nothing_is_picked():
    construction = shallow.build(a_promise(4, 2, steps=2, sharpness=3.0))
    assert bound(construction, *drawn(construction)).truncation.eq(0).all()


@ranking
def test_a_prefix_is_bounded_by_its_own_responses(room):
    construction = room.build(a_promise(5, 2, sharpness=8.0))
    contexts, start = drawn(construction)
    found = bound(construction, contexts, start).total
    assert found.shape == (3, 5)
    assert len(found[0].unique()) == (5 if construction.prefixes else 1)
    for n in range(2, 5) if construction.prefixes else ():
        torch.testing.assert_close(bound(construction, contexts.prefix(n), start).total, found[:, :n])


@ranking
@pytest.mark.parametrize("sharpness", [0.1, 1.5, 2.0, 2.5, 12.0])
def test_a_temperature_at_which_tokens_do_not_retire_has_no_bound(room, sharpness):
    """Where a threshold or a mask may go wrong, the bound says so; everywhere else it holds."""
    construction = room.build(a_promise(5, 2, sharpness=sharpness))
    found = run(construction, *drawn(construction, batch=20, family="tight"))
    assert (found.error <= found.bound.total).all()
    assert found.bound.total.isinf().any() == (sharpness <= (2.5 if room is attention_only else 1.5))


def test_a_response_that_t7_dims_below_the_bos_token_is_in_its_bound():
    """The last of a short prefix is picked once more in the blocks that are left, dimmed by all leaks before."""
    construction = attention_only.build(a_promise(4, 2, min_gap=1e-4, sharpness=9.0))
    found = run(construction, *drawn(construction, batch=50, family="one gap"))
    assert (found.error <= found.bound.total).all()
    assert (found.error > 1e-4 * found.size).any()
