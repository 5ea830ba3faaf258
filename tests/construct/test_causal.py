"""T5: every token makes the Plackett–Luce step of its own prefix, by a mask over positions."""

import pytest
import torch
from term_by_term import a_promise, architecture, best_first, check_steps, drawn, oracles, slots

from secondlook.construct import causal


@oracles
@pytest.mark.parametrize(("n", "d", "dx", "steps"), [(2, 1, 1, 1), (3, 2, 3, 3), (6, 3, 2, 2), (12, 4, 3, 1)])
def test_every_token_makes_the_step_of_its_prefix(oracle, n, d, dx, steps):
    construction = causal.build(a_promise(n, d, steps))
    check_steps(construction, oracle, *drawn(construction, batch=2, dx=dx))


@oracles
def test_fewer_responses_than_promised_are_welcome(oracle):
    construction = causal.build(a_promise(6, 3, steps=2))
    contexts, start = drawn(construction)
    for n in range(1, 6):
        check_steps(construction, oracle, contexts.prefix(n), start)


def test_a_single_response_asks_for_no_step():
    construction = causal.build(a_promise(6, 3, steps=2))
    contexts, start = drawn(construction)
    assert construction.step(contexts.prefix(1), start).eq(0).all()


@pytest.mark.parametrize(("n", "steps"), [(2, 1), (5, 1), (5, 2)])
def test_a_step_is_n_minus_1_causal_blocks_of_three_heads_and_4n_units(n, steps):
    construction = causal.build(a_promise(n, 3, steps))
    step = [(3, 4 * n, "softmax")] * (n - 2) + [(3, 2 * n, "softmax")]
    assert architecture(construction) == step * steps
    assert construction.config.causal


def test_each_token_hides_whom_it_has_used_and_forgets_it_after_the_step():
    n, steps = 5, 2
    construction = causal.build(a_promise(n, 3, steps))
    contexts, start = drawn(construction, family="tight")
    used = slots(construction, contexts, start, "used")
    for context, rewards in enumerate(contexts.rewards):
        for token in range(n):
            order = best_first(rewards[: token + 1])
            for block, mask in enumerate(used[:, context, token]):
                gone = order[: block % (n - 1)]
                # The last one left of a short prefix is picked, too.
                expected = torch.zeros(n, dtype=torch.float64)
                expected[gone] = 1
                torch.testing.assert_close(mask, expected, rtol=1e-12, atol=0)
    assert slots(construction, contexts, start, "picked").eq(0).all()
