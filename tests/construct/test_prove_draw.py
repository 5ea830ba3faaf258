"""Every family of contexts keeps the promise, and is what its name says."""

import itertools

import pytest
import torch

from secondlook.construct import Promise
from secondlook.construct.prove.draw import FAMILIES, draw, draw_queries

BATCH, GAP = 40, 1e-3
SHAPES = [(2, 1, 1, 1.0), (3, 4, 2, 0.1), (5, 2, 3, 3.0), (8, 3, 5, 10.0)]
shapes = pytest.mark.parametrize(("n", "d", "dx", "norm"), SHAPES)
every = pytest.mark.parametrize("family", FAMILIES)
EVEN = [family for family in FAMILIES if family not in ("random", "one gap")]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(family, n=6, d=3, dx=2, norm=2.0, seed=0, gap=None, batch=BATCH, **fields):
    promise = Promise(n, d, min_gap=GAP, max_norm=norm, **fields)
    return draw(promise, generator(seed), batch=batch, dx=dx, family=family, gap=gap)


def gaps(rewards):
    return rewards.sort(dim=-1).values.diff(dim=-1)


def predictions(contexts, start):
    return torch.stack([w @ x for w, x in zip(start, contexts.query, strict=True)])


def same(found, value, **tolerance):
    torch.testing.assert_close(found, torch.full_like(found, value), **tolerance)


def check_rewards(rewards, least=GAP, most=1.0):
    assert rewards.abs().max() <= most
    assert gaps(rewards).min() >= least - 4 * torch.finfo(torch.float64).eps * most


@every
@shapes
def test_a_family_keeps_the_promise(family, n, d, dx, norm):
    for seed, most in itertools.product(range(3), (0.5, 1.0, 4.0)):
        contexts, start = drawn(family, n, d, dx, norm, seed, max_reward=most)
        assert contexts.query.shape == (BATCH, dx)
        assert contexts.responses.shape == (BATCH, n, d)
        assert contexts.rewards.shape == (BATCH, n)
        assert start.shape == (BATCH, d, dx)
        assert {start.dtype, contexts.query.dtype, contexts.responses.dtype} == {torch.float64}
        check_rewards(contexts.rewards, most=most)
        longest = norm * (1 + 1e-15)
        assert contexts.query.norm(dim=-1).max() <= longest
        assert contexts.responses.norm(dim=-1).max() <= longest
        assert predictions(contexts, start).norm(dim=-1).max() <= 0.9 * longest
        assert predictions(contexts, start).norm(dim=-1).min() > 0.04 * norm
        Promise(n, d, min_gap=GAP, max_norm=norm, max_reward=most).check(contexts, start)


@pytest.mark.parametrize("n", [2, 3, 5, 11])
def test_rewards_that_just_fit_into_their_range_are_drawn(n):
    """A promise may have no room to spare: N rewards, the least gap apart, from −R to R."""
    promise = Promise(n, 2, min_gap=2 / (n - 1))
    for family in FAMILIES:
        promise.check(*draw(promise, generator(), batch=BATCH, dx=2, family=family))


@every
def test_queries_are_of_many_lengths(family):
    for norm in (0.1, 2.0, 10.0):
        lengths = drawn(family, norm=norm)[0].query.norm(dim=-1) / min(1.0, norm / 2)
        assert 0.5 <= lengths.min() < 0.7
        assert 1.8 < lengths.max() <= 2.0


@every
def test_a_gap_can_be_widened(family):
    contexts, _ = drawn(family, gap=0.1)
    check_rewards(contexts.rewards, least=0.1)
    if family != "random":
        same(gaps(contexts.rewards).amin(-1), 0.1)


@every
def test_the_same_seed_is_the_same_context_and_another_another(family):
    first, again, other = (drawn(family, seed=seed) for seed in (5, 5, 6))
    for name in ("query", "responses", "rewards"):
        assert torch.equal(getattr(first[0], name), getattr(again[0], name))
        assert not torch.equal(getattr(first[0], name), getattr(other[0], name))
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@every
def test_contexts_of_a_batch_are_different(family):
    contexts, start = drawn(family)
    for tensor in (contexts.query, contexts.responses, start):
        assert len(tensor.flatten(1).unique(dim=0)) == BATCH
    assert len(contexts.rewards.unique(dim=0)) > BATCH / 2


def test_random_rewards_are_anywhere():
    found = drawn("random", batch=400)[0].rewards
    assert found.min() < -0.99
    assert found.max() > 0.99
    assert found.mean().abs() < 0.05
    assert gaps(found).std() > 0.1


@pytest.mark.parametrize("family", EVEN)
def test_every_gap_is_the_least(family):
    contexts, _ = drawn(family)
    same(gaps(contexts.rewards), GAP, rtol=1e-11, atol=1e-15)
    lowest = contexts.rewards.amin(-1)
    assert lowest.min() < -0.9
    assert lowest.max() > 0.9 - 5 * GAP


def test_one_gap_is_the_least_and_the_others_share_what_is_left():
    for n in (2, 3, 6):
        contexts, _ = drawn("one gap", n=n)
        found = gaps(contexts.rewards).sort(dim=-1).values
        assert found.shape == (BATCH, n - 1)
        same(found[:, 0], GAP, rtol=1e-11, atol=1e-15)
        same(found[:, 1:], (2 - GAP) / max(n - 2, 1), rtol=1e-11, atol=1e-15)


def test_ranked_families_are_given_in_order_and_the_others_are_not():
    for family in FAMILIES:
        steps = drawn(family)[0].rewards.diff(dim=-1)
        rising, falling = (steps > 0).all(-1).double().mean(), (steps < 0).all(-1).double().mean()
        assert (falling == 1) == (family == "best first"), family
        assert (rising == 1) == (family == "worst first"), family
        if family not in ("best first", "worst first"):
            assert rising + falling < 0.1, family


def test_shuffled_rewards_are_shuffled_evenly():
    best = drawn("tight", n=4, batch=2000)[0].rewards.argmax(-1)
    counts = torch.bincount(best, minlength=4).double()
    assert ((counts - 500).abs() < 5 * (2000 * 0.25 * 0.75) ** 0.5).all()


def test_ordinary_responses_are_normal_up_to_the_promised_length():
    for family in ("random", "tight", "best first", "worst first", "one gap"):
        free = drawn(family, norm=100.0, batch=400)[0].responses
        assert free.mean().abs() < 0.05
        assert free.std() == pytest.approx(1, abs=0.05)
        cut = drawn(family, norm=1.0, batch=400)[0].responses.norm(dim=-1)
        assert 0.5 < (cut > 1 - 1e-9).double().mean() < 0.95


def test_long_responses_are_as_long_as_promised():
    for norm in (0.1, 10.0):
        lengths = drawn("long", norm=norm)[0].responses.norm(dim=-1)
        same(lengths, norm, rtol=1e-11, atol=0)
        assert lengths.max() <= norm


def apart(y):
    """Distances of all pairs, [batch, n, n]."""
    return (y[:, :, None] - y[:, None]).norm(dim=-1)


@pytest.mark.parametrize("norm", [0.1, 1.0, 10.0, 100.0])
def test_twins_differ_by_a_millionth_of_their_length(norm):
    """Whatever length was promised: twins that are cut to it must not become one response."""
    for n in (2, 5, 6):
        y = drawn("twins", n=n, norm=norm, batch=200)[0].responses
        found = apart(y) / y.norm(dim=-1)[:, None]
        pairs = torch.cat([found[:, one, one + 1] for one in range(0, n - 1, 2)])
        assert 1e-7 < pairs.median() < 1e-5
        assert pairs.max() < 1e-4
        assert (pairs > 1e-9).double().mean() > 0.95
        others = torch.stack([found[:, 0, j] for j in range(2, n)], dim=-1) if n > 2 else found.new_ones(1)
        assert others.median() > 0.1


def test_twins_that_are_numbers_differ_too():
    """Width 1: there is no direction but there and back in which to tell them apart."""
    y = drawn("twins", n=2, d=1, norm=10.0, batch=200)[0].responses
    assert ((y[:, 0] - y[:, 1]).norm(dim=-1) > 1e-9 * y[:, 0].norm(dim=-1)).double().mean() > 0.95


@pytest.mark.parametrize("norm", [0.1, 10.0])
def test_a_cluster_is_narrow_and_far_from_the_prediction(norm):
    d = 3
    contexts, start = drawn("cluster", norm=norm, d=d, batch=200)
    spread = apart(contexts.responses).amax((1, 2))
    assert spread.max() < 1e-3 * norm * 2 * (d**0.5 + 4)
    assert spread.min() > 1e-4 * norm
    away = (contexts.responses - predictions(contexts, start)[:, None]).norm(dim=-1).amin(-1)
    assert (away > 10 * spread).double().mean() > 0.95


def test_a_line_goes_through_the_prediction():
    for norm in (0.1, 10.0):
        contexts, start = drawn("line", norm=norm)
        f = predictions(contexts, start)[:, None]
        unit = f / f.norm(dim=-1, keepdim=True)
        y = contexts.responses
        off = y - (y * unit).sum(-1, keepdim=True) * unit
        assert off.norm(dim=-1).max() < 1e-14 * norm
        assert ((y * unit).sum(-1) > 0).any()
        assert ((y * unit).sum(-1) < 0).any()
        assert apart(y).amax((1, 2)).min() > 0


def test_the_same_response_comes_again():
    for n in (2, 5, 6):
        y = drawn("repeated", n=n)[0].responses
        half = (n + 1) // 2
        for j in range(half, n):
            assert torch.equal(y[:, j], y[:, j - half])
        assert (apart(y[:, :half])[:, ~torch.eye(half, dtype=torch.bool)] > 1e-6).all()


def test_no_other_family_repeats_a_response():
    for family in FAMILIES:
        distances = apart(drawn(family, norm=100.0)[0].responses)[:, ~torch.eye(6, dtype=torch.bool)]
        assert (distances == 0).any() == (family == "repeated"), family


def several(family, orthogonal, seed=0, gap=None, norm=2.0):
    coherence = 0.0 if orthogonal else 0.6
    promise = Promise(n=4, d=3, min_gap=GAP, max_norm=norm, queries=3, max_coherence=coherence)
    return draw_queries(promise, generator(seed), batch=BATCH, dx=5, family=family, orthogonal=orthogonal, gap=gap)


both = pytest.mark.parametrize("orthogonal", [True, False])


@every
@both
@pytest.mark.parametrize("norm", [0.1, 2.0, 10.0])
def test_several_queries_keep_the_promise(family, orthogonal, norm):
    contexts, start = several(family, orthogonal, norm=norm)
    assert contexts.queries.shape == contexts.test.shape == (BATCH, 3, 5)
    assert contexts.responses.shape == (BATCH, 3, 4, 3)
    check_rewards(contexts.rewards)
    asked = torch.cat([contexts.queries, contexts.test], dim=1)
    for vectors in (asked, contexts.responses, asked @ start.mT):
        assert vectors.norm(dim=-1).max() <= norm * (1 + 1e-15)
    lengths = contexts.queries.norm(dim=-1) / min(1.0, norm / 2)
    assert 0.5 <= lengths.min() < 0.7
    assert 1.8 < lengths.max() <= 2.0


@every
def test_orthogonal_queries_are_orthogonal_and_asked_again(family):
    contexts, _ = several(family, orthogonal=True)
    products = (contexts.queries @ contexts.queries.mT)[:, ~torch.eye(3, dtype=torch.bool)]
    assert products.abs().max() < 1e-14
    assert torch.equal(contexts.test, contexts.queries)


@every
def test_other_queries_lean_on_the_first_and_new_ones_are_asked(family):
    contexts, _ = several(family, orthogonal=False)
    unit = torch.nn.functional.normalize(contexts.queries, dim=-1)
    cosines = unit @ unit.mT
    same(cosines[:, 0, 1:], 0.6)
    same(cosines[:, 1, 2], 0.36)
    same(contexts.test.norm(dim=-1), 1.0)
    distance = (contexts.test[:, :, None] - contexts.queries[:, None]).norm(dim=-1)
    assert distance.min() > 0.05
    assert (contexts.test @ contexts.queries.mT).abs().max() > 0.5


@both
def test_every_query_has_rankings_of_its_own(orthogonal):
    contexts, _ = several("tight", orthogonal)
    same = contexts.rewards.argsort(dim=-1)[:, :1] == contexts.rewards.argsort(dim=-1)[:, 1:]
    assert same.all(-1).double().mean() < 0.2
    assert len(contexts.rewards.flatten(0, 1).unique(dim=0)) == 3 * BATCH
    assert len(contexts.responses.flatten(0, 1).flatten(1).unique(dim=0)) == 3 * BATCH


def test_a_line_goes_through_the_prediction_of_its_own_query():
    contexts, start = several("line", orthogonal=False)
    f = torch.nn.functional.normalize(contexts.queries @ start.mT, dim=-1)[..., None, :]
    y = contexts.responses
    assert (y - (y * f).sum(-1, keepdim=True) * f).norm(dim=-1).max() < 1e-14


@both
def test_a_gap_can_be_widened_for_several_queries(orthogonal):
    same(gaps(several("tight", orthogonal, gap=0.1)[0].rewards), 0.1)


@both
def test_the_same_seed_is_the_same_queries_and_another_others(orthogonal):
    first, again, other = (several("random", orthogonal, seed=seed) for seed in (5, 5, 6))
    for name in ("queries", "responses", "rewards", "test"):
        assert torch.equal(getattr(first[0], name), getattr(again[0], name))
        assert not torch.equal(getattr(first[0], name), getattr(other[0], name))
    assert torch.equal(first[1], again[1])


def test_one_query_has_nothing_to_lean_on():
    promise = Promise(3, 1, max_norm=2.0, queries=1, max_coherence=0.5)
    for orthogonal in (True, False):
        contexts, start = draw_queries(promise, generator(), batch=BATCH, dx=1, family="random", orthogonal=orthogonal)
        assert contexts.queries.shape == (BATCH, 1, 1)
        promise.check_norms(query=contexts.queries, prediction=contexts.test @ start.mT)
        assert torch.equal(contexts.test, contexts.queries) == orthogonal
