"""T12 and T13 against an oracle in plain numpy: what a verdict does to the odds, and what one head cannot do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.construct import Promise, bradley_terry, plackett_luce, verdicts
from secondlook.construct.bounds import bound
from secondlook.construct.prove import noisy, one_head, worth
from secondlook.construct.prove.draw import FAMILIES
from secondlook.construct.prove.looks import Looks
from secondlook.construct.reference import reference
from secondlook.objective import Contexts, ErringCritic, JudgedContexts, accepted, margin_bound, mean_bound


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def oracle(x, y, v, w, eta):
    """ΔWx after every round: descent on W, the accepted against the model's own average; in plain numpy."""
    w = w.copy()
    at = w @ x
    for verdict in v.T:
        best = verdict == verdict.max()
        own = softmax(np.array([-((w @ x - each) ** 2).sum() for each in y]))
        w = w + 2 * eta * np.outer(y[best].mean(0) - own @ y, x)
    return w @ x - at


def given_verdicts(n, rounds, kind, seed, batch=6, family="random", **fields):
    promise = Promise(
        n, 3, **{"eta": 0.05, "steps": rounds, "min_gap": min(1.0, 2 / (n - 1)), "max_norm": 2.0} | fields
    )
    return promise, *worth.judged(promise, torch.Generator().manual_seed(seed), batch, family, kind)


# (a), (e)


@pytest.mark.parametrize("kind", worth.KINDS)
@pytest.mark.parametrize(("n", "rounds"), [(2, 1), (2, 7), (5, 3)])
def test_every_round_is_a_step_towards_the_accepted(n, rounds, kind):
    promise, contexts, start = given_verdicts(n, rounds, kind, seed=n)
    found = verdicts.build(promise).step(contexts, start)
    parts = zip(contexts.query, contexts.responses, contexts.verdicts, start, found, strict=True)
    for x, y, v, w, step in parts:
        expected = oracle(x.numpy(), y.numpy(), v.numpy(), w.numpy(), promise.eta)
        np.testing.assert_allclose(step.numpy(), np.tile(expected, (n, 1)), rtol=0, atol=1e-13)


def test_of_one_round_the_weights_are_those_of_t2_and_equal_verdicts_say_neither():
    promise = Promise(2, 3, min_gap=1.0)
    ours, theirs = verdicts.build(promise), bradley_terry.build(promise)
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    assert accepted(torch.tensor([[1.0, 0, 1], [0, 0, 0]])).tolist() == [[0.5, 0, 0.5], pytest.approx([1 / 3] * 3)]
    promise, contexts, start = given_verdicts(2, 1, "all accepted", 0)
    undecided = verdicts.build(promise).step(contexts, start)
    assert undecided.norm(dim=-1).min() > 1e-4  # towards indifference: not where it is
    with pytest.raises(ValueError, match="0 apart"):
        bradley_terry.build(promise).step(contexts.round(0), start)


def test_what_was_not_promised_is_refused():
    promise, contexts, start = given_verdicts(2, 3, "random", 0)
    construction = verdicts.build(promise)
    for change, message in (
        (contexts.verdicts[..., :2], "span 2 rounds, this construction was built for 3"),
        (0.7 * contexts.verdicts, "0.7 apart"),
        (3 * contexts.verdicts, "a reward is 3"),
    ):
        with pytest.raises(ValueError, match=message):
            construction.embed(replace(contexts, verdicts=change), start)


def check_bound(n, rounds, kind, family, seed, dtype, sharpness, norm):
    """No error above its bound; where truncation dominates, no bound above 100 times the error."""
    eta = 0.5 / (4 * norm**2 * min(2.0, norm) ** 2)
    fields = {"dtype": dtype, "sharpness": sharpness, "max_norm": norm, "eta": eta}
    promise, contexts, start = given_verdicts(n, rounds, kind, seed, batch=20, family=family, **fields)
    construction = verdicts.build(promise)
    error = (construction.step(contexts, start).double() - reference(construction, contexts, start).step).norm(dim=-1)
    allowed = bound(construction, contexts, start)
    assert error.isfinite().all()
    assert (error <= allowed.total).all(), (promise, kind, family)
    worst = int(error.argmax())
    if allowed.truncation.flatten()[worst] > 10 * allowed.rounding.flatten()[worst] and rounds == 1:
        assert allowed.total.flatten()[worst] <= 100 * error.flatten()[worst], (promise, kind, family)


@pytest.mark.parametrize("contexts", [400, pytest.param(10_000, marks=pytest.mark.soak)])
def test_no_error_is_above_its_bound(contexts):
    given_ = given(
        n=st.integers(2, 9),
        rounds=st.integers(1, 6),
        kind=st.sampled_from(worth.KINDS),
        family=st.sampled_from(sorted(FAMILIES)),
        seed=st.integers(0, 2**32),
        dtype=st.sampled_from([torch.float64, torch.float32]),
        sharpness=st.none() | st.floats(1.0, 30.0),
        norm=st.sampled_from([0.1, 1.0, 10.0]),
    )
    settings(deadline=None, max_examples=contexts // 20)(given_(check_bound))()


# (b), (c), (d): rounds of one scalar, beside forward passes


def sigma(delta):
    return 1 / (1 + np.exp(-delta))


def test_a_look_helps_iff_more_than_half_of_the_alarms_are_true():
    rng = np.random.default_rng(0)
    for _ in range(300):
        a1, a0, p, c = *rng.uniform(0.01, 0.99, 3), 1e-3
        critic, delta = ErringCritic(a1, a0), math.log(p / (1 - p))
        ways = [(p * a1, 1), (p * (1 - a1), 0), ((1 - p) * a0, 1), ((1 - p) * (1 - a0), 0)]
        assert sum(share * (u - p) for share, u in ways) == pytest.approx(float(critic.drift(p)), abs=1e-15)
        gain = sum(share * sigma(delta + c * (u - p)) for share, u in ways) - p
        if abs(critic.drift(p)) > 0.01:
            assert (gain > 0) == (critic.precision(p) > 0.5) == (critic.drift(p) > 0)
        assert float(ErringCritic(a1, a1).drift(p)) == pytest.approx(a1 - p)
    assert math.isnan(ErringCritic(1.0, 0.0).precision(0.3))
    assert ErringCritic(1.0, 0.0).limit is None
    with pytest.raises(ValueError, match=r"keeps is 1\.5; give a probability"):
        ErringCritic(1.5, 0.5)


@pytest.mark.parametrize("c", [0.05, 1.0, 30.0])
def test_the_limit_is_upp_and_the_mean_field_s_rate_is_its_slope(c):
    critic = ErringCritic(0.9, 0.3)
    p = critic.limit
    assert p == pytest.approx(0.3 / (1 - 0.9 + 0.3))
    share = 0.2
    for _ in range(200):  # the recursion of two rates
        share = share * critic.keeps + (1 - share) * critic.alarms
    assert share == pytest.approx(p)
    delta, h = math.log(p / (1 - p)), 1e-6
    field = [d + c * float(critic.drift(sigma(d))) for d in (delta - h, delta + h)]
    assert (field[1] - field[0]) / (2 * h) == pytest.approx(critic.rate(c), abs=1e-8)


@pytest.mark.parametrize("rounds", [500, pytest.param(100_000, marks=pytest.mark.soak)])
def test_forward_passes_follow_a_scalar_and_both_stay_in_the_bound_under_any_verdicts(rounds):
    """The scalar and the passes are given the same verdicts, chosen on the passes' margins."""
    rng = np.random.default_rng(1)
    names = [name for name in ("random", "greedy", "constant", "bursts", "real") for _ in range(8)]
    c, start = 10 ** rng.uniform(-2, 2, len(names)), rng.normal(0, 5, len(names))
    looks = Looks(c.tolist(), start.tolist())
    begun = looks.margin.numpy().copy()
    total_p, total_u, largest = np.zeros(len(names)), np.zeros(len(names)), 0.0
    burst = rng.integers(1, 50)
    for round_ in range(rounds):
        delta = looks.margin.numpy().copy()
        chosen = {
            "random": rng.integers(0, 2, len(names)),
            "greedy": delta > 0,
            "constant": np.ones(len(names)),
            "bursts": np.full(len(names), (round_ // burst) % 2),
            "real": rng.integers(0, 3, len(names)) / 2,
        }
        u = np.array([chosen[name][at] for at, name in enumerate(names)], dtype=float)
        total_p, total_u = total_p + sigma(delta), total_u + u
        looks.look(torch.from_numpy(u))
        made, read = looks.rounding()
        off = np.abs(looks.margin.numpy() - (delta + c * (u - sigma(delta))))
        largest = max(largest, float((off / (made + (2 + c) * read + c * looks.leak)).max()))
    assert 1e-4 < largest <= 1
    made, read = looks.rounding()
    gap, blur = np.abs(total_p - total_u) / rounds, made / c + looks.leak + read
    assert (gap <= mean_bound(begun, c, rounds) + blur).all()
    assert (
        np.abs(looks.margin.numpy()) <= margin_bound(begun, c, rounds) + rounds * (made + c * looks.leak) + read
    ).all()
    exact = np.abs(looks.margin.numpy() - begun) / (c * rounds)
    np.testing.assert_allclose(gap, exact, rtol=1e-6, atol=1e-12)


def test_the_bound_of_c_is_not_loose_by_more_than_a_constant():
    """A verdict that never changes drives δ as log(ct)."""
    c, rounds = 1.0, 20_000
    delta = 0.0
    for _ in range(rounds):
        delta += c * (1 - sigma(delta))
    assert float(margin_bound(0.0, c, rounds)) - delta < 1.0
    assert float(margin_bound(3.0, c, 0)) == pytest.approx(3.0)


@pytest.mark.parametrize(("keeps", "alarms", "c"), [(0.9, 0.4, 0.5), (0.6, 0.9, 60.0), (1.0, 0.2, 5.0)])
def test_by_chance_the_mean_tends_to_upp_however_large_the_step(keeps, alarms, c):
    critic = ErringCritic(keeps, alarms)
    mean, path = worth.sample(Looks([c] * 64, [0.0] * 64), (critic,) * 64, 1500, seed=3)
    assert len(path) == 1500
    assert abs(mean.mean() - critic.limit) < 0.02
    if c == 60.0:
        assert critic.rate(c) < -1  # the mean field oscillates, the mean does not


# Rows that must fail


@pytest.mark.parametrize("seed", [0, 1])
def test_every_row_passes(seed):
    rows = worth.prove_verdicts(seed)
    assert all(row.passed and row.result == "T12" for row in rows)
    assert {row.construction[:3] for row in rows} == {"ver", "(a)", "(b)", "(c)", "(d)", "(e)", "(f)"}


@pytest.mark.parametrize(("slip", "failing"), [(1.01, "(a)(b)(d)"), (-1.0, "(a)(b)(c)(d)")])
def test_a_layer_that_moves_too_far_or_the_wrong_way_fails(monkeypatch, slip, failing):
    build = verdicts.build

    def wrong(promise):
        built = build(promise)
        return replace(built, weights=built.weights | {"read_out.weight": slip * built.weights["read_out.weight"]})

    monkeypatch.setattr(verdicts, "build", wrong)
    monkeypatch.setattr(worth, "ROUNDS", 300)
    rows = [row for row in worth.prove_verdicts() if row.result == "T12"]
    failed = {row.construction[:3] for row in rows if not row.passed}
    assert {"(a)", "(b)", "ver"} <= failed
    assert slip > 0 or "(c)" in failed


def test_a_critic_of_other_rates_has_another_limit(monkeypatch):
    monkeypatch.setattr(worth, "CRITICS", (ErringCritic(0.9, 0.9),) * 2)
    monkeypatch.setattr(ErringCritic, "limit", property(lambda self: 0.5))
    assert any(not row.passed for row in worth._chance(0))


# (f)


def test_the_expected_step_of_a_noisy_ranking_and_where_it_vanishes():
    """Three responses, six rankings: by chance as by counting, and a point where autograd's slope is nothing."""
    checks = noisy.prove_noisy(0)
    assert all(row.passed for row in checks)
    assert len(checks) == 2 * len(noisy.NOISES)
    rng = np.random.default_rng(0)
    y, f, q = rng.normal(size=(3, 2)), rng.normal(size=2), 0.4

    def step(order):
        total = np.zeros(2)
        for k in range(2):
            rest = y[order[k:]]
            total += rest[0] - softmax(-((f - rest) ** 2).sum(1)) @ rest
        return total

    shown = [rng.permutation(3) if rng.random() < q else np.array([2, 0, 1]) for _ in range(20_000)]
    mean = np.mean([step(order) for order in shown], axis=0)
    contexts = Contexts(*(torch.from_numpy(part)[None] for part in (np.ones(1), y, np.array([2.0, 1, 3]))))
    slope = noisy.slope(torch.from_numpy(f)[None], contexts, q)[0].numpy()
    np.testing.assert_allclose(-slope / 2, mean, atol=0.03)


def test_of_two_answers_the_noisy_optimum_is_label_smoothing():
    y = torch.tensor([[[1.0, 0.0], [-1.0, 0.5]]]).double()
    contexts = Contexts(torch.ones(1, 1).double(), y, torch.tensor([[1.0, 0.0]]).double())
    q = 0.3
    apart = y[0, 0] - y[0, 1]
    middle, delta = y[0].mean(0), math.log((1 - q / 2) / (q / 2))
    f = middle + delta * apart / (2 * apart @ apart)
    assert noisy.slope(f[None], contexts, q).norm() < 1e-12


# T13


def test_no_layer_of_one_head_is_better_than_half_of_the_largest_step_and_two_heads_are_exact():
    rows = one_head.prove_two_heads(0)
    assert all(row.passed and row.result == "T13" for row in rows)
    assert 0.5 < rows[0].error <= rows[0].bound
    layer, error = one_head.fit(one_head.circle(torch.Generator().manual_seed(5), 64), torch.Generator().manual_seed(5))
    assert 0.3 < error < 0.6
    assert layer.worst() >= 0.5


def test_read_at_the_preferred_token_alone_one_head_suffices():
    """What T13 needs every token for: −2η·average from the head, and 2η·y from the token itself."""
    contexts = one_head.circle(torch.Generator().manual_seed(0), 50)
    slots, eta = one_head._SLOTS, one_head.ETA
    match, value, read = (torch.zeros(rows, one_head._INPUTS).double() for rows in (one_head._INPUTS, 2, 2))
    (one,), (square,) = slots.where("one"), slots.where("square")
    match[one, square] = -1.0
    for row, at in enumerate(slots.where("pull")):
        value[row, at], read[row, at] = -2 * eta, 2 * eta
    off = one_head.Layer(match, value, read)(one_head.tokens(contexts)) - one_head.step(contexts)[:, None]
    assert off[:, 0].norm(dim=-1).max() < 1e-12
    assert off[:, 1].norm(dim=-1).max() > eta


def test_the_error_that_the_proof_finds_is_the_transformer_s():
    layer = one_head.Layer.drawn(torch.Generator().manual_seed(2), 1.0)
    contexts = one_head.circle(torch.Generator().manual_seed(3), 9)
    tokens = one_head.tokens(contexts)
    torch.testing.assert_close(layer.transformer()(tokens), layer(tokens))


def test_t3_still_refuses_ties():
    promise, contexts, start = given_verdicts(3, 1, "all accepted", 0)
    with pytest.raises(ValueError, match="break ties"):
        plackett_luce.build(promise).embed(contexts.round(0), start)


def test_judged_contexts_are_checked():
    with pytest.raises(ValueError, match="verdicts has shape"):
        JudgedContexts(torch.ones(2, 3), torch.ones(2, 4, 3), torch.ones(2, 4))
