"""Every family of contexts keeps the promise, and is what its name says."""

import itertools

import pytest
import torch

from secondlook.construct import Promise
from secondlook.construct.prove.draw import FAMILIES, draw, draw_queries

BATCH, GAP = 40, 1e-3
every = pytest.mark.parametrize("family", FAMILIES)
both = pytest.mark.parametrize("orthogonal", [True, False])
ORDINARY = ("random", "tight", "best first", "worst first", "one gap")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(family, n=6, d=3, dx=2, norm=2.0, seed=0, gap=None, batch=BATCH, **fields):
    promise = Promise(n, d, min_gap=GAP, max_norm=norm, **fields)
    return draw(promise, generator(seed), batch=batch, dx=dx, family=family, gap=gap)


def several(family, orthogonal, seed=0, gap=None, norm=2.0):
    coherence = 0.0 if orthogonal else 0.6
    promise = Promise(n=4, d=3, min_gap=GAP, max_norm=norm, queries=3, max_coherence=coherence)
    return draw_queries(promise, generator(seed), batch=BATCH, dx=5, family=family, orthogonal=orthogonal, gap=gap)


def gaps(rewards):
    return rewards.sort(dim=-1).values.diff(dim=-1)


def predictions(contexts, start):
    return torch.stack([w @ x for w, x in zip(start, contexts.query, strict=True)])


def same(found, value, **tolerance):
    torch.testing.assert_close(found, torch.full_like(found, value), **tolerance)


def apart(y):
    """Distances of all pairs, [batch, n, n]."""
    return (y[:, :, None] - y[:, None]).norm(dim=-1)


def check_rewards(rewards, least=GAP, most=1.0):
    assert rewards.abs().max() <= most
    assert gaps(rewards).min() >= least - 4 * torch.finfo(torch.float64).eps * most


def check_lengths(queries, norm):
    """From 0.5 to 2, or, where that is less than allowed, in units of half the norm."""
    lengths = queries.norm(dim=-1) / min(1.0, norm / 2)
    assert 0.5 <= lengths.min() < 0.7
    assert 1.8 < lengths.max() <= 2.0


@every
@pytest.mark.parametrize(("n", "d", "dx", "norm"), [(2, 1, 1, 1.0), (3, 4, 2, 0.1), (5, 2, 3, 3.0), (8, 3, 5, 10.0)])
def test_a_family_keeps_the_promise(family, n, d, dx, norm):
    for seed, most in itertools.product(range(2), (0.5, 4.0)):
        contexts, start = drawn(family, n, d, dx, norm, seed, max_reward=most)
        assert [tuple(part.shape) for part in (*vars(contexts).values(), start)] == [
            (BATCH, dx), (BATCH, n, d), (BATCH, n), (BATCH, d, dx)
        ]  # fmt: skip
        assert {start.dtype, contexts.query.dtype, contexts.responses.dtype} == {torch.float64}
        check_rewards(contexts.rewards, most=most)
        check_lengths(contexts.query, norm)
        longest = norm * (1 + 1e-15)
        assert contexts.responses.norm(dim=-1).max() <= longest
        assert 0.04 * norm < predictions(contexts, start).norm(dim=-1).min()
        assert predictions(contexts, start).norm(dim=-1).max() <= 0.9 * longest
        Promise(n, d, min_gap=GAP, max_norm=norm, max_reward=most).check(contexts, start)
        for tensor in (contexts.query, contexts.responses, start) if d > 1 else ():
            assert len(tensor.flatten(1).unique(dim=0)) == BATCH


@pytest.mark.parametrize("n", [2, 3, 5, 11])
def test_rewards_that_just_fit_into_their_range_are_drawn(n):
    """A promise may have no room to spare: N rewards, the least gap apart, from −R to R."""
    promise = Promise(n, 2, min_gap=2 / (n - 1))
    for family in FAMILIES:
        promise.check(*draw(promise, generator(), batch=BATCH, dx=2, family=family))


@every
def test_a_gap_can_be_widened(family):
    contexts, _ = drawn(family, gap=0.1)
    check_rewards(contexts.rewards, least=0.1)
    if family != "random":
        same(gaps(contexts.rewards).amin(-1), 0.1)


@pytest.mark.parametrize("make", [drawn, lambda family, seed: several(family, orthogonal=False, seed=seed)])
def test_the_same_seed_is_the_same_context_and_another_another(make):
    first, again, other = (
        (*vars(contexts).values(), start) for contexts, start in (make("one gap", seed=s) for s in (5, 5, 6))
    )
    for one, same_one, another in zip(first, again, other, strict=True):
        assert torch.equal(one, same_one)
        assert not torch.equal(one, another)


def test_random_rewards_are_anywhere():
    found = drawn("random", batch=400)[0].rewards
    assert found.min() < -0.99
    assert found.max() > 0.99
    assert found.mean().abs() < 0.05
    assert gaps(found).std() > 0.1


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("random", "one gap")])
def test_every_gap_is_the_least(family):
    contexts, _ = drawn(family)
    same(gaps(contexts.rewards), GAP, rtol=1e-11, atol=1e-15)
    lowest = contexts.rewards.amin(-1)
    assert lowest.min() < -0.9
    assert lowest.max() > 0.9 - 5 * GAP


def test_one_gap_is_the_least_and_the_others_share_what_is_left():
    for n in (2, 3, 6):
        found = gaps(drawn("one gap", n=n)[0].rewards).sort(dim=-1).values
        same(found[:, 0], GAP, rtol=1e-11, atol=1e-15)
        same(found[:, 1:], (2 - GAP) / max(n - 2, 1), rtol=1e-11, atol=1e-15)


def test_ranked_families_are_given_in_order_and_the_others_evenly_shuffled():
    for family in FAMILIES:
        steps = drawn(family)[0].rewards.diff(dim=-1)
        rising, falling = (steps > 0).all(-1).double().mean(), (steps < 0).all(-1).double().mean()
        assert (falling == 1) == (family == "best first"), family
        assert (rising == 1) == (family == "worst first"), family
        assert rising + falling < 0.1 or family in ("best first", "worst first"), family
    counts = torch.bincount(drawn("tight", n=4, batch=2000)[0].rewards.argmax(-1), minlength=4).double()
    assert ((counts - 500).abs() < 5 * (2000 * 0.25 * 0.75) ** 0.5).all()


def test_ordinary_responses_are_normal_up_to_the_promised_length_and_long_ones_as_long():
    for family in ORDINARY:
        free = drawn(family, norm=100.0, batch=400)[0].responses
        assert free.mean().abs() < 0.05
        assert free.std() == pytest.approx(1, abs=0.05)
        cut = drawn(family, norm=1.0, batch=400)[0].responses.norm(dim=-1)
        assert 0.5 < (cut > 1 - 1e-9).double().mean() < 0.95
    for norm in (0.1, 10.0):
        lengths = drawn("long", norm=norm)[0].responses.norm(dim=-1)
        same(lengths, norm, rtol=1e-11, atol=0)
        assert lengths.max() <= norm


@pytest.mark.parametrize("norm", [0.1, 1.0, 100.0])
def test_twins_differ_by_a_millionth_of_their_length(norm):
    """Whatever length was promised: twins that are cut to it must not become one response. Nor in one dimension."""
    for n, d in ((2, 1), (2, 3), (5, 3), (6, 3)):
        y = drawn("twins", n=n, d=d, norm=norm, batch=200)[0].responses
        found = apart(y) / y.norm(dim=-1)[:, None]
        pairs = torch.cat([found[:, one, one + 1] for one in range(0, n - 1, 2)])
        assert (pairs > 1e-9).double().mean() > 0.95
        assert pairs.max() < 1e-4
        assert d == 1 or 1e-7 < pairs.median() < 1e-5
        assert n == 2 or found[:, 0, 2:].median() > 0.1


@pytest.mark.parametrize("norm", [0.1, 10.0])
def test_a_cluster_is_narrow_and_far_from_the_prediction(norm):
    contexts, start = drawn("cluster", norm=norm, batch=200)
    spread = apart(contexts.responses).amax((1, 2))
    assert spread.max() < 1e-3 * norm * 2 * (3**0.5 + 4)
    assert spread.min() > 1e-4 * norm
    away = (contexts.responses - predictions(contexts, start)[:, None]).norm(dim=-1).amin(-1)
    assert (away > 10 * spread).double().mean() > 0.95


def test_responses_may_all_be_one_or_all_be_what_is_predicted():
    y = drawn("same", norm=10.0)[0].responses
    assert apart(y).amax() == 0
    assert len(y[:, 0].unique(dim=0)) == BATCH
    contexts, start = drawn("at the prediction", norm=10.0)
    away = (contexts.responses - predictions(contexts, start)[:, None]).norm(dim=-1)
    same(away, 1e-5, rtol=1e-6, atol=0)


def check_line(y, f):
    """Responses on both sides of a line through f, [..., n, d] and [..., 1, d]."""
    unit = torch.nn.functional.normalize(f, dim=-1)
    along = (y * unit).sum(-1, keepdim=True)
    assert (y - along * unit).norm(dim=-1).max() < 1e-14 * y.norm(dim=-1).max().clamp_min(1)
    assert (along > 0).any()
    assert (along < 0).any()


def test_a_line_goes_through_the_prediction_of_its_own_query():
    contexts, start = drawn("line", norm=10.0)
    check_line(contexts.responses, predictions(contexts, start)[:, None])
    contexts, start = several("line", orthogonal=False)
    check_line(contexts.responses, (contexts.queries @ start.mT)[..., None, :])


def test_only_where_it_is_said_the_same_response_comes_again():
    for family in FAMILIES:
        y = drawn(family, n=5, norm=100.0)[0].responses
        distances = apart(y)[:, ~torch.eye(5, dtype=torch.bool)]
        assert (distances == 0).any() == (family in ("repeated", "same")), family
    for n in (2, 5, 6):
        y, half = drawn("repeated", n=n)[0].responses, (n + 1) // 2
        assert torch.equal(y[:, half:], y[:, : n - half])
        assert (apart(y[:, :half])[:, ~torch.eye(half, dtype=torch.bool)] > 1e-6).all()


@every
@both
def test_several_queries_keep_the_promise_and_have_rankings_of_their_own(family, orthogonal):
    for norm in (0.1, 10.0):
        contexts, start = several(family, orthogonal, norm=norm)
        assert contexts.queries.shape == contexts.test.shape == (BATCH, 3, 5)
        assert contexts.responses.shape == (BATCH, 3, 4, 3)
        check_rewards(contexts.rewards)
        asked = torch.cat([contexts.queries, contexts.test], dim=1)
        for vectors in (asked, contexts.responses, asked @ start.mT):
            assert vectors.norm(dim=-1).max() <= norm * (1 + 1e-15)
        check_lengths(contexts.queries, norm)
        assert len(contexts.responses.flatten(0, 1).flatten(1).unique(dim=0)) == 3 * BATCH
        orders = contexts.rewards.argsort(dim=-1)
        alike = (orders[:, :1] == orders[:, 1:]).all(-1).double().mean()
        assert alike < 0.2 or family in ("best first", "worst first")


@every
@both
def test_queries_are_orthogonal_and_asked_again_or_lean_on_the_first_and_new_ones_are_asked(family, orthogonal):
    contexts, _ = several(family, orthogonal)
    unit = torch.nn.functional.normalize(contexts.queries, dim=-1)
    cosines = unit @ unit.mT
    same(cosines[:, 0, 1:], 0.0 if orthogonal else 0.6)
    same(cosines[:, 1, 2], 0.0 if orthogonal else 0.36)
    assert torch.equal(contexts.test, contexts.queries) == orthogonal
    if not orthogonal:
        same(contexts.test.norm(dim=-1), 1.0)
        assert (contexts.test[:, :, None] - contexts.queries[:, None]).norm(dim=-1).min() > 0.05
    same(gaps(several("tight", orthogonal, gap=0.1)[0].rewards), 0.1)


@both
def test_one_query_has_nothing_to_lean_on(orthogonal):
    promise = Promise(3, 1, max_norm=2.0, queries=1, max_coherence=0.5)
    contexts, start = draw_queries(promise, generator(), batch=BATCH, dx=1, family="random", orthogonal=orthogonal)
    assert contexts.queries.shape == (BATCH, 1, 1)
    promise.check(contexts, start)
    assert torch.equal(contexts.test, contexts.queries) == orthogonal
