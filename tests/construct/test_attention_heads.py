"""Every head alone: what it carries, and the bound that its docstring states."""

import math

import pytest
import torch
from term_by_term import a_promise, plain_softmax

from secondlook.construct.attention_heads import (
    average_by_distance,
    average_evenly,
    gather,
    match_query,
    pick_top_reward,
    sink,
    tell_top_reward,
)
from secondlook.construct.residual import Coordinates, ResidualLayout
from secondlook.construct.weights import BlockPlan, Move, assemble
from secondlook.transformer import Transformer

N, D = 6, 3
LAYOUT = ResidualLayout(
    {"base": D, "response": D, "direction": 2, "key_direction": 2, "own": N}
    | dict.fromkeys(("reward", "square", "one", "hidden", "bos"), 1),
    {"out": D, "told": 1, "all": N},
)
HIDDEN = ("one", "hidden")
CARRY = (Move("response", "out"),)


def some_tokens(promise, seed=0, **given):
    """Responses as long as promised, predictions too, rewards the least gap apart in some order; one context."""
    generator = torch.Generator().manual_seed(seed)
    count = len(given.get("reward", range(N)))

    def direction(*shape):
        vectors = torch.randn(shape, generator=generator, dtype=torch.float64)
        return promise.max_norm * vectors / vectors.norm(dim=-1, keepdim=True)

    rewards = promise.min_gap * torch.randperm(count, generator=generator).double() - promise.max_reward
    features = {name: torch.zeros(count, width, dtype=torch.float64) for name, width in LAYOUT.fed.items()} | {
        "base": direction(1, D).expand(count, D),
        "response": direction(count, D),
        "reward": rewards[:, None],
        "one": torch.ones(count, 1, dtype=torch.float64),
        "own": torch.eye(count, N, dtype=torch.float64),
    }
    features |= {name: torch.as_tensor(value, dtype=torch.float64).reshape(count, -1) for name, value in given.items()}
    return features | {"square": features["response"].square().sum(-1, keepdim=True)}


def run(head, tokens, slot="out"):
    """Attention of the head [asking, attended to], and what it leaves in a slot [asking, width]."""
    config, weights = assemble(LAYOUT, [BlockPlan((head,))], [slot])
    with torch.no_grad():
        trace = Transformer.load(config, weights).trace(LAYOUT.pack({name: x[None] for name, x in tokens.items()}))
    return trace.attention[0][0, 0], trace.outputs[0]


def in_order(tokens):
    return tokens["reward"][:, 0].argsort(descending=True)


@pytest.mark.parametrize("sharpness", [2.0, 5.0, 10.0, 20.0])
def test_the_top_reward_is_picked_and_told_up_to_a_geometric_series(sharpness):
    promise = a_promise(N, D, sharpness=sharpness)
    tokens = some_tokens(promise)
    attention, carried = run(pick_top_reward(promise, CARRY), tokens)
    order, v = in_order(tokens), tokens["response"]
    ratio = math.exp(-sharpness)
    for m in range(1, N):
        assert (attention[:, order[m]] <= ratio**m * (1 + 1e-9)).all()
    error, apart = (carried - v[order[0]]).norm(dim=-1).max(), (v - v[order[0]]).norm(dim=-1)
    bound = sum(ratio**m * apart[order[m]] for m in range(1, N))
    assert error <= bound + 1e-14
    assert bound <= ratio / (1 - ratio) * apart.max()
    # Gaps are the least that was promised: the first of the wrong tokens gets about as much as it may.
    assert error >= 0.5 * ratio * apart[order[1]]

    _, told = run(tell_top_reward(promise, "told", None), tokens, "told")
    low = tokens["reward"].max() - told
    bound = sum(ratio**m * m * promise.min_gap for m in range(1, N))
    assert (low >= 0.5 * bound).all()
    assert (low <= bound * (1 + 1e-6)).all()
    assert sharpness < 3 or bound < promise.min_gap / 10


def test_who_is_hidden_is_out_of_the_ranking_and_of_the_averages():
    promise = a_promise(N, D)
    tokens = some_tokens(promise)
    order = in_order(tokens)
    tokens["hidden"][order[:2]] = 1
    left = order[2:]
    for head in (pick_top_reward(promise, CARRY, HIDDEN), tell_top_reward(promise, "told", HIDDEN)):
        attention, _ = run(head, tokens)
        assert attention[:, order[:2]].sum() < promise.roundoff
        assert (attention[:, order[2]] > 1 - 1e-15).all()
    for head in (average_by_distance(promise, ("base",), CARRY, HIDDEN), average_evenly(promise, CARRY, HIDDEN)):
        assert run(head, tokens)[0][:, order[:2]].sum() < promise.roundoff
    _, evenly = run(average_evenly(promise, CARRY, HIDDEN), tokens)
    torch.testing.assert_close(evenly, tokens["response"][left].mean(0).expand(N, D), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("sharpness", [None, 3.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_hidden_is_hidden_at_the_worst(steps, sharpness):
    """The hidden one has the highest score there can be, the live one the lowest; a flag of ¾ is enough."""
    promise = a_promise(2, D, steps, sharpness=sharpness)
    along = torch.tensor([[0.0, 0.0, 1.0]])
    worst = some_tokens(
        promise,
        reward=[promise.max_reward, -promise.max_reward],
        response=promise.max_norm * torch.cat([along, -along]),
        base=promise.max_prediction * along.expand(2, D),
        hidden=[0.75, 0.0],
    )
    for head in (pick_top_reward(promise, CARRY, HIDDEN), average_by_distance(promise, ("base",), CARRY, HIDDEN)):
        assert (run(head, worst)[0][:, 0] < promise.roundoff).all()


def test_responses_are_averaged_by_their_distance_from_the_sum_of_the_prediction():
    promise = a_promise(N, D)
    tokens = some_tokens(promise)
    f, y = tokens["base"][0], tokens["response"]
    shares = plain_softmax([-float((f - one).square().sum()) for one in y])
    expected = sum(share * one for share, one in zip(shares, y, strict=True)).expand(N, D)
    split = tokens | {"base": tokens["base"] - 0.25, "own": torch.full((N, N), 0.25, dtype=torch.float64)}
    for slots, given in ((("base",), tokens), (("base", Coordinates("own", 0, D)), split)):
        _, carried = run(average_by_distance(promise, slots, CARRY), given)
        torch.testing.assert_close(carried, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("delta", [1e-6, 0.5, 3.0])
def test_an_error_in_the_scores_moves_the_average_by_at_most_twice_its_size(delta):
    promise = a_promise(N, D)
    for seed in range(5):
        tokens = some_tokens(promise, seed)
        noise = torch.rand(N, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
        head = average_by_distance(promise, ("base",), CARRY)
        exact, off = run(head, tokens)[1], run(head, tokens | {"square": tokens["square"] + delta * noise})[1]
        spread = (tokens["response"] - exact[0]).norm(dim=-1).max()
        assert (off - exact).norm(dim=-1).max() <= 2 * delta * spread * (1 + 1e-6)


def test_values_side_by_side_are_gathered_to_two_roundings():
    promise = a_promise(N, D)
    tokens = some_tokens(promise)
    tokens["own"] = tokens["own"] * tokens["reward"]
    attention, gathered = run(gather((Move("own", "all", float(N)),)), tokens, "all")
    assert attention.eq(1 / N).all()
    rewards = tokens["reward"][:, 0].expand(N, N)
    assert ((gathered - rewards).abs() <= 2 * 2 * promise.roundoff * rewards.abs()).all()


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.99])
def test_a_token_sees_its_own_query_alone(coherence):
    """Two queries at the greatest coherence; the other one has the highest scores there can be, the own the lowest."""
    promise = a_promise(2, D, queries=2, max_coherence=coherence)
    along = torch.tensor([0.0, 0.0, 1.0])
    sides = torch.tensor([[1.0, 0.0], [coherence, math.sqrt(1 - coherence**2)]]).repeat_interleave(2, dim=0)
    worst = some_tokens(
        promise,
        reward=[promise.min_gap - promise.max_reward, -promise.max_reward, promise.max_reward, promise.max_reward],
        response=promise.max_norm * torch.stack([-along, -along, along, along]),
        base=promise.max_prediction * along.expand(4, D),
        direction=sides,
        key_direction=sides,
    )

    picks, _ = run(pick_top_reward(promise, CARRY, extra=match_query(promise.match_reward)), worst)
    averages, _ = run(average_by_distance(promise, ("base",), CARRY, extra=match_query(promise.match_score)), worst)
    for attention in (picks, averages):
        assert attention[:2, 2:].sum(-1).max() < 2 * promise.roundoff
        assert attention[2:, :2].sum(-1).max() < promise.roundoff
    assert picks[0, 0] == pytest.approx(1, abs=1e-10)
    torch.testing.assert_close(averages[0, :2], torch.full((2,), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("sharpness", [None, 3.0])
def test_a_sink_takes_less_than_a_rounding_and_all_that_is_left(sharpness):
    """One live token with the lowest score there can be; then none."""
    promise = a_promise(2, D, sharpness=sharpness)
    along = torch.tensor([0.0, 0.0, 1.0])
    lowest = some_tokens(
        promise,
        reward=[0.0, -promise.max_reward],
        response=torch.stack([0 * along, -promise.max_norm * along]),
        base=promise.max_prediction * along.expand(2, D),
        bos=[1.0, 0.0],
    )
    # The token carries nothing, nor has it a reward.
    bottom = (-promise.reward_range / 2, promise.min_score)
    heads = [
        pick_top_reward(promise, CARRY, HIDDEN, (sink(bottom[0] - promise.silence),)),
        average_by_distance(promise, ("base",), CARRY, HIDDEN, (sink(bottom[1] - promise.silence),)),
    ]
    for head in heads:
        assert run(head, lowest)[0][:, 0].max() < promise.roundoff
        highest = lowest | {
            "reward": -lowest["reward"],
            "response": -lowest["response"],
            "hidden": lowest["one"] - lowest["bos"],
        }
        attention, carried = run(head, highest)
        assert attention[:, 1].max() < promise.roundoff
        assert carried.abs().max() < promise.roundoff * promise.max_norm
