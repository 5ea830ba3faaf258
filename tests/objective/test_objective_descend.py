import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rankings import plain_descent, plain_loss, random_contexts, random_like
from torch.testing import assert_close

from secondlook.objective import MultiQueryContexts, descend, query_step, weight_step

EXACT = {"rtol": 1e-11, "atol": 1e-11}
# Adam divides by √v + 1e-8, and so enlarges the rounding of what is nearly flat.
WITHIN = {"gd": EXACT, "adam": {"rtol": 1e-9, "atol": 1e-8}}
OPTIMIZERS = ["gd", "adam"]
REWARDS = ["squared", "cosine"]


def run(start, contexts, on="prediction", optimizer="gd", rate=0.05, steps=6, **options):
    return descend(start, contexts, on=on, optimizer=optimizer, rate=rate, steps=steps, **options)


def one_by_one(start, contexts, lengths, on, optimizer, rate, steps, reward):
    """One torch optimiser for each context and prefix; ``start [batch, p, …]``, traced."""
    many = contexts if isinstance(contexts, MultiQueryContexts) else contexts.as_multi_query()

    def loss_of(b, n):
        def loss(position):
            return sum(
                plain_loss(position if on == "prediction" else position @ x, y[:n], r[:n], reward)
                for x, y, r in zip(many.queries[b], many.responses[b], many.rewards[b], strict=True)
            )

        return loss

    descents = [
        [plain_descent(start[b, k], loss_of(b, n), optimizer, rate, steps) for k, n in enumerate(lengths)]
        for b in range(len(start))
    ]
    return [torch.stack([torch.stack([part[which] for part in row], 1) for row in descents], 1) for which in range(2)]


@settings(deadline=None, max_examples=6)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 4),
    dy=st.integers(2, 3),
    on=st.sampled_from(["prediction", "weights"]),
    optimizer=st.sampled_from(OPTIMIZERS),
    reward=st.sampled_from(REWARDS),
)
def test_every_prefix_goes_as_with_an_optimiser_of_its_own(seed, n, dy, on, optimizer, reward):
    contexts = random_contexts(seed, 2, n, 3, dy)
    start = random_like(seed + 1000, 2, n, *((dy,) if on == "prediction" else (dy, 3)))
    found = run(start, contexts, on, optimizer, reward=reward, trace=True)
    path, losses = one_by_one(start, contexts, range(1, n + 1), on, optimizer, 0.05, 6, reward)
    assert_close(found.path, path, **WITHIN[optimizer])
    assert_close(found.losses, losses, **WITHIN[optimizer])
    assert found.last.equal(found.path[-1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("reward", REWARDS)
def test_several_queries_are_descended_together(reward, optimizer):
    queries = random_like(0, 2, 3, 3)
    many = MultiQueryContexts(queries, random_like(1, 2, 3, 4, 2), random_like(2, 2, 3, 4), queries)
    start = random_like(3, 2, 2, 2, 3)
    found = run(start, many, "weights", optimizer, reward=reward, prefixes=[4, 2], trace=True)
    path, losses = one_by_one(start, many, [4, 2], "weights", optimizer, 0.05, 6, reward)
    assert_close(found.path, path, **WITHIN[optimizer])
    assert_close(found.losses, losses, **WITHIN[optimizer])


@pytest.mark.parametrize("on", ["prediction", "weights"])
def test_shapes_of_starts_and_results(on):
    contexts, point = random_contexts(0, batch=3, n=4), (2,) if on == "prediction" else (2, 3)
    start = random_like(1, 3, *point)
    every = run(start, contexts, on, trace=True)
    assert every.last.shape == (3, 4, *point)
    assert every.path.shape == (7, 3, 4, *point)
    assert every.losses.shape == (7, 3, 4)
    assert every.path[0].equal(start[:, None].expand_as(every.last))
    some = run(start, contexts, on, prefixes=torch.tensor([4, 1, 3]), trace=True)
    assert_close(some.last, every.last[:, [3, 0, 2]], **EXACT)
    own = run(start[:, None].expand(-1, 3, *point), contexts, on, prefixes=[4, 1, 3])
    assert own.last.equal(some.last)
    assert own.path is own.losses is None
    whole = run(start, contexts, on, prefixes=False, trace=True)
    assert_close(whole.last, every.last[:, -1], **EXACT)
    assert_close(whole.path, every.path[:, :, -1], **EXACT)
    assert_close(whole.losses, every.losses[:, :, -1], **EXACT)


def test_gd_repeats_the_step():
    contexts, f, w = random_contexts(1), random_like(2, 3, 2), random_like(3, 3, 2, 3)
    at, weights = f, w
    for _ in range(4):
        at = at + query_step(at, contexts.responses, contexts.rewards, 0.1)
        weights = weights + weight_step(weights, contexts, 0.1)
    assert_close(run(f, contexts, rate=0.1, steps=4, prefixes=False).last, at, **EXACT)
    assert_close(run(w, contexts, "weights", rate=0.1, steps=4, prefixes=False).last, weights, **EXACT)


def test_gd_on_weights_moves_the_prediction_as_gd_on_it_at_the_rate_times_the_norm():
    contexts, w = random_contexts(1, batch=1), random_like(3, 1, 2, 3)
    f, norm2 = (w @ contexts.query[..., None])[..., 0], float(contexts.query.square().sum())
    moved = (run(w, contexts, "weights", rate=0.1).last @ contexts.query[:, None, :, None])[..., 0]
    assert_close(moved, run(f, contexts, rate=0.1 * norm2).last, **EXACT)


def test_contexts_do_not_see_each_other():
    contexts, start = random_contexts(4, batch=5), random_like(5, 5, 2)
    alone = run(start[2:3], type(contexts)(*(t[2:3] for t in vars(contexts).values())), optimizer="adam")
    assert_close(run(start, contexts, optimizer="adam").last[2:3], alone.last, **EXACT)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_steps_lead_nowhere_nor_does_one_response_alone(optimizer):
    start, contexts = random_like(0, 3, 4, 2), random_contexts(0)
    found = run(start, contexts, optimizer=optimizer, steps=0, trace=True)
    assert found.last.equal(start)
    assert found.losses.shape == (1, 3, 4)
    assert run(start, contexts, optimizer=optimizer).last[:, 0].equal(start[:, 0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_half_precision_is_descended_in_float32(optimizer):
    contexts, start = random_contexts(8).to(torch.bfloat16), random_like(9, 3, 2).bfloat16()
    found = run(start, contexts, optimizer=optimizer, trace=True)
    wide = run(start.float(), contexts.to(torch.float32), optimizer=optimizer, trace=True)
    assert found.losses.equal(wide.losses)
    assert found.path.equal(wide.path.bfloat16())
    assert found.last.equal(wide.last.bfloat16())


def test_nothing_given_is_changed_or_needed_for_a_gradient():
    contexts, start = random_contexts(10), random_like(11, 3, 4, 2).requires_grad_()
    contexts.responses.requires_grad_()
    before = start.detach().clone()
    with torch.no_grad():
        found = run(start, contexts, optimizer="adam")
    assert start.equal(before)
    assert start.grad is contexts.responses.grad is None
    assert not found.last.requires_grad


def test_autocast_changes_nothing():
    contexts, start = random_contexts(12, dtype=torch.float32), random_like(13, 3, 2, 3, dtype=torch.float32)
    plain = run(start, contexts, "weights").last
    with torch.autocast("cpu", torch.bfloat16):
        assert run(start, contexts, "weights").last.equal(plain)


START = torch.ones(3, 2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("start", "options", "message"),
    [
        (START, {"on": "w"}, "on is 'w': choose one of prediction, weights"),
        (START, {"optimizer": "sgd"}, "optimizer is 'sgd': choose one of gd, adam"),
        (START, {"reward": "l2"}, "reward is 'l2': choose one of squared, cosine"),
        (START, {"rate": 0.0}, "rate is 0.0: give more than 0"),
        (START, {"steps": -1}, "steps is -1: give 0 or more"),
        (START, {"prefixes": [5]}, "lengths is [5]: give a list of whole numbers from 1 to n = 4"),
        (START, {"prefixes": []}, "prefixes has shape (0,): give [p] with p = 1 or more, not 0"),
        (START[:2], {}, "start has shape (2, 2): give [batch, dy] with batch = 3, not 2"),
        (START, {"on": "weights"}, "start has shape (3, 2): give [batch, p, dy, dx]"),
        (
            START[:, None],
            {"prefixes": [1, 2]},
            "start has shape (3, 1, 2): give [batch, p, dy] with p = 2, not 1",
        ),
        (START[:, None], {"prefixes": False}, "start has shape (3, 1, 2): give [batch, dy]"),
    ],
)
def test_bad_options_name_value_and_remedy(start, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(start, random_contexts(0), **options)


def test_predictions_of_several_queries_do_not_move_alone():
    with pytest.raises(ValueError, match=r"^contexts have several queries, .* on='weights'$"):
        run(START, random_contexts(0).as_multi_query())
