"""T1, T9, T10 and T11 pass, and would not if what they claim were wrong."""

import math
from dataclasses import replace
from functools import partial

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


@pytest.mark.parametrize(
    "other",
    [
        *(
            lambda loss, f, y, *rest, factor=factor, **named: loss(f, factor * y, *rest, **named)
            for factor in (-1, 0.5, 1 + 1e-6)
        ),
        lambda loss, *given, **named: loss(*given, reward="cosine", **named),
    ],
    ids=["-1", "0.5", "1.000001", "cosine"],
)
def test_a_step_is_no_shift_by_anything_else_or_where_distance_does_not_count(monkeypatch, other):
    """The responses, and with them what they are shifted by, are longer than the step on W."""
    monkeypatch.setattr(identities, "prefix_plackett_luce", partial(other, identities.prefix_plackett_luce))
    row = prove_shift(3)
    assert not row.passed
    assert row.error > row.bound


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

    def too_long(promise, printed):
        return replace(build(replace(promise, eta=slip * promise.eta), printed=printed), promise=promise)

    monkeypatch.setattr(sign, "build", too_long)
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


@pytest.mark.parametrize(
    ("other", "failing"),
    [
        (lambda loss, *given, **named: -0.1 * loss(*given, **named).tanh(), (0,)),
        (
            lambda loss, *given, reward="squared", **named: loss(
                *given, reward={"squared": "cosine", "cosine": "squared"}[reward], **named
            ),
            (0, 1),
        ),
    ],
    ids=["concave", "swapped"],
)
def test_another_loss_in_the_place_of_the_right_one_fails(monkeypatch, other, failing):
    monkeypatch.setattr(convexity, "prefix_plackett_luce", partial(other, convexity.prefix_plackett_luce))
    found = prove_convexity()
    assert not any(found[at].passed for at in failing)
    assert found[0].error > 1e-3


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
def found():
    """All sweeps, by construction and precision."""
    return {(sweep.rows[0].construction, sweep.rows[0].dtype): sweep for sweep in sweeps()}


def test_every_construction_is_swept_in_every_precision_and_passes(found):
    assert list(found) == [(name, dtype) for name in NAMES for dtype in PRECISIONS]
    for (name, dtype), one in found.items():
        assert [row.sharpness for row in one.rows] == list(SHARPNESS)
        assert all(row.passed and row.error <= row.bound for row in one.rows)
        shapes = {(row.result, row.construction, row.dtype, row.contexts, row.blocks, row.heads) for row in one.rows}
        assert shapes == {("T9", name, dtype, 32, 3, 2 if name == "attention only" else 3)}
        assert one.summary().passed
        assert (one.summary().sharpness, one.summary().contexts) == (None, 32 * len(SHARPNESS))
        first, *others = one.rows
        assert not replace(one, rows=(replace(first, passed=False), *others)).summary().passed


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
    assert summary.error == one.best <= summary.bound
    assert summary.construction.endswith("that error")


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


@pytest.mark.parametrize("change", [{"slope": -0.94}, {"slope": -1.06}, {"tightness": 101.0}])
def test_another_slope_or_a_loose_bound_fails_the_summary(found, change):
    one = found["causal", "float64"]
    assert not replace(one, **change).summary().passed
    assert replace(one, slope=-0.96, tightness=99.0).summary().passed


@pytest.mark.parametrize("factor", [-1.0, 1.1, math.nan])
def test_a_wrong_construction_fails_its_sweep(monkeypatch, factor):
    def wrong(promise):
        construction = plackett_luce.build(promise)
        read_out = {"read_out.weight": factor * construction.weights["read_out.weight"]}
        return replace(construction, weights=construction.weights | read_out)

    monkeypatch.setattr(temperature, "SHARPNESS", (8, 20, 40))
    one = sweep(wrong, torch.float64)
    assert not one.summary().passed
    assert not one.best <= 0.05


def test_a_temperature_that_is_off_has_another_slope(monkeypatch):
    """Built for half the sharpness that the row says, the error falls half as fast."""
    monkeypatch.setattr(temperature, "SHARPNESS", tuple(range(2, 32, 2)))
    right = sweep(plackett_luce.build, torch.float64)
    wrong = sweep(lambda promise: plackett_luce.build(replace(promise, sharpness=promise.sharpness / 2)), torch.float64)
    assert right.slope == pytest.approx(-1, abs=0.05)
    assert wrong.slope == pytest.approx(-0.5, abs=0.05)
    assert right.summary().passed
    assert not wrong.summary().passed


# All of it.


def test_evidence_comes_in_as_many_parts_as_were_announced(monkeypatch):
    """Real sweeps, over fewer temperatures."""
    monkeypatch.setattr(temperature, "SHARPNESS", (4, 20))
    grid = Grid((1, 2), (2, 3), (1,), seed=4)
    batches = list(evidence(grid))
    assert len(batches) == parts(grid) == 5 + 9 + 4
    rows = [row for batch in batches for row in batch]
    assert {row.result for row in rows} == {f"T{number}" for number in range(1, 14)} - {"T6"}
    assert all(row.passed for row in rows)
    assert [row.n for row in batches[0]] == [2, 3]
    assert [row.n for row in next(evidence(Grid((1,), (2,), (1,))))] == [2]  # where 2 is the most, once
    assert [len(batch) for batch in batches[5:14]] == [3] * 9
    assert batches[0] == [prove_shift(2, seed=4), prove_shift(3, seed=4)]
    assert batches[1:3] == [[*prove_convexity(4)], [*prove_sign(4)]]
    assert batches[5][:-1] == list(sweep(plackett_luce.build, torch.float64, seed=4).rows)
