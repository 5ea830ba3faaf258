"""T8: two blocks rank all responses, and one more a step makes all terms at once."""

import pytest
import torch
from term_by_term import a_promise, architecture, best_first, check_steps, drawn, oracles, slots

from secondlook.construct import shallow


@oracles
@pytest.mark.parametrize(("n", "d", "dx", "steps"), [(2, 1, 1, 1), (3, 2, 3, 3), (8, 5, 2, 2), (20, 4, 3, 1)])
def test_every_token_makes_the_step(oracle, n, d, dx, steps):
    construction = shallow.build(a_promise(n, d, steps))
    check_steps(construction, oracle, *drawn(construction, batch=2, dx=dx))


@pytest.mark.parametrize(("n", "steps"), [(2, 1), (5, 1), (5, 3), (32, 2)])
def test_depth_is_constant_and_heads_and_units_grow_with_n(n, steps):
    construction = shallow.build(a_promise(n, 3, steps))
    assert architecture(construction) == [(1, 2 * n, "softmax"), (0, n - 1, "softmax"), *[(n, 0, "softmax")] * steps]
    assert not construction.config.causal


def test_every_token_learns_its_rank_and_the_terms_it_is_missing_from():
    n = 6
    construction = shallow.build(a_promise(n, 3))
    contexts, start = drawn(construction, family="tight")
    gathered = slots(construction, contexts, start, "rewards")[1]
    torch.testing.assert_close(gathered, contexts.rewards[:, None].expand(-1, n, -1), rtol=1e-15, atol=0)
    ranks, missing = slots(construction, contexts, start, "rank")[1], slots(construction, contexts, start, "missing")[2]
    for context, rewards in enumerate(contexts.rewards):
        for rank, j in enumerate(best_first(rewards)):
            assert ranks[context, j].item() == pytest.approx(rank, abs=1e-12)
            gone = [*(rank < term for term in range(1, n - 1)), rank == n - 1]
            flags = missing[context, j].tolist()
            assert all(flag >= 1 - 1e-12 if out else flag == 0 for flag, out in zip(flags, gone, strict=True))


def test_a_gap_that_n_comparisons_cannot_resolve_is_refused():
    promise = a_promise(20, 3, dtype=torch.float32, min_gap=1e-5)
    with pytest.raises(ValueError, match=r"min_gap 1e-05 is below 1.91e-05, .*float32.* raise min_gap or take a wider"):
        shallow.build(promise)
    shallow.build(a_promise(20, 3, dtype=torch.float32, min_gap=2e-5))
