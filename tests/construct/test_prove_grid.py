"""The grid runs everything there is, and a construction that is wrong does not get through."""

import json
import math
import multiprocessing
import signal
from dataclasses import replace
from itertools import product

import pytest
import torch
from term_by_term import a_promise, by_autograd, descent_on_weights, drawn, one_by_one, plain_loss

from secondlook.construct import attention_only, bradley_terry, causal, multi_query, plackett_luce, shallow
from secondlook.construct.bounds import bound
from secondlook.construct.prove.grid import SINGLE, WIDE_GAP, Grid, eta, judge, limit_of, prove_grid
from secondlook.construct.prove.row import architecture, name_of
from secondlook.construct.reference import reference
from secondlook.machine import alone

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
def batches(one_thread):
    """What the small grid yields."""
    return list(prove_grid(SMALL))


def rows_of(batches):
    return [row for rows in batches for row in rows]


def key(row):
    return row.result, row.construction, row.d, row.n, row.steps, row.gap


def test_every_construction_is_run_at_every_size_and_gap(batches):
    expected = set()
    for d, n, steps, gap in product(SMALL.d, SMALL.n, SMALL.steps, (1e-3, 1e-2)):
        for name, result in CONSTRUCTIONS.items():
            named = "Bradley–Terry" if (name, n) == ("InfoNCE", 2) else name
            expected.add((result if steps == 1 else "T6", named, d, n, steps, gap))
    found = [key(row) for row in rows_of(batches)]
    assert set(found) == expected
    assert len(found) == len(expected)


def test_one_yield_a_size_and_the_largest_first(batches):
    assert len(SMALL) == len(batches) == 8
    for rows in batches:
        assert len({(row.d, row.n, row.steps) for row in rows}) == 1
    work = [rows[0].d * rows[0].n * rows[0].steps for rows in batches]
    assert work == sorted(work, reverse=True)


def test_everything_passes_by_its_bound_and_its_limit(batches):
    for row in rows_of(batches):
        assert row.passed, row
        assert 0 <= row.error <= row.limit, row
        assert row.error <= row.bound < 1e-3, row
        assert row.limit == (1e-12 * row.steps * row.n / 2 if row.gap == 1e-2 else 1e-9), row
        assert row.error <= 1e-12 * row.steps, row
    assert max(row.error for row in rows_of(batches)) > 1e-16


def test_fields_say_what_was_run(batches):
    for row in rows_of(batches):
        assert row.contexts == 10
        assert row.dtype == "float64"
        assert row.sharpness is None


def test_sizes_are_those_of_the_claims(batches):
    """Blocks, most heads and most units of a block, counted from what each file says it needs."""
    for row in rows_of(batches):
        terms, k, n, last = row.n - 1, row.steps, row.n, row.n == 2
        blocks, heads, units = {
            "Bradley–Terry": (k, 2, 0),
            "InfoNCE": (k, 2, 0),
            "Plackett–Luce": (k * terms, 3, 3 if last else 5),
            "matching only": (k * terms, 3, 3 if last else 5),
            "several queries": (k * terms + k, 3, max(3 if last else 5, 2 * row.d)),
            "causal": (k * terms, 3, 2 * n if last else 4 * n),
            "attention only": (k * terms, 2, 0),
            "shallow": (k + 2, n, 2 * n),
        }[row.construction]
        assert (row.blocks, row.heads, row.feedforward) == (blocks, heads, units), row


@every
@pytest.mark.parametrize("steps", [1, 2])
def test_sizes_are_those_of_the_model(build, steps):
    construction = build(a_promise(4, 2, steps))
    model = construction.model()
    assert architecture(construction) == {
        "blocks": len(model.blocks),
        "heads": max(block.heads for block in construction.config.blocks),
        "feedforward": max(block.feedforward for block in construction.config.blocks),
        "width": construction.layout.width,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }


@every
@pytest.mark.parametrize("steps", [1, 2])
def test_a_row_is_about_the_construction_that_it_names(build, steps):
    construction = build(a_promise(3, 2, steps))
    (row,) = judge(construction, [drawn(construction)], [0.02])
    assert row.result == (construction.result if steps == 1 else "T6")
    assert (row.construction, row.d, row.n, row.steps) == (construction.name, 2, 3, steps)
    assert {name: getattr(row, name) for name in architecture(construction)} == architecture(construction)
    assert row.contexts == 3


def test_the_same_seed_gives_the_same_rows_and_another_others(batches):
    one = Grid((3,), (3,), (2,))
    (again,), (other,) = prove_grid(one), prove_grid(replace(one, seed=1))
    assert again == batches[0]
    assert [key(row) for row in other] == [key(row) for row in again]
    assert [row.error for row in other] != [row.error for row in again]


def test_settings_of_the_grid_are_taken():
    (rows,) = prove_grid(Grid((2,), (2,), (1,), min_gap=2e-3, max_norm=1.0, each=3))
    assert {row.gap for row in rows} == {2e-3, 1e-2}
    assert all(row.contexts == 30 and row.passed for row in rows)
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


def test_a_worker_takes_one_core_and_leaves_ctrl_c_to_its_parent():
    before, threads = signal.getsignal(signal.SIGINT), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone()
        assert torch.get_num_threads() == 1
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n": (8, 1)}, "n is 1; .* at least 2"),
        ({"n": (0,)}, "n is 0; .* at least 2"),
        ({"each": 0}, "each is 0; .* at least one"),
        ({"each": -1}, "each is -1; .* at least one"),
    ],
)
def test_a_grid_with_nothing_to_run_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**sizes)


def test_the_usual_grid_is_that_of_the_documentation():
    usual = Grid()
    assert (usual.d, usual.n, usual.steps) == ((2, 5, 16, 64), (2, 3, 8, 20, 32), (1, 3))
    assert len(usual) == 40
    assert usual.min_gap < WIDE_GAP


@pytest.mark.parametrize(
    ("n", "steps", "gap", "dtype", "limit"),
    [
        (3, 1, 1e-2, torch.float64, 1.5e-12),
        (3, 2, 1e-2, torch.float64, 3e-12),
        (6, 1, 1e-2, torch.float64, 3e-12),
        (20, 3, 1e-2, torch.float64, 3e-11),
        (2, 1, 0.5, torch.float64, 1e-12),
        (21, 1, 1e-2, torch.float64, 1e-9),
        (20, 1, 1e-3, torch.float64, 1e-9),
        (20, 3, 9e-3, torch.float64, 1e-9),
        (2, 1, 1e-2, torch.float32, None),
        (2, 1, 0.5, torch.bfloat16, None),
    ],
)
def test_the_limit_depends_on_gap_size_and_precision(n, steps, gap, dtype, limit):
    assert limit_of(a_promise(n, 2, steps, dtype=dtype, min_gap=gap), gap) == (
        limit and pytest.approx(limit, rel=1e-12, abs=0)
    )


def test_names_of_precisions_are_short():
    assert [name_of(dtype) for dtype in (torch.float64, torch.bfloat16)] == ["float64", "bfloat16"]


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


def judged(construction, gaps=(0.02,), **fields):
    return list(judge(construction, [drawn(construction, seed, **fields) for seed, _ in enumerate(gaps)], gaps))


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
@pytest.mark.parametrize("steps", [1, 2])
def test_a_healthy_construction_passes(build, steps):
    (row,) = judged(build(a_promise(3, 2, steps)))
    assert row.passed
    assert row.error < 1e-12


@every
def test_a_construction_that_steps_backwards_fails(build):
    construction = build(a_promise(3, 2))
    (row,) = judged(broken(construction, torch.neg, "read_out.weight"))
    assert not row.passed
    assert row.error == pytest.approx(2 * share(construction), rel=1e-9)


@every
def test_a_construction_that_does_nothing_fails(build):
    construction = build(a_promise(3, 2))
    (row,) = judged(broken(construction, torch.zeros_like, "read_out.weight"))
    assert not row.passed
    assert row.error == pytest.approx(share(construction), rel=1e-9)


@every
@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_carries_the_wrong_sign_fails(build, head):
    construction = build(a_promise(3, 2))
    block = 2 if construction.result == "T8" else 0  # the first two of T8 only count ranks
    width = construction.config.blocks[block].values

    def flip(value):
        value[head * width : (head + 1) * width] *= -1
        return value

    (row,) = judged(broken(construction, flip, f"blocks.{block}.attention.value.weight"))
    assert not row.passed
    assert row.error > 0.01


@every
def test_an_error_of_a_part_in_a_hundred_million_is_found(build):
    construction = build(a_promise(3, 2))
    (row,) = judged(scaled(construction, 1 + 1e-8))
    assert not row.passed
    assert row.error == pytest.approx(1e-8 * share(construction), rel=1e-3)


@every
@pytest.mark.parametrize("steps", [1, 3])
def test_one_step_too_many_or_too_few_fails(build, steps):
    construction, other = build(a_promise(3, 2, steps)), build(a_promise(3, 2, 2))
    mixed = replace(other, promise=construction.promise)
    (row,) = judged(mixed)
    assert not row.passed


def test_an_error_within_its_bound_and_above_its_limit_fails():
    construction = plackett_luce.build(a_promise(3, 2, max_norm=100.0, eta=1e-6))
    fine, off = judged(construction)[0], judged(scaled(construction, 1 + 3e-12))[0]
    assert fine.passed
    assert off.limit < off.error <= off.bound
    assert not off.passed


def test_without_a_limit_the_bound_decides():
    construction = plackett_luce.build(a_promise(3, 2, dtype=torch.float32))
    fine, off = judged(construction)[0], judged(scaled(construction, 1.1))[0]
    assert fine.passed
    assert fine.limit is off.limit is None
    assert fine.error > 1e-12
    assert off.error > off.bound
    assert not off.passed


def test_a_limit_holds_where_there_is_no_bound():
    construction = plackett_luce.build(a_promise(3, 2, sharpness=1.0))
    (row,) = judged(construction, family="tight")
    assert math.isinf(row.bound)
    assert row.error > row.limit
    assert not row.passed
    assert row.record()["bound"] is None


def test_one_wrong_answer_among_many_contexts_fails_and_is_the_one_that_is_shown():
    """Of two gaps only that whose last context is disturbed, in its last prefix alone."""
    construction = causal.build(a_promise(4, 2))
    parts = [drawn(construction, seed, batch=5) for seed in range(2)]

    def embed(contexts, start):
        tokens = construction.embed(contexts, start).clone()
        construction.layout.view(tokens[9, 3], "pull").mul_(1 + 1e-6)
        return tokens

    first, second = judge(replace(construction, embed=embed), parts, (0.02, 0.03))
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


def test_not_a_number_is_no_step_and_can_be_written_down():
    """A construction that overflows has failed; the evidence of that is a row like any other."""
    (row,) = judged(scaled(bradley_terry.build(a_promise(3, 2)), math.nan))
    assert not row.passed
    assert json.loads(json.dumps(row.record(), allow_nan=False))["error"] is None


def test_single_holds_every_construction_of_one_query():
    assert [build(a_promise(3, 2)).result for build in SINGLE] == ["T2", "T3", "T5", "T7", "T8"]
