"""T1, T9, T10 and T11 pass, and would not if what they claim were wrong."""

import json
import math
from dataclasses import replace

import pytest
import torch
from term_by_term import plain_loss

from secondlook.construct import attention_only, causal, plackett_luce, sign
from secondlook.construct.prove import Grid, convexity, evidence, identities, parts, temperature
from secondlook.construct.prove.convexity import PAIRS, midpoint_excess, prove_convexity, separable_loss
from secondlook.construct.prove.identities import prove_shift, prove_sign
from secondlook.construct.prove.temperature import SHARPNESS, sweep, sweeps

NAMES = {"Plackett–Luce": plackett_luce, "causal": causal, "attention only": attention_only}
PRECISIONS = ("float64", "float32", "bfloat16")


# T1


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n", [2, 3, 32])
def test_a_step_is_a_shift(n, seed):
    row = prove_shift(n, seed)
    assert (row.result, row.n, row.steps, row.contexts) == ("T1", n, 1, 64)
    assert row.passed
    assert 0 < row.error <= row.bound < 1e-10


def test_the_shift_is_told_by_seed():
    assert prove_shift(3, 1) == prove_shift(3, 1)
    assert prove_shift(3, 1).error != prove_shift(3, 2).error


@pytest.mark.parametrize("factor", [-1.0, 0.5, 1 + 1e-6])
def test_a_step_is_no_shift_by_anything_else(monkeypatch, factor):
    """The responses, and with them what they are shifted by, are longer than the step on W."""
    loss = identities.prefix_plackett_luce
    monkeypatch.setattr(
        identities, "prefix_plackett_luce", lambda f, y, *rest, **named: loss(f, factor * y, *rest, **named)
    )
    row = prove_shift(3)
    assert not row.passed
    assert row.error > row.bound


def test_a_step_is_no_shift_where_distance_does_not_count(monkeypatch):
    loss = identities.prefix_plackett_luce
    monkeypatch.setattr(
        identities, "prefix_plackett_luce", lambda *given, **named: loss(*given, reward="cosine", **named)
    )
    assert not prove_shift(3).passed


# T11


@pytest.mark.parametrize("seed", [0, 1])
def test_the_printed_sign_rises_and_ours_falls(seed):
    printed, ours = prove_sign(seed)
    assert printed.construction.startswith("printed sign: loss rises")
    assert ours.construction.startswith("corrected sign: loss falls")
    for row in (printed, ours):
        assert row.passed
        assert row.result == "T11"
        assert row.error <= row.bound < 1e-10
        assert (row.blocks, row.heads, row.feedforward) == (1, 2, 0)


def test_each_sign_fails_in_the_place_of_the_other(monkeypatch):
    build = sign.build
    monkeypatch.setattr(sign, "build", lambda promise, printed: build(promise, printed=not printed))
    for row in prove_sign():
        assert not row.passed
        assert row.error == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("slip", [1.01, 1 + 1e-8])
def test_a_step_that_is_a_little_too_long_fails_though_the_loss_falls(monkeypatch, slip):
    build = sign.build
    monkeypatch.setattr(
        sign,
        "build",
        lambda promise, printed: replace(
            build(replace(promise, eta=slip * promise.eta), printed=printed), promise=promise
        ),
    )
    for row in prove_sign():
        assert not row.passed
        assert row.error == pytest.approx(slip - 1, rel=1e-3)


def test_a_loss_that_moves_the_wrong_way_fails(monkeypatch):
    loss = identities.prefix_plackett_luce
    monkeypatch.setattr(identities, "prefix_plackett_luce", lambda *given, **named: -loss(*given, **named))
    for row in prove_sign():
        assert row.error <= row.bound
        assert not row.passed


# T10


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_squared_reward_is_convex_and_the_cosine_is_not(seed):
    squared, cosine, separable = prove_convexity(seed)
    assert all(row.passed and row.result == "T10" for row in (squared, cosine, separable))
    assert squared.contexts == cosine.contexts == PAIRS
    assert separable.contexts == len(separable_loss(seed))
    assert 0 <= squared.error <= squared.bound < 1e-13
    assert cosine.error > cosine.bound == 0.01
    assert 0 <= separable.error <= separable.bound < 1e-6


def test_an_excess_is_that_of_a_loss_written_out(monkeypatch):
    """Two ends and what lies between them, the loss of the ranking added up one choice at a time."""
    calls, loss = [], convexity.prefix_plackett_luce

    def spy(prediction, responses, rewards, **named):
        calls.append((prediction, responses, rewards))
        return loss(prediction, responses, rewards, **named)

    monkeypatch.setattr(convexity, "prefix_plackett_luce", spy)
    excess = midpoint_excess("squared", 3)
    assert excess.shape == (PAIRS,)
    (first, y, r), (last, _, _), (middle, _, _) = calls
    torch.testing.assert_close(middle, (first + last) / 2)
    for pair in range(20):
        ends = [plain_loss(f[pair, 0], y[pair], r[pair]) for f in (first, last)]
        mean = sum(ends) / 2
        expected = (plain_loss(middle[pair, 0], y[pair], r[pair]) - mean) / (1 + mean)
        torch.testing.assert_close(excess[pair], expected, rtol=1e-9, atol=1e-12)
    assert (excess < -1e-3).double().mean() > 0.5
    assert first.norm(dim=-1).min() < 0.1
    assert first.norm(dim=-1).max() > 100


def test_a_loss_that_is_concave_is_no_convex_one(monkeypatch):
    loss = convexity.prefix_plackett_luce
    monkeypatch.setattr(convexity, "prefix_plackett_luce", lambda *given, **named: -0.1 * loss(*given, **named).tanh())
    squared, _, separable = prove_convexity()
    assert not squared.passed
    assert squared.error > 1e-3
    assert separable.passed


def test_each_reward_fails_in_the_place_of_the_other(monkeypatch):
    loss, other = convexity.prefix_plackett_luce, {"squared": "cosine", "cosine": "squared"}
    monkeypatch.setattr(
        convexity,
        "prefix_plackett_luce",
        lambda *given, reward="squared", **named: loss(*given, reward=other[reward], **named),
    )
    squared, cosine, _ = prove_convexity()
    assert not squared.passed
    assert squared.error > 0.01
    assert not cosine.passed
    assert cosine.error < 1e-12


def test_far_out_is_far(monkeypatch):
    """Nearer, or in the other direction, the loss of a separable ranking has not vanished."""
    assert separable_loss(0).shape[0] > 0.9 * PAIRS
    for far in (1.0, -convexity.FAR):
        monkeypatch.setattr(convexity, "FAR", far)
        row = prove_convexity()[2]
        assert not row.passed
        assert row.error > 0.1


# T9


@pytest.fixture(scope="module")
def found(one_thread):
    """All sweeps, by construction and precision."""
    return {(sweep.rows[0].construction, sweep.rows[0].dtype): sweep for sweep in sweeps()}


def test_every_construction_is_swept_in_every_precision(found):
    assert list(found) == [(name, dtype) for name in NAMES for dtype in PRECISIONS]
    for (name, dtype), one in found.items():
        assert [row.sharpness for row in one.rows] == list(SHARPNESS)
        assert {(row.result, row.construction, row.dtype, row.contexts) for row in one.rows} == {
            ("T9", name, dtype, 32)
        }
        heads = 2 if name == "attention only" else 3
        assert {(row.blocks, row.heads) for row in one.rows} == {(3, heads)}


def test_every_point_and_summary_passes(found):
    for one in found.values():
        assert all(row.passed and row.error <= row.bound for row in one.rows)
        assert one.summary().passed
        assert one.summary().sharpness is None
        assert one.summary().contexts == 32 * len(SHARPNESS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", PRECISIONS[:2])
def test_the_error_falls_by_e_for_every_unit_of_sharpness(found, name, dtype):
    one = found[name, dtype]
    assert one.slope == pytest.approx(-1, abs=0.05)
    assert 1 <= one.tightness <= 100
    assert one.summary().error == pytest.approx(abs(one.slope + 1))
    assert f"slope {one.slope:.4f}" in one.summary().construction
    # The slope again, from two points of the straight part and without a fit.
    error = {row.sharpness: row.error for row in one.rows}
    assert math.log(error[13.0] / error[9.0]) / 4 == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_has_no_straight_part(found, name):
    one = found[name, "bfloat16"]
    summary = one.summary()
    assert one.slope is one.tightness is None
    assert summary.error == one.best == min(row.error for row in one.rows)
    assert summary.error <= summary.bound
    assert summary.construction.endswith("that error")
    assert one.best < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_least_error_falls_with_precision_and_needs_more_sharpness(found, name):
    fine, single, coarse = (found[name, dtype] for dtype in PRECISIONS)
    assert fine.best < 1e-14 < 1e-8 < single.best < 1e-5 < 1e-3 < coarse.best
    assert fine.enough > single.enough > coarse.enough
    for one in (fine, single, coarse):
        enough = next(row.error for row in one.rows if row.sharpness == one.enough)
        assert one.best == min(row.error for row in one.rows)
        assert enough <= 1.1 * one.best
        assert all(row.error > 1.1 * one.best for row in one.rows if row.sharpness < one.enough)


def test_summaries_and_rows_are_written_down_as_plain_numbers(found):
    for one in found.values():
        for row in (*one.rows, one.summary()):
            again = json.loads(json.dumps(row.record(), allow_nan=False))
            assert again["bound"] == (row.bound if math.isfinite(row.bound) else None)
            assert again["error"] == row.error
            assert type(row.error) is type(row.bound) is float
        assert type(one.best) is type(one.enough) is float


def test_one_point_above_its_bound_fails_the_summary(found):
    for one in found.values():
        first, *others = one.rows
        assert not replace(one, rows=(replace(first, passed=False), *others)).summary().passed


@pytest.mark.parametrize("change", [{"slope": -0.94}, {"slope": -1.06}, {"tightness": 101.0}])
def test_another_slope_or_a_loose_bound_fails_the_summary(found, change):
    one = found["causal", "float64"]
    assert not replace(one, **change).summary().passed
    assert replace(one, slope=-0.96, tightness=99.0).summary().passed


def with_weights(build, change):
    def built(promise):
        construction = build(promise)
        weights = construction.weights | {"read_out.weight": change(construction.weights["read_out.weight"])}
        return replace(construction, weights=weights)

    return built


@pytest.mark.parametrize("factor", [-1.0, 1.1])
def test_a_wrong_construction_fails_its_sweep(monkeypatch, factor):
    monkeypatch.setattr(temperature, "SHARPNESS", (8, 20, 40))
    one = sweep(with_weights(plackett_luce.build, lambda weight: factor * weight), torch.float64)
    assert not one.summary().passed
    assert one.best > 0.05


def test_a_temperature_that_is_off_has_another_slope(monkeypatch):
    """Built for half the sharpness that the row says, the error falls half as fast."""
    monkeypatch.setattr(temperature, "SHARPNESS", tuple(range(2, 32, 2)))
    right = sweep(plackett_luce.build, torch.float64)
    wrong = sweep(lambda promise: plackett_luce.build(replace(promise, sharpness=promise.sharpness / 2)), torch.float64)
    assert right.slope == pytest.approx(-1, abs=0.05)
    assert wrong.slope == pytest.approx(-0.5, abs=0.05)
    assert right.summary().passed
    assert not wrong.summary().passed


def test_a_construction_that_makes_no_numbers_fails_its_sweep(monkeypatch):
    monkeypatch.setattr(temperature, "SHARPNESS", (2, 8, 16))
    one = sweep(with_weights(plackett_luce.build, lambda weight: weight * math.nan), torch.float64)
    assert not one.summary().passed


def test_contexts_of_a_sweep_have_every_gap_at_its_least(monkeypatch):
    """With wider gaps the leak would be less than e^(−βΔ), and its constant would vary with the temperature."""
    seen, draw = [], temperature.draw

    def spy(*given, **named):
        seen.append(draw(*given, **named))
        return seen[-1]

    monkeypatch.setattr(temperature, "draw", spy)
    monkeypatch.setattr(temperature, "SHARPNESS", (8, 20))
    one = sweep(plackett_luce.build, torch.float64, seed=2)
    assert len(seen) == len(one.rows) == 2
    for contexts, _ in seen:
        gaps = contexts.rewards.sort(dim=-1).values.diff(dim=-1)
        torch.testing.assert_close(gaps, torch.full_like(gaps, 0.25))
        assert torch.equal(contexts.responses, seen[0][0].responses)


# All of it.


def test_evidence_comes_in_as_many_parts_as_were_announced(monkeypatch):
    """Real sweeps, over fewer temperatures."""
    monkeypatch.setattr(temperature, "SHARPNESS", (4, 20))
    grid = Grid((1, 2), (2, 3), (1,), seed=4)
    batches = list(evidence(grid))
    assert len(batches) == parts(grid) == 2 + 9 + 4
    rows = [row for batch in batches for row in batch]
    assert {row.result for row in rows} == {f"T{number}" for number in range(1, 12)} - {"T6"}
    assert all(row.passed for row in rows)
    assert [row.n for row in batches[0]] == [2, 3]
    assert [len(batch) for batch in batches[2:11]] == [3] * 9
    assert batches[0] == [prove_shift(2, seed=4), prove_shift(3, seed=4)]
    assert batches[1] == [*prove_convexity(4), *prove_sign(4)]
    assert batches[2][:-1] == list(sweep(plackett_luce.build, torch.float64, seed=4).rows)


def test_nothing_is_checked_twice():
    """T1 is run for two responses and for the most; where these are the same, once."""
    rows = next(evidence(Grid((1,), (2,), (1,))))
    assert [row.n for row in rows] == [2]
