"""Baselines against plain formulas of one context and prefix, and the posterior mean against the Gaussian it is of."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Generator

from secondlook.lab import baselines as room
from secondlook.lab.averages import best_of_n, mean, regression, ridge_best, ridge_weighted, weighted_mean
from secondlook.lab.baselines import baselines
from secondlook.lab.descents import constructed, gradient_descent, released, sharpness, tune
from secondlook.lab.objectives import judge
from secondlook.lab.posterior import bayes_fresh, bayes_paper, bayes_released
from secondlook.lab.tasks import Task, sample
from secondlook.lab.tokens import reads
from secondlook.objective import descend, query_step

PAPER, RELEASED = Task("paper", n=7, dx=3, dy=2), Task("released", n=7, dx=3, dy=2)
FRESH = Task("fresh-query", n=3, queries=6, dx=3, dy=2)
AVERAGES = (mean, best_of_n, weighted_mean, regression)
RIDGES = (ridge_best, ridge_weighted)
SEEN = [1, 2, 5, 7]


def draw(task, batch=4, seed=0, dtype=torch.float64):
    return sample(task, batch, Generator().manual_seed(seed), dtype)


def with_rewards(episodes, *rewards):
    """The same with these rewards in every context."""
    new = torch.tensor(rewards, dtype=episodes.rewards.dtype).expand_as(episodes.rewards).clone()
    return replace(episodes, rewards=new, clean=new)


def average(name, y, r):
    """Of one prefix: y [k, dy], r [k]."""
    if name == "best_of_n":
        return max(zip(r.tolist(), y, strict=True), key=lambda pair: pair[0])[1]
    if name == "weighted_mean":
        return sum(ri * yi for ri, yi in zip(r, y, strict=True)) / r.sum()
    if name == "regression" and len(r) > 1:
        design = torch.stack([torch.ones_like(r), r], dim=1)
        return torch.tensor([1.0, 1.0], dtype=r.dtype) @ torch.linalg.lstsq(design, y).solution
    return y.mean(0)


@pytest.mark.parametrize("baseline", AVERAGES)
@pytest.mark.parametrize("task", [PAPER, RELEASED, replace(PAPER, p=0.5)])
def test_averages(baseline, task):
    episodes = draw(task)
    found = baseline(episodes, SEEN)
    assert found.shape == (4, len(SEEN), 2)
    for b in range(4):
        for k, n in enumerate(SEEN):
            slow = average(baseline.__name__, episodes.responses[b, 0, :n], episodes.rewards[b, 0, :n])
            torch.testing.assert_close(found[b, k], slow, rtol=1e-7, atol=1e-9)


def test_equal_rewards():
    episodes = draw(PAPER)
    y = episodes.responses[:, 0]
    equal = with_rewards(episodes, *[0.1] * 7)
    torch.testing.assert_close(regression(equal, SEEN), mean(equal, SEEN), rtol=0, atol=1e-15)
    assert torch.equal(best_of_n(equal, [7])[:, 0], y[:, 0])
    later = with_rewards(episodes, 0.1, 0.3, 0.2, 0.3, 0.4, 0.4, 0.0)
    assert torch.equal(best_of_n(later, [1, 4, 7]), y[:, [0, 1, 4]])


def test_rewards_that_differ_by_next_to_nothing_give_the_line_through_them():
    episodes = draw(PAPER)
    close = with_rewards(episodes, 0.9, 0.9 + 1e-9, *[0.5] * 5)
    y = episodes.responses[:, 0]
    line = y[:, 0] + (y[:, 1] - y[:, 0]) * 0.1 / 1e-9
    torch.testing.assert_close(regression(close, [2])[:, 0], line, rtol=1e-6, atol=0)


def test_rewards_below_zero_weigh_nothing():
    episodes = with_rewards(draw(PAPER), -1.0, -2.0, 0.5, -0.5, 1.0, 0.0, 0.0)
    y = episodes.responses[:, 0]
    third = (0.5 * y[:, 2] + y[:, 4]) / 1.5
    torch.testing.assert_close(weighted_mean(episodes, [2, 4, 7]), torch.stack([y[:, :2].mean(1), y[:, 2], third], 1))


def posterior(prior, design, noise, observed):
    """Mean of a Gaussian vector θ with covariance ``prior`` after observing design·θ + noise, by joint covariances."""
    return prior @ design.mT @ torch.linalg.pinv(design @ prior @ design.mT + noise, hermitian=True) @ observed


@pytest.mark.parametrize(("task", "bayes"), [(PAPER, bayes_paper), (RELEASED, bayes_released)])
def test_bayes_is_the_mean_of_the_gaussian(task, bayes):
    """θ = (Wx, W₁⁻x, W₂⁻x, …), each normal with variance ‖x‖², and a response is a row of the design."""
    episodes = draw(task)
    found = bayes(episodes, SEEN)
    for b in range(4):
        for k, n in enumerate(SEEN):
            r, y = episodes.rewards[b, 0, :n], episodes.responses[b, 0, :n]
            wrong = torch.ones(n, 1) if task.name == "released" else torch.eye(n)
            design = torch.cat([r[:, None], (1 - r)[:, None] * wrong], dim=1).double()
            prior = episodes.queries[b, 0].square().sum() * torch.eye(design.shape[1])
            mean_ = posterior(prior.double(), design, torch.zeros(n, n), y)[0]
            torch.testing.assert_close(found[b, k], mean_, rtol=1e-6, atol=1e-8)


def test_bayes_of_a_fresh_query_is_the_mean_of_the_gaussian():
    """θ = vec(W), standard normal; every coordinate of every response is an observation."""
    episodes, seen = draw(FRESH), [1, 3, 5]
    found = bayes_fresh(episodes, seen)
    for b in range(4):
        for k, many in enumerate(seen):
            rows, noise, observed = [], [], []
            for q in range(many):
                x = episodes.queries[b, q]
                for r, y in zip(episodes.rewards[b, q], episodes.responses[b, q], strict=True):
                    rows.append(r * torch.kron(torch.eye(2), x[None]))
                    noise += [(1 - r) ** 2 * x.square().sum()] * 2
                    observed.append(y)
            design = torch.cat(rows)
            weights = posterior(torch.eye(6).double(), design, torch.diag(torch.stack(noise)), torch.cat(observed))
            test = weights.view(2, 3) @ episodes.queries[b, many]
            torch.testing.assert_close(found[b, k], test, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("task", [replace(PAPER, dy=5), replace(RELEASED, dy=5)])
@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-7])
def test_a_reward_of_one_is_the_truth(task, gap):
    episodes = draw(task)
    r = torch.tensor([0.5, 1 - gap, 0.2, 1 - gap, 0.0, 0.4, 0.9], dtype=torch.float64).expand(4, 1, 7)
    wrong = torch.randn(4, 1, 7, 5, generator=Generator().manual_seed(1), dtype=torch.float64)
    wrong = wrong[:, :, :1] if task.name == "released" else wrong
    y = r[..., None] * episodes.truth[:, :, None] + (1 - r[..., None]) * wrong
    known = replace(episodes, responses=y, rewards=r, clean=r)
    bayes = bayes_paper if task.name == "paper" else bayes_released
    torch.testing.assert_close(bayes(known, [2, 4, 7]), episodes.truth.expand(-1, 3, -1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("task", [replace(PAPER, dy=5), FRESH], ids=lambda task: task.name)
def test_nothing_comes_closer_to_the_truth_than_the_posterior_mean(task, monkeypatch):
    monkeypatch.setattr(room, "STEPS", (2, 20))
    episodes = draw(task, 500)
    seen = [1, 2, 3, 5] if task.fresh else SEEN
    truth = episodes.truth[:, seen] if task.fresh else episodes.truth
    known = baselines(task)
    off = {name: (of(episodes, seen) - truth).square().sum(-1) for name, of in known.items()}
    for name in known.keys() - {"bayes"}:
        worse = off[name] - off["bayes"]
        assert (worse.mean(0) > 0).all(), name
        assert worse[:, -1].mean() > 3 * worse[:, -1].std() / math.sqrt(len(episodes)), name


def slow_descent(f, x, sets, rate, steps, reward):
    """Gradient descent on all of W for one context; ``sets`` holds a query, its responses and rewards each."""
    w = f.clone().requires_grad_()
    for _ in range(steps):
        loss = 0
        for query, y, r in sets:
            g = w @ query
            ranked = y[r.argsort(descending=True, stable=True)]
            s = -(g - ranked).square().sum(-1) if reward == "squared" else torch.cosine_similarity(g[None], ranked)
            loss = loss + sum(s[i:].logsumexp(0) - s[i] for i in range(len(s)))
        (slope,) = torch.autograd.grad(loss, w)
        w = (w - rate * slope).detach().requires_grad_()
    return (w @ x).detach()


@pytest.mark.parametrize("reward", ["squared", "cosine"])
def test_descent_at_one_query(reward):
    episodes, seen = draw(PAPER, 2), [2, 4, 7]
    run = partial(gradient_descent, episodes, seen, reward=reward, rate=0.05)
    start = run(steps=0, generator=Generator().manual_seed(3))
    found = run(steps=6, generator=Generator().manual_seed(3))
    assert torch.equal(start[:, 0], start[:, 2])
    assert start.any() == (reward == "cosine")
    for b in range(2):
        x = episodes.queries[b, 0]
        weights = start[b, 0][:, None] * x / x.square().sum()
        for k, n in enumerate(seen):
            sets = [(x, episodes.responses[b, 0, :n], episodes.rewards[b, 0, :n])]
            slow = slow_descent(weights, x, sets, 0.05, 6, reward)
            torch.testing.assert_close(found[b, k], slow, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("reward", ["squared", "cosine"])
def test_descent_before_a_fresh_query(reward):
    episodes, seen = draw(FRESH, 2), [1, 4]
    found = gradient_descent(episodes, seen, reward=reward, rate=0.05, steps=4, generator=Generator().manual_seed(3))
    start = 0.1 * torch.randn(2, 2, 3, generator=Generator().manual_seed(3), dtype=torch.float64)
    for b in range(2):
        for k, many in enumerate(seen):
            sets = [(episodes.queries[b, q], episodes.responses[b, q], episodes.rewards[b, q]) for q in range(many)]
            weights = start[b] if reward == "cosine" else torch.zeros(2, 3, dtype=torch.float64)
            slow = slow_descent(weights, episodes.queries[b, many], sets, 0.05, 4, reward)
            torch.testing.assert_close(found[b, k], slow, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("task", [PAPER, FRESH], ids=lambda task: task.name)
@pytest.mark.parametrize(("objective", "reward"), [("pl-squared", "squared"), ("pl-cosine", "cosine")])
def test_tuning_takes_the_least_loss_of_the_grid(task, objective, reward):
    rates, steps = (0.3, 0.02, 0.1), (1, 8, 3)
    chosen = tune(task, objective, Generator().manual_seed(5), rates=rates, steps=steps)
    generator = Generator().manual_seed(5)
    pilot, seen = sample(task, 64, generator), reads(task, "merged")[1]
    state, losses = generator.get_state(), {}
    for rate in rates:
        for number in steps:
            generator.set_state(state)
            found = gradient_descent(pilot, seen, reward=reward, rate=rate, steps=number, generator=generator)
            losses[rate, number] = judge(found, pilot, seen, objective).mean().item()
    assert chosen == min(losses, key=losses.get)
    assert tune(task, objective, Generator().manual_seed(5), rates=rates, steps=steps) == chosen
    assert tune(task, objective, Generator().manual_seed(5), rates=[0.1], steps=[3]) == (0.1, 3)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_construction_descends(noise):
    episodes = draw(replace(PAPER, p=noise))
    rewards = episodes.rewards.clone()
    rewards[0, 0, [1, 4]] = rewards[0, 0, [0, 2]]
    tied, seen = replace(episodes, rewards=rewards), [7, 1, 2, 4]
    found = constructed(tied, seen, rate=0.05, steps=3)
    assert torch.equal(found, constructed(tied, seen, rate=0.05))
    start = torch.zeros(4, 2, 3, dtype=torch.float64)
    last = (
        descend(start, tied.contexts, on="weights", optimizer="gd", rate=0.05, steps=3, prefixes=seen).last
        @ tied.queries[:, 0, None, :, None]
    )
    torch.testing.assert_close(found, last[..., 0], rtol=0, atol=1e-9)
    assert found[:, 1].abs().max() < 1e-100
    for b in range(4):
        x2, f = tied.queries[b, 0].square().sum(), torch.zeros(2, dtype=torch.float64)
        for _ in range(3):
            f = f + query_step(f, tied.responses[b, 0, :4], rewards[b, 0, :4], 0.05, x2)
        torch.testing.assert_close(found[b, 3], f, rtol=0, atol=1e-9)


@pytest.mark.parametrize("baseline", RIDGES)
def test_ridge_regression(baseline):
    """Least squares on the queries seen and, for the penalty, on the axes with answers of 0."""
    episodes, seen, penalty = draw(replace(FRESH, p=0.5)), [1, 4, 5], 0.7
    found = baseline(episodes, seen, penalty=penalty)
    for b in range(4):
        for k, many in enumerate(seen):
            name = "best_of_n" if baseline is ridge_best else "weighted_mean"
            targets = [average(name, episodes.responses[b, q], episodes.rewards[b, q]) for q in range(many)]
            design = torch.cat([episodes.queries[b, :many], math.sqrt(penalty) * torch.eye(3).double()])
            answers = torch.cat([torch.stack(targets), torch.zeros(3, 2)])
            weights = torch.linalg.lstsq(design, answers).solution
            torch.testing.assert_close(found[b, k], episodes.queries[b, many] @ weights, rtol=1e-9, atol=1e-9)


SINGLE = {"mean", "best of n", "weighted mean", "regression", "constructed", "descent, as released"}
DESCENTS = {"descent", "descent, tuned"}


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (replace(PAPER, n=4), SINGLE | {"bayes"}),
        (replace(RELEASED, n=4), SINGLE | {"bayes"}),
        (replace(RELEASED, n=4, p=0.5), SINGLE),
        (replace(PAPER, n=4, name="preference-only", noise="gaussian", p=2.0), SINGLE),
        (Task("verdicts", n=4, dx=3, dy=2), SINGLE),
        (replace(FRESH, queries=3), {"ridge on best", "ridge on weighted mean", "bayes"}),
    ],
    ids=lambda value: value.name if isinstance(value, Task) else "",
)
def test_what_applies_to_a_task(task, names, monkeypatch):
    monkeypatch.setattr(room, "STEPS", (2, 5))
    known = baselines(task)
    other = "cosine" if task.fresh else "squared"
    assert known.keys() == names | DESCENTS | {f"descent, {other} reward", f"descent, {other} reward, tuned"}
    episodes, (_, seen) = draw(task, 3, dtype=torch.float32), reads(task, "merged")
    for name, baseline in known.items():
        found = baseline(episodes, seen)
        assert found.shape == (3, len(seen), task.dy), name
        assert found.dtype == torch.float32, name
        assert found.isfinite().all(), name
        assert torch.equal(found, baseline(episodes, seen)), name


def test_descent_as_released_is_adam_on_a_linear_layer():
    """Context by context, prefix by prefix, with torch's own layer and optimiser and a loss written out."""
    episodes, seen = draw(RELEASED, 4, dtype=torch.float32), [2, 5]
    found = released(episodes, seen, generator=Generator().manual_seed(3))
    starts = torch.empty(4, RELEASED.dy, RELEASED.dx)
    starts.uniform_(-(RELEASED.dx**-0.5), RELEASED.dx**-0.5, generator=Generator().manual_seed(3))
    for b in range(4):
        for k, n in enumerate(seen):
            layer = torch.nn.Linear(RELEASED.dx, RELEASED.dy, bias=False)
            layer.weight.data.copy_(starts[b])
            optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
            y = episodes.responses[b, 0, :n][episodes.rewards[b, 0, :n].argsort(descending=True)]
            for _ in range(50):
                s = torch.cosine_similarity(layer(episodes.queries[b, 0])[None], y, dim=-1)
                optimizer.zero_grad()
                sum(s[i:].logsumexp(0) - s[i] for i in range(n)).backward()
                optimizer.step()
            torch.testing.assert_close(found[b, k], layer(episodes.queries[b, 0]).detach(), rtol=2e-3, atol=2e-3)
    assert max(starts.abs().max(), torch.nn.Linear(RELEASED.dx, RELEASED.dy).weight.abs().max()) <= RELEASED.dx**-0.5


def test_sharpness_is_that_of_the_hessian():
    episodes = draw(PAPER, 3)
    contexts, (n, dx, dy) = episodes.contexts, (PAPER.n, PAPER.dx, PAPER.dy)
    found = sharpness(episodes)
    for b in range(3):
        y = contexts.responses[b][contexts.rewards[b].argsort(descending=True)]

        def loss(flat, y=y, x=contexts.query[b]):
            s = -(flat.view(dy, dx) @ x - y).square().sum(-1)
            return sum(s[i:].logsumexp(0) - s[i] for i in range(n))

        hessian = torch.autograd.functional.hessian(loss, torch.zeros(dx * dy, dtype=y.dtype))
        assert found[b].item() == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item())


@pytest.mark.parametrize("baseline", [*AVERAGES, bayes_paper, bayes_released, gradient_descent, constructed])
@pytest.mark.parametrize("seen", [[], [0], [2, 8]])
def test_lengths_that_do_not_exist(baseline, seen):
    with pytest.raises(ValueError, match=r"seen is \[.*\]: give a list of numbers of responses, from 1 to 7"):
        baseline(draw(PAPER), seen)


@pytest.mark.parametrize("baseline", [*RIDGES, bayes_fresh, gradient_descent])
@pytest.mark.parametrize("seen", [[], [0], [2, 6]])
def test_queries_that_do_not_exist(baseline, seen):
    with pytest.raises(ValueError, match=r"seen is \[.*\]: give a list of numbers of queries, from 1 to 5"):
        baseline(draw(FRESH), seen)


def test_the_wrong_task():
    for baseline in (*AVERAGES, bayes_paper, bayes_released, constructed):
        with pytest.raises(ValueError, match="episodes have 6 queries: this baseline is for 1"):
            baseline(draw(FRESH), [1])
    for baseline in (*RIDGES, bayes_fresh):
        with pytest.raises(ValueError, match="episodes have 1 queries: this baseline is for 2 or more"):
            baseline(draw(PAPER), [1])


@pytest.mark.parametrize(
    ("task", "bayes"),
    [(PAPER, bayes_paper), (RELEASED, bayes_released), (FRESH, bayes_fresh)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_no_posterior_for_rewards_that_are_not_true(task, bayes):
    for noise in ("replace", "gaussian", "adversarial"):
        bayes(draw(replace(task, noise=noise)), [2])
        with pytest.raises(ValueError, match="the posterior mean is known for p = 0 only"):
            bayes(draw(replace(task, noise=noise, p=0.5)), [2])


def test_a_descent_that_cannot_start_or_be_tuned():
    with pytest.raises(ValueError, match="generator is None: give one"):
        gradient_descent(draw(PAPER), [2], reward="cosine")
    with pytest.raises(ValueError, match="objective is 'bt': descent has a reward for pl-squared and pl-cosine only"):
        tune(PAPER, "bt", Generator())
    for grid in ({"rates": []}, {"steps": ()}):
        with pytest.raises(ValueError, match="give at least one of each to try"):
            tune(PAPER, "pl-squared", Generator(), **grid)
