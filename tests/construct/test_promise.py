"""What a construction is built for, the temperatures that follow, and what is refused."""

import math
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from term_by_term import a_promise, by_terms

from secondlook.construct import Promise, attention_only, bradley_terry, causal, plackett_luce, shallow
from secondlook.construct.prove.draw import draw
from secondlook.objective import Contexts

PROMISE = Promise(4, 3)


@pytest.mark.parametrize(
    ("change", "value", "remedy"),
    [
        ({"n": 1}, "n is 1", "at least 2"),
        ({"d": 0}, "d is 0", "at least 1"),
        ({"steps": 0}, "steps is 0", "at least 1"),
        ({"queries": 0}, "queries is 0", "at least 1"),
        *[
            ({name: value}, f"{name} is {value}", "give a positive number")
            for name in ("eta", "min_gap", "max_norm", "max_reward")
            for value in (0.0, -1.0, math.inf, math.nan)
        ],
        *[({"sharpness": v}, f"sharpness is {v}", "or leave it out") for v in (0.0, -1.0, math.inf, math.nan)],
        *[({"max_coherence": v}, f"max_coherence is {v}", "from 0 to below 1") for v in (-0.1, 1.0, math.nan)],
        *[({"dtype": kind}, f"dtype is {kind}", "a floating-point one") for kind in (torch.int64, torch.float16)],
        *[({name: 2.5}, f"{name} is 2.5", "a whole number") for name in ("n", "d", "steps", "queries")],
        ({"sharpness": 1e308}, "sharpness of 1e+308", "beyond torch.float64; lower them"),
        ({"max_norm": 1e110}, "max_norm 1e+110", "beyond torch.float64; lower them"),
        ({"max_norm": 1e13, "dtype": torch.float32}, "max_norm 1e+13", "beyond torch.float32; lower them"),
        ({"eta": 1e308, "steps": 3}, "eta 1e+308", "lower them"),
        ({"min_gap": 1e-15}, "min_gap 1e-15 is below 1.78e-15", "raise min_gap, lower max_reward or take a wider"),
        ({"dtype": torch.bfloat16}, "min_gap 0.001 is below 0.0625", "torch.bfloat16"),
        ({"max_reward": 1e14}, "min_gap 0.001 is below 0.178", "among rewards up to 1e+14"),
        ({"min_gap": 0.7}, "4 rewards at least 0.7 apart", "lower min_gap or raise max_reward"),
    ],
)
def test_a_promise_that_nobody_can_keep_is_refused(change, value, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)) as error:
        replace(PROMISE, **change)
    assert value in str(error.value)


promises = st.builds(
    lambda n, d, eta, steps, norm, reward, dtype, sharpness, queries, coherence, room: Promise(
        n, d, eta, steps, reward * room / n, norm, reward, dtype, sharpness, queries, coherence
    ),
    n=st.integers(2, 40),
    d=st.integers(1, 5),
    eta=st.floats(1e-4, 1.0),
    steps=st.integers(1, 4),
    norm=st.floats(0.1, 100.0),
    reward=st.floats(0.1, 100.0),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    sharpness=st.none() | st.floats(1.0, 50.0),
    queries=st.integers(1, 4),
    coherence=st.floats(0.0, 0.99),
    room=st.floats(1e-3, 1.9),
)


@settings(deadline=None, max_examples=50)
@given(promise=promises)
def test_temperatures_follow_from_the_promise(promise):
    u = torch.finfo(promise.dtype).eps / 2
    tokens = promise.n * promise.queries
    assert promise.roundoff == u
    assert tokens * math.exp(-promise.silence) == pytest.approx(u)
    # One gap after the top comes e^{−βΔ}; without a wish, that is less than u even when amplified by what hides.
    assert promise.beta * promise.min_gap == pytest.approx(promise.reward_sharpness)
    if promise.sharpness is None:
        assert tokens * promise.hide_score * math.exp(-promise.reward_sharpness) == pytest.approx(u)
    else:
        assert promise.reward_sharpness == promise.sharpness


@settings(deadline=None, max_examples=50)
@given(promise=promises)
def test_hidden_is_below_a_sink_that_is_below_the_lowest(promise):
    """Each by so much that n tokens together get less than a rounding, when a flag is ¾ of what it should be."""
    highest_reward = promise.beta * promise.max_reward
    highest_score = 2 * promise.max_prediction * promise.max_norm
    for highest, lowest, reach, hide, match in (
        (highest_reward, -highest_reward, promise.reward_range, promise.hide_reward, promise.match_reward),
        (highest_score, promise.min_score, promise.score_range, promise.hide_score, promise.match_score),
    ):
        assert reach == pytest.approx(highest - lowest)
        assert highest - 0.75 * hide <= lowest - 2 * promise.silence
        other_query = highest + match * (promise.max_coherence - 1)
        assert other_query <= lowest - promise.silence + 1e-9 * match


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 8), d=st.integers(1, 3), steps=st.integers(1, 4))
@pytest.mark.parametrize("eta", [0.01, 1.0])
def test_scores_and_predictions_stay_in_the_range_that_was_assumed(eta, seed, n, d, steps):
    promise = a_promise(n, d, steps, eta=eta)
    contexts, start = draw(promise, torch.Generator().manual_seed(seed), batch=1, dx=2, family="long")
    x, y, r, w = contexts.query[0], contexts.responses[0], contexts.rewards[0], start[0]
    for done in range(steps):
        f = w @ x + (by_terms(x, y, r, w, replace(promise, steps=done)) if done else 0)
        assert f.norm() <= replace(promise, steps=done + 1).max_prediction * (1 + 1e-12)
        for score in (2 * y @ f - y.square().sum(-1)).tolist():
            assert promise.min_score <= score <= promise.min_score + promise.score_range


@settings(deadline=None, max_examples=50)
@given(dtype=st.sampled_from([torch.float32, torch.bfloat16]), n=st.integers(2, 12), seed=st.integers(0, 2**32))
def test_rounding_cannot_change_the_ranks_of_the_least_gap_there_can_be(dtype, n, seed):
    least = 16 * torch.finfo(dtype).eps / 2
    assume((n - 1) * least < 2)
    promise = Promise(n, 1, min_gap=least, dtype=dtype)
    assert promise.resolvable == least
    contexts, _ = draw(promise, torch.Generator().manual_seed(seed), batch=8, dx=1, family="tight")
    rounded = contexts.rewards.to(dtype)
    assert torch.equal(rounded.argsort(), contexts.rewards.argsort())
    assert rounded.double().sort().values.diff().min() >= 0.8 * least


def put(place, value):
    """Another number at one place."""

    def changed(tensor):
        tensor[place] = value
        return tensor

    return changed


CHECKED = a_promise(4, 3)


@pytest.mark.parametrize(
    ("change", "value", "remedy"),
    [
        ({"responses": lambda y: y[..., :2]}, "width 2", "built for d=3; build one for 2"),
        (
            {"responses": lambda y: y[:, :3], "rewards": lambda r: r[:, :3]},
            "3 responses",
            "built for 4; build one for 3",
        ),
        ({"responses": lambda y: y.repeat(1, 2, 1), "rewards": lambda r: r.repeat(1, 2)}, "8 responses", "for 8"),
        ({"query": lambda x: 8 * x / x.norm(dim=-1, keepdim=True)}, "a query has norm 8", "larger max_norm"),
        ({"responses": put((1, 2, 0), 3.0)}, "a response has norm 3", "max_norm=2; scale the data or"),
        ({"rewards": put((1, 2), 1.5)}, "a reward is 1.5", "max_reward=1; rescale the rewards or"),
        ({"rewards": put((1, 2), -1.5)}, "a reward is 1.5", "larger max_reward"),
        ({"rewards": lambda r: r.index_copy(1, torch.tensor([0]), r[:, 1:2])}, "0 apart", "break ties in the rewards"),
        ({"rewards": lambda r: r / 10}, "min_gap=0.02", "smaller min_gap"),
        ({"rewards": put((0, 1), math.nan)}, "nan at [0, 1]", "finite"),
        ({"start": lambda w: w[:1]}, "[1, 3, 2]", "expected [batch, dy, dx] = [2, 3, 2]"),
        ({"start": lambda w: w.mT}, "[2, 2, 3]", "expected [batch, dy, dx] = [2, 3, 2]"),
        ({"start": lambda w: 10 * w / w.norm()}, "a prediction has norm", "scale the data or build one"),
        ({"start": lambda w: w * math.nan}, "a prediction has norm nan", "scale the data or build one"),
    ],
)
def test_contexts_and_starts_that_were_not_promised_are_refused(change, value, remedy):
    contexts, start = draw(CHECKED, torch.Generator().manual_seed(0), batch=2, dx=2, family="tight")
    given = vars(contexts) | {"start": start}
    changed = given | {name: made(given[name].clone()) for name, made in change.items()}
    with pytest.raises(ValueError, match=re.escape(remedy)) as error:
        CHECKED.check(Contexts(*(changed[name] for name in ("query", "responses", "rewards"))), changed["start"])
    assert value in str(error.value)


def test_only_where_fewer_are_welcome_may_there_be_fewer_and_never_more():
    contexts, start = draw(CHECKED, torch.Generator().manual_seed(0), batch=2, dx=2, family="tight")
    for n in (1, 2, 4):
        CHECKED.check(contexts.prefix(n), start, fewer=True)
    with pytest.raises(ValueError, match=r"4 responses, .* up to 3; build one for 4"):
        a_promise(3, 3).check(contexts, start, fewer=True)


@pytest.mark.parametrize("build", [plackett_luce.build, causal.build, attention_only.build, shallow.build])
@pytest.mark.parametrize(("dtype", "norm"), [(torch.float64, 1e99), (torch.float32, 1e11), (torch.bfloat16, 1e11)])
def test_what_is_just_promised_does_not_overflow(build, dtype, norm):
    promise = Promise(4, 3, eta=1e-3, min_gap=0.5, max_norm=norm, dtype=dtype)
    contexts, start = draw(
        replace(promise, dtype=torch.float64), torch.Generator().manual_seed(0), batch=4, dx=2, family="long"
    )
    contexts = replace(contexts, query=contexts.query * (norm / 2))
    start = start / (norm / 2)
    assert build(promise).step(contexts, start).isfinite().all()


def test_what_is_exactly_at_the_limits_is_welcome():
    promise = Promise(3, 2, min_gap=0.5, max_norm=1.5)
    contexts, start = draw(promise, torch.Generator().manual_seed(0), batch=4, dx=2, family="long")
    at = torch.nn.functional.normalize(contexts.responses, dim=-1) * 1.5
    rewards = torch.tensor([0.0, -0.5, 0.5], dtype=torch.float64).expand(4, 3)
    promise.check(replace(contexts, responses=at, rewards=rewards), start)
    promise.check(replace(contexts, rewards=2 * rewards), start)


def test_contexts_and_start_may_have_different_precisions():
    contexts, start = draw(CHECKED, torch.Generator().manual_seed(0), batch=2, dx=2, family="random")
    contexts = replace(contexts, responses=0.9 * contexts.responses)
    construction = bradley_terry.build(CHECKED)
    for given_contexts, given_start in ((contexts.to(torch.float32), start), (contexts, start.float())):
        assert construction.embed(given_contexts, given_start).dtype == torch.float64
