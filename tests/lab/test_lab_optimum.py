"""The least loss, against a grid over all directions, long descents, and what it says of itself."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Generator

from secondlook.lab.exam import angle
from secondlook.lab.objectives import judge
from secondlook.lab.optimum import optimum
from secondlook.lab.tasks import Task, sample
from secondlook.objective import descend

EIGHT = list(range(2, 9))


def draw(task, batch=16, seed=0, dtype=torch.float64):
    return sample(task, batch, Generator().manual_seed(seed), dtype)


def losses(predictions, episodes, seen):
    return judge(predictions, episodes, seen, "pl-cosine")


def grid(episodes, seen, points=7200):
    """The least loss over so many directions of the plane, [batch, p]."""
    turn = torch.linspace(0, 2 * math.pi, points, dtype=torch.float64)
    around, least = torch.stack([turn.cos(), turn.sin()]), []
    for n in seen:
        order = episodes.rewards[:, 0, :n].argsort(-1, descending=True)
        y = episodes.responses[:, 0].take_along_dim(order[..., None], 1)
        s = y / y.norm(dim=-1, keepdim=True) @ around
        least.append((s.flip(1).logcumsumexp(1).flip(1) - s).sum(1).amin(-1))
    return torch.stack(least, dim=1)


@pytest.mark.parametrize(
    "task",
    [Task("released", n=8, dy=2), Task("paper", n=8, dy=2), Task("paper", n=8, dy=2, p=1.0)],
    ids=["released", "paper", "noise"],
)
def test_no_direction_of_the_plane_is_better(task):
    episodes = draw(task)
    found = optimum(episodes, EIGHT)
    best = grid(episodes, EIGHT)
    assert (found.loss <= best + 1e-12).all()
    assert (found.loss - found.gap <= best + 1e-12).all()
    torch.testing.assert_close(found.loss, best, rtol=0, atol=2e-6)


def test_where_one_descent_proves_nothing_several_find_the_best():
    """Noise with its minimum inside the ball: there are local minima, and the first descent can end in one."""
    episodes, seen = draw(Task("paper", n=30, dy=2, p=1.0), 400), [8, 30]
    found = optimum(episodes, seen)
    assert (found.gap > 1e-3).sum() > 100
    torch.testing.assert_close(found.loss, grid(episodes, seen, 720), rtol=0, atol=2e-3)


@pytest.mark.parametrize("task", [Task("released"), Task("paper"), Task("paper", p=1.0)])
def test_no_descent_of_adam_goes_lower(task):
    episodes, seen = draw(task, 6), [2, 3, 10, 20]
    found, g = optimum(episodes, seen), Generator().manual_seed(1)
    best = torch.full_like(found.loss, torch.inf)
    for _ in range(2):
        start = torch.randn(6, 5, generator=g, dtype=torch.float64)
        for rate, steps in ((0.05, 150), (0.005, 150)):
            start = descend(
                start,
                episodes.contexts,
                on="prediction",
                optimizer="adam",
                rate=rate,
                steps=steps,
                reward="cosine",
                prefixes=seen,
            ).last
        best = best.minimum(losses(start, episodes, seen))
    assert (found.loss <= best + 1e-10).all()
    torch.testing.assert_close(found.loss, best, rtol=0, atol=1e-3)


@pytest.mark.parametrize("task", [Task("released"), Task("paper", n=9, dx=2, dy=3), Task("released", p=0.5)])
def test_the_prediction_has_the_loss_and_stands_still(task):
    episodes, seen = draw(task), [2, 4, 9]
    found = optimum(episodes, seen)
    torch.testing.assert_close(losses(found.prediction, episodes, seen), found.loss)
    torch.testing.assert_close(found.prediction.norm(dim=-1), torch.ones_like(found.loss))
    f = found.prediction.clone().requires_grad_()
    (slope,) = torch.autograd.grad(losses(f, episodes, seen).sum(), f)
    assert slope.abs().max() < 1e-6
    (loss,) = losses(episodes.truth.expand(-1, 3, -1), episodes, seen).split(16)
    assert (loss > found.loss).all()


def test_proven_almost_everywhere():
    episodes = draw(Task("released"), 64)
    assert optimum(episodes, list(range(2, 21))).gap.max() < 1e-6


def test_numbers_seen_in_first_trials():
    """14.71 nats, .379/.328/.306/.298/.294 from the truth, 15.39 at the truth; to what 300 contexts can tell."""
    episodes, seen = draw(Task("released"), 300, dtype=torch.float32), list(range(2, 20))
    found = optimum(episodes, seen)
    truth = episodes.truth.expand(-1, len(seen), -1)
    assert found.loss.mean().item() == pytest.approx(14.71, abs=0.15)
    assert losses(truth, episodes, seen).mean().item() == pytest.approx(15.39, abs=0.15)
    error = angle(found.prediction, truth)[[0, 3, 8, 13, 17]]
    torch.testing.assert_close(error, torch.tensor([0.379, 0.328, 0.306, 0.298, 0.294]), rtol=0, atol=0.035)


def test_a_prefix_of_one_has_no_loss():
    episodes = draw(Task("paper", n=4))
    found = optimum(episodes, [1, 4])
    assert found.loss[:, 0].abs().max() < 1e-15
    torch.testing.assert_close(
        found.prediction[:, 0], torch.nn.functional.normalize(episodes.responses[:, 0, 0], dim=-1)
    )


def test_one_dimension_has_two_directions():
    episodes = draw(Task("paper", n=6, dy=1), 30)
    found = optimum(episodes, [2, 6])
    sides = torch.stack([losses(side.expand(30, 2, 1), episodes, [2, 6]) for side in torch.tensor([[-1.0], [1.0]])])
    torch.testing.assert_close(found.loss, sides.amin(0).double())


def test_responses_of_zero_and_all_alike():
    episodes = draw(Task("paper", n=4, dy=3), 2)
    nothing = optimum(replace(episodes, responses=0 * episodes.responses), [1, 4])
    alike = optimum(replace(episodes, responses=episodes.responses[:, :, :1].expand(-1, -1, 4, -1)), [1, 4])
    for found in (nothing, alike):
        assert found.prediction.isfinite().all()
        torch.testing.assert_close(found.loss[:, 1], torch.full((2,), math.log(24), dtype=torch.float64))
        assert found.gap.max() < 1e-12
    one = replace(episodes, responses=torch.cat([0 * episodes.responses[:, :, :1], episodes.responses[:, :, 1:]], 2))
    assert optimum(one, [1, 2, 4]).loss.isfinite().all()


def test_equal_rewards_rank_as_they_came():
    episodes = draw(Task("paper", n=4), 5)
    tied = replace(episodes, rewards=torch.zeros_like(episodes.rewards))
    falling = replace(episodes, rewards=torch.arange(4, 0, -1.0).double().expand_as(episodes.rewards))
    assert torch.equal(optimum(tied, [2, 4]).loss, optimum(falling, [2, 4]).loss)


def test_what_has_no_optimum():
    with pytest.raises(ValueError, match="have 3 queries each"):
        optimum(draw(Task("fresh-query", n=2, queries=3)), [1])
    with pytest.raises(ValueError, match=r"lengths is \[5\]"):
        optimum(draw(Task("paper", n=4)), [5])
