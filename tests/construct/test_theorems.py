"""T2, T3, T5, T7, T8 and T11: the step, written out in loops, and the mechanism that makes it."""

import math
from dataclasses import replace

import pytest
import torch
from term_by_term import (
    a_promise,
    architecture,
    best_first,
    by_terms,
    check_steps,
    drawn,
    one_by_one,
    oracles,
    plain_loss,
    plain_terms,
    slots,
)

from secondlook.construct import attention_only, bradley_terry, causal, plackett_luce, shallow, sign

ROOMS = {
    "bradley_terry": bradley_terry,
    "plackett_luce": plackett_luce,
    "causal": causal,
    "attention_only": attention_only,
    "shallow": shallow,
}
every = pytest.mark.parametrize("name", ROOMS)
prefixes = pytest.mark.parametrize("room", [causal, attention_only])


@oracles
@every
@pytest.mark.parametrize(
    ("n", "d", "dx", "steps"), [(2, 1, 1, 1), (2, 5, 3, 4), (3, 2, 3, 3), (6, 3, 2, 2), (12, 4, 3, 1)]
)
def test_every_token_makes_its_step(name, oracle, n, d, dx, steps):
    """Of the whole ranking; in T2 of its first factor, in T5 and T7 of the token's own prefix."""
    construction = ROOMS[name].build(a_promise(n, d, steps))
    check_steps(
        construction, oracle, *drawn(construction, batch=2, dx=dx), factors=1 if name == "bradley_terry" else None
    )


def test_t7_needs_no_square_where_queries_and_responses_have_a_length_and_nothing_is_predicted():
    """The clean case of its embedding: ‖x‖ = 1, equal ‖y‖, W₀ = 0, so that it is linear in y and r."""
    construction = attention_only.build(a_promise(5, 3, min_gap=1e-2))
    contexts, start = drawn(construction, family="long")
    contexts = replace(contexts, query=contexts.query / contexts.query.norm(dim=-1, keepdim=True))
    tokens = construction.embed(contexts, torch.zeros_like(start))
    whole = construction.model()(tokens)
    assert construction.layout.view(tokens, "base").eq(0).all()
    torch.testing.assert_close(
        construction.layout.view(tokens, "pull"), construction.layout.view(tokens, "response"), rtol=1e-15, atol=0
    )
    construction.layout.view(tokens, "square").zero_()
    torch.testing.assert_close(construction.model()(tokens), whole, rtol=0, atol=1e-14)


@every
@pytest.mark.parametrize(("n", "steps"), [(2, 1), (2, 3), (5, 1), (5, 2)])
def test_a_step_takes_the_blocks_heads_and_units_of_its_theorem(name, n, steps):
    construction = ROOMS[name].build(a_promise(n, 3, steps))
    step = {
        "bradley_terry": [(2, 0)],
        "plackett_luce": [(3, 5)] * (n - 2) + [(3, 3)],
        "causal": [(3, 4 * n)] * (n - 2) + [(3, 2 * n)],
        "attention_only": [(2, 0)] * (n - 1),
        "shallow": [(n, 0)],
    }[name]
    ranking = [(1, 2 * n), (0, n - 1)] if name == "shallow" else []
    assert architecture(construction) == [(*sizes, "softmax") for sizes in ranking + step * steps]
    assert construction.config.causal == (name in ("causal", "attention_only"))


def test_the_step_of_two_is_the_formula_of_the_sigmoid():
    """2η‖x‖²·sigmoid(s_worse − s_better)·(y_better − y_worse)."""
    construction = bradley_terry.build(a_promise(2, 3))
    contexts, start = drawn(construction, batch=8)
    for answers, (x, y, r, w) in zip(construction.step(contexts, start), one_by_one(contexts, start), strict=True):
        better, worse = y[r.argmax()], y[r.argmin()]
        behind = (w @ x - better).square().sum() - (w @ x - worse).square().sum()
        expected = 0.2 * (x @ x) * torch.sigmoid(behind) * (better - worse)
        torch.testing.assert_close(answers, expected.expand(2, 3), rtol=1e-12, atol=1e-14)
    assert construction.name == "Bradley–Terry"
    assert bradley_terry.build(a_promise(3, 3)).name == "InfoNCE"


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
    flags = slots(construction, contexts, start, "retired")[..., 0]
    for context, rewards in enumerate(contexts.rewards):
        order = best_first(rewards)
        for block, retired in enumerate(flags[:, context]):
            gone = order[: block % 4]
            assert retired[[j for j in range(5) if j not in gone]].eq(0).all()
            torch.testing.assert_close(retired[gone], torch.ones(len(gone), dtype=torch.float64), rtol=1e-12, atol=0)
    assert slots(construction, contexts, start, "top").eq(0).all()


@oracles
@prefixes
def test_fewer_responses_than_promised_are_welcome_and_one_asks_for_no_step(oracle, room):
    construction = room.build(a_promise(6, 3, steps=2))
    contexts, start = drawn(construction)
    for n in range(1, 6):
        check_steps(construction, oracle, contexts.prefix(n), start)
    assert construction.step(contexts.prefix(1), start).norm() < 1e-15


@prefixes
@pytest.mark.parametrize("steps", [1, 2])
def test_each_token_hides_whom_it_has_used(room, steps):
    """T5's mask is exact, and forgotten after the step; T7's is as exact as softmax is, and each step has its own."""
    n = 5
    construction = room.build(a_promise(n, 3, steps))
    contexts, start = drawn(construction, family="tight")
    leak = 0.0 if room is causal else n * n * math.exp(-construction.promise.reward_sharpness) + 1e-14
    for step in range(steps):
        used = slots(construction, contexts, start, "used" if room is causal else f"used_{step}")
        used = used[step * (n - 1) :, :, construction.first :]
        for context, rewards in enumerate(contexts.rewards):
            for token in range(n):
                order = best_first(rewards[: token + 1])
                for block, mask in enumerate(used[: n - 1, context, token]):
                    # The last one left of a short prefix is picked, too.
                    expected = torch.zeros(n, dtype=torch.float64)
                    expected[order[:block]] = 1
                    torch.testing.assert_close(mask, expected, rtol=1e-12, atol=leak)
        assert used[-1].eq(0).all() or room is attention_only
    assert room is attention_only or slots(construction, contexts, start, "picked").eq(0).all()


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


@oracles
@pytest.mark.parametrize("printed", [True, False])
@pytest.mark.parametrize("n", [2, 4])
def test_the_printed_sign_moves_by_minus_the_step_and_the_loss_rises(oracle, printed, n):
    """Proposition 3.1: what the responses become is where the next step starts."""
    construction, direction = sign.build(a_promise(n, 3), printed=printed), -1 if printed else 1
    assert architecture(construction) == [(2, 0, "softmax")]
    contexts, start = drawn(construction, batch=8)
    shifted = slots(construction, contexts, start, "response")[-1]
    for made, moved, one in zip(construction.step(contexts, start), shifted, one_by_one(contexts, start), strict=True):
        x, y, r, w = one
        step = oracle(*one, construction.promise, factors=1)
        torch.testing.assert_close(made, (w @ x + direction * step)[None], rtol=1e-12, atol=1e-13)
        rise = plain_loss(made[0], y, r, factors=1) - plain_loss(w @ x, y, r, factors=1)
        assert rise * direction < 0
        if not printed:
            expected = y - by_terms(*one, construction.promise, factors=1)
            torch.testing.assert_close(moved[:n], expected, rtol=1e-12, atol=1e-14)


def test_a_shift_of_more_than_one_step_is_refused():
    with pytest.raises(ValueError, match=r"steps is 2; .* built for 1"):
        sign.build(a_promise(2, 3, steps=2))
