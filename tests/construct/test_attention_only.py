"""T7: two causal heads a block and nothing else make the step of every prefix."""

import math

import pytest
import torch
from term_by_term import a_promise, architecture, best_first, check_steps, drawn, oracles, slots

from secondlook.construct import attention_only


@oracles
@pytest.mark.parametrize(("n", "d", "dx", "steps"), [(2, 1, 1, 1), (3, 2, 3, 3), (6, 3, 2, 2), (12, 4, 3, 1)])
def test_every_token_makes_the_step_of_its_prefix(oracle, n, d, dx, steps):
    construction = attention_only.build(a_promise(n, d, steps))
    check_steps(construction, oracle, *drawn(construction, batch=2, dx=dx))


@oracles
def test_fewer_responses_than_promised_are_welcome(oracle):
    construction = attention_only.build(a_promise(6, 3, steps=2))
    contexts, start = drawn(construction)
    for n in range(1, 6):
        check_steps(construction, oracle, contexts.prefix(n), start)


def test_a_single_response_asks_for_no_step():
    construction = attention_only.build(a_promise(6, 3, steps=2))
    contexts, start = drawn(construction)
    assert construction.step(contexts.prefix(1), start).norm() < 1e-15


@pytest.mark.parametrize(("n", "steps"), [(2, 1), (5, 1), (5, 2)])
def test_a_step_is_n_minus_1_causal_blocks_of_two_heads_and_no_feed_forward(n, steps):
    construction = attention_only.build(a_promise(n, 3, steps))
    assert architecture(construction) == [(2, 0, "softmax")] * (n - 1) * steps
    assert construction.config.causal
    assert not any("feedforward" in name for name in construction.weights)


@pytest.mark.parametrize("steps", [1, 2])
def test_each_token_hides_whom_it_has_used_as_exactly_as_softmax_is(steps):
    n = 5
    construction = attention_only.build(a_promise(n, 3, steps))
    contexts, start = drawn(construction, family="tight")
    leak = n * math.exp(-construction.promise.reward_sharpness)
    for step in range(steps):
        used = slots(construction, contexts, start, f"used_{step}")[:, :, 1:]
        assert used[: step * (n - 1) + 1].eq(0).all()
        for context, rewards in enumerate(contexts.rewards):
            for token in range(n):
                order = best_first(rewards[: token + 1])
                for block, mask in enumerate(used[step * (n - 1) :, context, token]):
                    gone, expected = order[: min(block, n - 1)], torch.zeros(n, dtype=torch.float64)
                    expected[gone] = 1
                    torch.testing.assert_close(mask, expected, rtol=0, atol=n * leak + 1e-14)


def test_a_prefix_that_is_used_up_falls_to_the_bos_token():
    n = 6
    construction = attention_only.build(a_promise(n, 3))
    contexts, start = drawn(construction)
    trace = construction.model().trace(construction.embed(contexts, start))
    for block, attention in enumerate(trace.attention):
        for prefix in range(1, n + 1):
            to_bos = attention[:, :, prefix, 0]
            if block >= prefix:
                torch.testing.assert_close(to_bos, torch.ones_like(to_bos), rtol=0, atol=1e-14)
            else:
                assert to_bos.max() < construction.promise.roundoff
