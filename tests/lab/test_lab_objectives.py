"""Objectives against loops over contexts, prefixes, ranks and pairs."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Generator

from secondlook.lab.objectives import OBJECTIVES, judge, margins
from secondlook.lab.tasks import Task, sample

TASKS = [Task("paper", n=6, dx=3, dy=4), Task("fresh-query", n=4, queries=5, dx=3, dy=2)]
each = pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "right"])
both = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def draw(task, seen, seed=0):
    g = Generator().manual_seed(seed)
    episodes = sample(task, 3, g, torch.float64)
    return torch.randn(3, len(seen), task.dy, generator=g, dtype=torch.float64), episodes


def prefixes(task):
    return [1, 2, 3, 4] if task.fresh else [2, 3, 5, 6]


def loss(f, y, r, truth, objective):
    """One prediction, in plain Python."""
    if objective == "regression":
        return sum((a - b) ** 2 for a, b in zip(f, truth, strict=True))

    def score(one):
        if objective == "pl-cosine":
            dot = sum(a * b for a, b in zip(f, one, strict=True))
            return dot / math.hypot(*f) / math.hypot(*one)
        return -sum((a - b) ** 2 for a, b in zip(f, one, strict=True))

    ranked = [score(y[i]) for i in sorted(range(len(r)), key=lambda i: -r[i])]
    if objective == "bt":
        pairs = [math.log1p(math.exp(worse - better)) for better, worse in combinations(ranked, 2)]
        return sum(pairs) / len(pairs)
    factors = [math.log(sum(map(math.exp, ranked[i:]))) - ranked[i] for i in range(len(ranked))]
    return factors[0] if objective == "infonce" else sum(factors)


@both
@each
def test_objectives_equal_loops(task, objective):
    seen = prefixes(task)
    predictions, episodes = draw(task, seen)
    found = judge(predictions, episodes, seen, objective)
    assert found.shape == (3, len(seen))
    for b in range(3):
        for k, number in enumerate(seen):
            q, n = (number, task.n) if task.fresh else (0, number)
            y, r = episodes.responses[b, q, :n].tolist(), episodes.rewards[b, q, :n].tolist()
            slow = loss(predictions[b, k].tolist(), y, r, episodes.truth[b, q].tolist(), objective)
            assert found[b, k].item() == pytest.approx(slow, rel=1e-9)


def test_the_cosine_sees_no_length_and_the_truth_has_no_error():
    task, seen = TASKS[0], prefixes(TASKS[0])
    predictions, episodes = draw(task, seen)
    torch.testing.assert_close(judge(predictions, episodes, seen), judge(3 * predictions, episodes, seen, "pl-cosine"))
    truth = episodes.truth.expand(-1, len(seen), -1)
    assert not judge(truth, episodes, seen, "regression").any()


def test_equal_rewards():
    """A pair of equals is no pair; of equals the earlier is the best."""
    predictions, episodes = draw(TASKS[0], [2, 3])
    rewards = episodes.rewards.clone()
    rewards[..., :2], rewards[..., 2] = 0.5, 0.2
    tied = replace(episodes, rewards=rewards)
    assert not judge(predictions, tied, [2, 3], "bt")[:, 0].any()
    s = -(predictions[:, 1, None] - episodes.responses[:, 0, :3]).square().sum(-1)
    pairs = torch.stack([torch.log1p((s[:, 2] - s[:, i]).exp()) for i in (0, 1)])
    torch.testing.assert_close(judge(predictions, tied, [2, 3], "bt")[:, 1], pairs.mean(0))
    torch.testing.assert_close(judge(predictions, tied, [2, 3], "infonce")[:, 1], s.logsumexp(-1) - s[:, 0])


def test_the_right_of_two_answers_is_the_likelier_the_nearer_it_is():
    """−log P of the right answer, by distances; and only where there is one right and one wrong."""
    task, seen = Task("verdicts", n=6, dx=3, dy=4, noise="adversarial", p=0.3), [2, 4, 6]
    predictions, episodes = draw(task, seen)
    found, delta = judge(predictions, episodes, seen, "right"), margins(predictions, episodes)
    for b in range(3):
        wrong = next(y for y, right in zip(episodes.responses[b, 0], episodes.clean[b, 0], strict=True) if not right)
        for k in range(3):
            near, far = ((predictions[b, k] - y).square().sum().item() for y in (episodes.truth[b, 0], wrong))
            assert delta[b, k].item() == pytest.approx(far - near, rel=1e-9)
            assert found[b, k].item() == pytest.approx(math.log1p(math.exp(near - far)), rel=1e-9)
    with pytest.raises(ValueError, match="one right and one wrong: task verdicts"):
        judge(*draw(TASKS[0], seen), seen, "right")


def test_unknown_objectives_and_lengths():
    predictions, episodes = draw(TASKS[0], [2])
    with pytest.raises(ValueError, match="objective is 'dpo': choose one of pl-squared, pl-cosine, bt, infonce"):
        judge(predictions, episodes, [2], "dpo")
    with pytest.raises(ValueError, match=r"lengths is \[7\]"):
        judge(predictions, episodes, [7])
    with pytest.raises(ValueError, match="shape"):
        judge(predictions[..., :2], episodes, [2])
