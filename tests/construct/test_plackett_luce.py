"""T3: N−1 blocks, each adds a term of the Plackett–Luce step and retires the response it ranked first."""

import pytest
import torch
from term_by_term import (
    a_promise,
    architecture,
    best_first,
    check_steps,
    drawn,
    one_by_one,
    oracles,
    plain_terms,
    slots,
)

from secondlook.construct import plackett_luce


@oracles
@pytest.mark.parametrize(
    ("n", "d", "dx", "steps"), [(2, 1, 1, 1), (3, 2, 3, 1), (5, 3, 2, 3), (8, 5, 5, 2), (20, 4, 3, 1)]
)
def test_every_token_makes_the_step(oracle, n, d, dx, steps):
    construction = plackett_luce.build(a_promise(n, d, steps))
    check_steps(construction, oracle, *drawn(construction, batch=2, dx=dx))


@pytest.mark.parametrize(("n", "steps"), [(2, 1), (2, 3), (5, 1), (5, 2)])
def test_a_step_is_n_minus_1_blocks_of_three_heads_and_five_units(n, steps):
    construction = plackett_luce.build(a_promise(n, 3, steps))
    step = [(3, 5, "softmax")] * (n - 2) + [(3, 3, "softmax")]
    assert architecture(construction) == step * steps
    assert not construction.config.causal


def test_a_block_adds_a_term():
    construction = plackett_luce.build(a_promise(5, 3))
    contexts, start = drawn(construction)
    made = slots(construction, contexts, start, "step_0").diff(dim=0)
    for context, (x, y, r, w) in enumerate(one_by_one(contexts, start)):
        for added, term in zip(made[:, context], plain_terms(w @ x, y, r), strict=True):
            expected = 2 * construction.promise.eta * (x @ x) * term
            torch.testing.assert_close(added, expected.expand(5, 3), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_block_retires_the_response_it_ranked_first_and_the_last_revives_all(steps):
    construction = plackett_luce.build(a_promise(5, 3, steps))
    contexts, start = drawn(construction, family="tight")
    flags = slots(construction, contexts, start, "retired")
    for context, rewards in enumerate(contexts.rewards):
        order = best_first(rewards)
        for block, retired in enumerate(flags[:, context, :, 0]):
            gone = order[: block % 4]
            assert retired[[j for j in range(5) if j not in gone]].eq(0).all()
            torch.testing.assert_close(retired[gone], torch.ones(len(gone), dtype=torch.float64), rtol=1e-12, atol=0)
    assert slots(construction, contexts, start, "top").eq(0).all()
