"""The grid runs everything there is, and a construction that is wrong does not get through."""

import json
import math
import multiprocessing
from dataclasses import replace
from itertools import product

import pytest
import torch
from term_by_term import a_promise, by_autograd, descent_on_weights, drawn, one_by_one, plain_loss

from secondlook.construct import attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow
from secondlook.construct.bounds import bound
from secondlook.construct.prove.check import architecture, judge
from secondlook.construct.prove.grid import Grid, eta, limit_of, prove_grid
from secondlook.construct.reference import reference

SMALL = Grid((1, 3), (2, 3), (1, 2))
CONSTRUCTIONS = {
    "InfoNCE": "T2",
    "Plackett–Luce": "T3",
    "matching only": "T4",
    "several queries": "T4",
    "causal": "T5",
    "attention only": "T7",
    "shallow": "T8",
}
BUILDERS = (
    bradley_terry.build,
    plackett_luce.build,
    causal.build,
    attention_only.build,
    shallow.build,
    lambda promise: multi_query.build(replace(promise, queries=2), tests=2, dx=3, cross=False),
    lambda promise: multi_query.build(replace(promise, queries=2, max_coherence=0.5), tests=2, dx=3),
)
IDS = ["InfoNCE", "Plackett–Luce", "causal", "attention only", "shallow", "matching only", "several queries"]
every = pytest.mark.parametrize("build", BUILDERS, ids=IDS)


@pytest.fixture(scope="module")
def batches():
    """What the small grid yields."""
    return list(prove_grid(SMALL))


def rows_of(batches):
    return [row for rows in batches for row in rows]


def key(row):
    return row.result, row.construction, row.d, row.n, row.steps, row.gap


def test_every_construction_is_run_at_every_size_and_gap_the_largest_first(batches):
    expected = set()
    for d, n, steps, gap in product(SMALL.d, SMALL.n, SMALL.steps, (1e-3, 1e-2)):
        for name, result in CONSTRUCTIONS.items():
            named = "Bradley–Terry" if (name, n) == ("InfoNCE", 2) else name
            expected.add((result if steps == 1 else "T6", named, d, n, steps, gap))
    found = [key(row) for row in rows_of(batches)]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert len(SMALL) == len(batches) == 8
    work = [{row.d * row.n * row.steps for row in rows} for rows in batches]
    assert work == sorted(work, key=max, reverse=True)


def test_everything_passes_by_its_bound_and_its_limit(batches):
    for row in rows_of(batches):
        assert row.passed, row
        assert 0 <= row.error <= row.limit, row
        assert row.error <= row.bound < 1e-3, row
        terms = row.steps * row.n / 2 * (row.n / 2 if row.construction == "shallow" else 1)
        assert row.limit == pytest.approx(1e-12 * terms if row.gap == 1e-2 else 1e-9, rel=1e-12, abs=0), row
        assert row.error <= 1e-12 * row.steps * row.n / 2, row
        assert (row.contexts, row.dtype, row.sharpness) == (12, "float64", None)
    assert max(row.error for row in rows_of(batches)) > 1e-16


@every
@pytest.mark.parametrize("steps", [1, 2])
def test_a_row_is_about_the_construction_that_it_names_and_has_the_sizes_of_its_model(build, steps):
    construction = build(a_promise(3, 2, steps))
    model = construction.model()
    (row,) = judge(construction, [drawn(construction)], [0.02])
    assert row.passed
    assert row.error < 1e-12
    assert row.result == (construction.result if steps == 1 else "T6")
    assert (row.construction, row.d, row.n, row.steps, row.contexts) == (construction.name, 2, 3, steps, 3)
    assert {name: getattr(row, name) for name in architecture(construction)} == {
        "blocks": len(model.blocks),
        "heads": max(block.heads for block in construction.config.blocks),
        "feedforward": max(block.feedforward for block in construction.config.blocks),
        "width": construction.layout.width,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }


def test_the_same_seed_gives_the_same_rows_and_another_others(batches):
    one = Grid((3,), (3,), (2,))
    (again,), (other,) = prove_grid(one), prove_grid(replace(one, seed=1))
    assert again == batches[0]
    assert [key(row) for row in other] == [key(row) for row in again]
    assert [row.error for row in other] != [row.error for row in again]


def test_settings_of_the_grid_are_taken():
    (rows,) = prove_grid(Grid((2,), (2,), (1,), min_gap=2e-3, max_norm=1.0, each=3))
    assert {row.gap for row in rows} == {2e-3, 1e-2}
    assert all(row.contexts == 36 and row.passed for row in rows)
    (far,) = prove_grid(Grid((2,), (2,), (1,), min_gap=2e-3, max_norm=10.0, each=3))
    assert [row.bound for row in far] != [row.bound for row in rows]


@pytest.mark.parametrize(("d", "n", "each", "seed"), [(1, 5, 3, 2), (2, 3, 400, 2)])
def test_the_limit_holds_for_more_contexts_and_other_seeds(d, n, each, seed):
    """`secondlook prove --each` asks for more contexts of each family: a claimed accuracy holds for them too."""
    (rows,) = prove_grid(Grid((d,), (n,), (1,), each=each, seed=seed))
    assert all(row.error <= row.bound for row in rows)
    assert all(row.passed for row in rows)


def test_several_processes_make_the_same_rows():
    grid = Grid((2,), (2, 3), (1,))
    alone, together = rows_of(prove_grid(grid)), rows_of(prove_grid(grid, workers=2))
    assert len(together) == 28
    assert multiprocessing.active_children() == []
    for one, other in zip(alone, together, strict=True):
        assert replace(other, error=one.error, bound=one.bound) == one
        assert other.error == pytest.approx(one.error, abs=1e-12)
        assert other.bound == pytest.approx(one.bound, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "steps", "gap", "limit"),
    [
        (3, 1, 1e-2, 1.5e-12),
        (3, 2, 1e-2, 3e-12),
        (20, 3, 1e-2, 3e-11),
        (2, 1, 0.5, 1e-12),
        (21, 1, 1e-2, 1e-9),
        (20, 3, 9e-3, 1e-9),
    ],
)
def test_the_limit_depends_on_gap_and_size(n, steps, gap, limit):
    assert limit_of(n, steps, gap) == pytest.approx(limit, rel=1e-12, abs=0)
    evenly = limit * n / 2 if limit < 1e-9 else limit
    assert limit_of(n, steps, gap, evenly=True) == pytest.approx(evenly, rel=1e-12, abs=0)


@pytest.mark.parametrize("family", ["same", "at the prediction"])
def test_t8_is_within_its_limit_where_all_responses_are_one_and_the_others_limit_would_not_do(family):
    """N − 1 heads carry a response there, and one N − 1 times the even average back: rounding is all there is."""
    promise = a_promise(20, 2, eta=eta(20, 10.0), max_norm=10.0, min_gap=1e-2)
    construction = shallow.build(promise)
    (row,) = judge(construction, [drawn(construction, family=family, batch=40)], [1e-2])
    assert row.passed
    assert limit_of(20, 1, 1e-2) < row.error < limit_of(20, 1, 1e-2, evenly=True)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n": (8, 1)}, "n is 1; .* at least 2"),
        ({"each": 0}, "each is 0; .* at least one"),
        ({"seed": -1}, "seed is -1; .* from 0"),
        ({"min_gap": 0.1}, "min_gap is 0.1; give at most 0.01"),
        ({"n": (300,)}, "n is 300; at most 200"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**sizes)


def test_the_step_size_of_the_grid_cannot_overshoot():
    for n, norm in ((2, 10.0), (3, 1.0), (8, 10.0)):
        promise = a_promise(n, 3, max_norm=norm, eta=eta(n, norm))
        assert promise.eta * 4 * (n - 1) * norm**2 == pytest.approx(1)
        contexts, start = drawn(plackett_luce.build(promise), family="long", batch=10)
        for x, y, r, w in one_by_one(contexts, start):
            unit = x / x.norm()
            moved = w + descent_on_weights(w, [(unit, y, r)], promise)
            assert plain_loss(moved @ unit, y, r) <= plain_loss(w @ unit, y, r) + 1e-12


# Constructions that are wrong.


def judged(construction, limits=(1.5e-12,), **fields):
    (row,) = judge(construction, [drawn(construction, **fields)], [0.02], limits)
    return row


def broken(construction, change, *names):
    """The construction with `change` made to weights whose names end so."""
    assert all(any(weight.endswith(name) for weight in construction.weights) for name in names)
    weights = {
        name: change(weight.clone()) if name.endswith(names) else weight
        for name, weight in construction.weights.items()
    }
    return replace(construction, weights=weights)


def scaled(construction, factor):
    return broken(construction, lambda weight: weight * factor, "read_out.weight")


def share(construction):
    """The largest ‖ΔWx‖ beside ‖ΔW‖·‖x‖: of one query all of it, of several what the test query sees."""
    expected = reference(construction, *drawn(construction))
    largest = (expected.step.norm(dim=-1) / expected.size).max().item()
    assert largest == pytest.approx(1) if construction.result != "T4" else 0.5 < largest <= 1
    return largest


@every
@pytest.mark.parametrize(("factor", "error"), [(-1, 2), (0, 1), (1 + 1e-8, 1e-8)])
def test_a_construction_that_steps_backwards_or_not_at_all_or_a_little_too_far_fails(build, factor, error):
    construction = build(a_promise(3, 2))
    row = judged(scaled(construction, factor))
    assert not row.passed
    assert row.error == pytest.approx(error * share(construction), rel=1e-3)


@every
@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_carries_the_wrong_sign_fails(build, head):
    construction = build(a_promise(3, 2))
    block = 2 if construction.result == "T8" else 0  # the first two of T8 only count ranks
    width = construction.config.blocks[block].values

    def flip(value):
        value[head * width : (head + 1) * width] *= -1
        return value

    row = judged(broken(construction, flip, f"blocks.{block}.attention.value.weight"))
    assert not row.passed
    assert row.error > 0.01


@every
@pytest.mark.parametrize("steps", [1, 3])
def test_one_step_too_many_or_too_few_fails(build, steps):
    construction, other = build(a_promise(3, 2, steps)), build(a_promise(3, 2, 2))
    mixed = replace(other, promise=construction.promise)
    row = judged(mixed)
    assert not row.passed


LARGE, SINGLE, MILD = {"max_norm": 100.0, "eta": 1e-6}, {"dtype": torch.float32}, {"sharpness": 1.0}


@pytest.mark.parametrize(
    ("fields", "factor", "limit", "exceeded"),
    [
        (LARGE, 1, 1.5e-12, []),
        (LARGE, 1 + 3e-12, 1.5e-12, ["limit"]),
        (SINGLE, 1, None, []),
        (SINGLE, 1.1, None, ["bound"]),
        (MILD, 1, 1.5e-12, ["limit"]),  # there is no bound
        ({}, math.nan, 1.5e-12, ["bound", "limit"]),  # what overflows has failed, and its row is like any other
    ],
)
def test_a_row_passes_below_its_bound_and_its_limit_alone_and_can_be_written_down(fields, factor, limit, exceeded):
    construction = scaled(plackett_luce.build(a_promise(3, 2, **fields)), factor)
    row = judged(construction, [limit], family="tight" if fields is MILD else "random")
    allowed = {"bound": row.bound, "limit": row.limit}
    assert [name for name, most in allowed.items() if most is not None and not row.error <= most] == exceeded
    assert row.passed == (not exceeded)
    record = json.loads(json.dumps(row.record(), allow_nan=False))
    assert (record["bound"] is None) == (not math.isfinite(row.bound))
    assert math.isinf(row.bound) == (fields is MILD)
    assert (record["error"] is None) == math.isnan(factor)


def test_one_wrong_answer_among_many_contexts_fails_and_is_the_one_that_is_shown():
    """Of two gaps only that whose last context is disturbed, in its last prefix alone."""
    construction = causal.build(a_promise(4, 2))
    parts = [drawn(construction, seed, batch=5) for seed in range(2)]

    def embed(contexts, start):
        tokens = construction.embed(contexts, start).clone()
        construction.layout.view(tokens[9, 3], "pull").mul_(1 + 1e-6)
        return tokens

    first, second = judge(replace(construction, embed=embed), parts, (0.02, 0.03), (None, None))
    assert (first.gap, second.gap) == (0.02, 0.03)
    assert first.passed
    assert not second.passed
    assert first.contexts == second.contexts == 5
    contexts, start = parts[1]
    allowed = bound(construction, contexts, start).total[4, 3]
    step = by_autograd(contexts.query[4], contexts.responses[4], contexts.rewards[4], start[4], construction.promise)
    assert second.bound == pytest.approx((allowed / step.norm()).item())
    carried = (contexts.query[4] @ contexts.query[4]) * contexts.responses[4, 3].norm()
    assert 0 < second.error * step.norm() <= 2 * construction.promise.eta * 3 * 1e-6 * carried
