"""Problems have the law they say, tasks share what they say they share, and a reward shows what it says."""

import pytest
import torch
from scipy import stats
from torch import Generator

from secondlook.lab.tasks import Task, sample

DEPENDENT = Task("fresh-query", n=3, queries=4, dx=3, dy=2)
TASKS = [Task("paper", n=6), Task("released", n=6, dx=3), Task("preference-only", n=6, dy=2), DEPENDENT]
NOISES = ("replace", "gaussian", "adversarial")
every = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def draw(task, batch=5, seed=0, **kwargs):
    return sample(task, batch, Generator().manual_seed(seed), **kwargs)


def with_(task, **fields):
    return Task(**{**vars(task), **fields})


def matrices(task, batch, seed):
    """The task as the paper has it: W and every W⁻ are drawn as matrices."""
    g = Generator().manual_seed(seed)
    x = torch.randn(batch, task.dx, generator=g)
    w = torch.randn(batch, task.dy, task.dx, generator=g)
    wrong = torch.randn(batch, 1 if task.name == "released" else task.n, task.dy, task.dx, generator=g)
    r = torch.rand(batch, task.n, generator=g)
    y = torch.stack(
        [
            r[:, i, None] * (w @ x[..., None])[..., 0]
            + (1 - r[:, i, None]) * (wrong[:, min(i, wrong.shape[1] - 1)] @ x[..., None])[..., 0]
            for i in range(task.n)
        ],
        dim=1,
    )
    return x, y, r, (w @ x[..., None])[..., 0]


def functionals(x, y, r, truth):
    """Numbers of a context that see lengths, angles and what responses have in common."""
    wrong = (y - r[..., None] * truth[:, None]) / (1 - r[..., None])
    return {
        "coordinate of the truth": truth[:, 0],
        "truth against query": truth.norm(dim=-1) / x.norm(dim=-1),
        "length of a response": y[:, 1].norm(dim=-1),
        "two responses": (y[:, 0] * y[:, 1]).sum(-1),
        "response and truth": torch.cosine_similarity(y[:, 2], truth, dim=-1),
        "two of the wrong ones": torch.cosine_similarity(wrong[:, 0], wrong[:, 1], dim=-1),
        "rewards": r[:, 0] * r[:, 1],
    }


@pytest.mark.parametrize("name", ["paper", "released"])
def test_at_one_query_the_law_is_that_of_matrices(name):
    task = Task(name, n=3, dx=3, dy=4)
    episodes = draw(task, 4000)
    ours = functionals(episodes.queries[:, 0], episodes.responses[:, 0], episodes.clean[:, 0], episodes.truth[:, 0])
    theirs = functionals(*matrices(task, 4000, seed=1))
    for key in ours:
        assert stats.ks_2samp(ours[key].numpy(), theirs[key].numpy()).pvalue > 1e-3, key


def test_the_law_of_the_two_tasks_differs():
    ours, theirs = (functionals(*matrices(Task(name, n=3, dx=3, dy=4), 1000, seed=1)) for name in ("paper", "released"))
    assert stats.ks_2samp(ours["two responses"].numpy(), theirs["two responses"].numpy()).pvalue < 1e-6


@every
def test_a_response_is_made_of_truth_and_noise(task):
    episodes = draw(task, dtype=torch.float64)
    r = episodes.clean[..., None]
    assert torch.equal(r, r.clamp(0, 1))
    wrong = (episodes.responses - r * episodes.truth[:, :, None]) / (1 - r)
    spread = wrong.std(dim=2)
    if task.name == "released":
        assert spread.max() < 1e-9
    else:
        assert spread.min() > 1e-3
    assert (wrong - episodes.truth[:, :, None]).abs().min() > 1e-6


def test_verdicts_are_of_two_answers_one_of_each_at_first_and_are_flipped_as_often_as_said():
    episodes = draw(Task("verdicts", n=8, dx=3, noise="adversarial", p=0.25), 4000, dtype=torch.float64)
    right, y = episodes.clean[:, 0] == 1, episodes.responses[:, 0]
    assert torch.equal(episodes.clean.unique(), torch.tensor([0.0, 1.0]).double())
    assert (right[:, 0] != right[:, 1]).all()
    torch.testing.assert_close(y[right], episodes.truth.expand(-1, 8, -1)[right])
    assert all(len(answers[~is_right].unique(dim=0)) == 1 for answers, is_right in zip(y[:50], right[:50], strict=True))
    assert right[:, 2:].double().mean() == pytest.approx(0.5, abs=0.02)
    flipped = (episodes.rewards != episodes.clean).double()
    assert torch.equal(episodes.rewards.unique(), torch.tensor([0.0, 1.0]).double())
    torch.testing.assert_close(flipped.mean((0, 1)), torch.full((8,), 0.25).double(), atol=0.03, rtol=0)
    assert abs(flipped[:, 0][right].mean() - flipped[:, 0][~right].mean()) < 0.02
    with pytest.raises(ValueError, match="noise is 'replace': a verdict is 1 or 0"):
        Task("verdicts", p=0.5)


def test_fresh_queries_share_one_w():
    episodes = draw(DEPENDENT, 2000, dtype=torch.float64)
    assert episodes.queries.shape == (2000, 4, 3)
    torch.testing.assert_close(episodes.truth, torch.einsum("byx,bqx->bqy", episodes.weights, episodes.queries))
    wrong = (episodes.responses - episodes.clean[..., None] * episodes.truth[:, :, None]) / (1 - episodes.clean)[
        ..., None
    ]
    # As long as a standard normal W⁻ makes them, in every direction alike, and none like another.
    scaled = (wrong / episodes.queries.norm(dim=-1)[..., None, None]).flatten(1)
    assert stats.kstest(scaled[:, 0].numpy(), "norm").pvalue > 1e-3
    correlation = torch.corrcoef(scaled.mT) - torch.eye(scaled.shape[1])
    assert correlation.abs().max() < 0.1


@every
def test_shapes_and_seeds(task):
    episodes, again, other = draw(task), draw(task), draw(task, seed=1)
    assert len(episodes) == 5
    assert episodes.queries.shape == (5, task.queries, task.dx)
    assert episodes.responses.shape == (5, task.queries, task.n, task.dy)
    assert episodes.rewards.shape == episodes.clean.shape == (5, task.queries, task.n)
    assert episodes.truth.shape == (5, task.queries, task.dy)
    assert (episodes.weights is not None) == task.fresh
    for name in ("queries", "responses", "rewards", "clean", "truth"):
        assert torch.equal(getattr(episodes, name), getattr(again, name))
        assert not torch.equal(getattr(episodes, name), getattr(other, name))
        assert getattr(draw(task, dtype=torch.float64), name).dtype == torch.float64


@every
@pytest.mark.parametrize("noise", NOISES)
def test_tasks_that_differ_in_noise_share_all_else(task, noise):
    plain = draw(with_(task, noise=noise))
    assert task.name == "preference-only" or torch.equal(plain.rewards, plain.clean)
    for p in (0.0, 0.4, 1.0):
        noisy = draw(with_(task, noise=noise, p=p))
        for name in ("queries", "responses", "clean", "truth"):
            assert torch.equal(getattr(plain, name), getattr(noisy, name)), name
        assert torch.equal(plain.rewards, noisy.rewards) == (p == 0)


def test_replaced_rewards_know_nothing():
    episodes = draw(Task(p=0.3), 500)
    hit = episodes.rewards != episodes.clean
    assert hit.float().mean().item() == pytest.approx(0.3, abs=0.02)
    new, old = episodes.rewards[hit].numpy(), episodes.clean[hit].numpy()
    assert stats.kstest(new, "uniform").pvalue > 1e-3
    assert abs(stats.pearsonr(new, old).statistic) < 0.06


def test_adversarial_rewards_are_turned_around():
    episodes = draw(Task(noise="adversarial", p=0.7), 500)
    hit = episodes.rewards != episodes.clean
    assert hit.float().mean().item() == pytest.approx(0.7, abs=0.02)
    torch.testing.assert_close(episodes.rewards[hit], 1 - episodes.clean[hit], rtol=0, atol=0)


def test_gaussian_rewards_are_off_by_so_much():
    off = [(e.rewards - e.clean).flatten() for e in (draw(Task(noise="gaussian", p=p), 500) for p in (0.5, 2.0))]
    assert stats.kstest(off[0].numpy() / 0.5, "norm").pvalue > 1e-3
    torch.testing.assert_close(off[1], 4 * off[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise", NOISES)
def test_preferences_show_an_order_and_nothing_else(noise):
    p = 0.3
    shown, scores = (draw(Task(name, noise=noise, p=p), 2000).rewards[:, 0] for name in ("preference-only", "paper"))
    assert torch.equal(shown.argsort(-1), scores.argsort(-1))
    # Uniform like rewards, and within an order independent of what they stand for.
    assert stats.kstest(shown[:, 0].numpy(), "uniform").pvalue > 1e-3
    ours, theirs = shown.sort(-1).values, scores.sort(-1).values
    for rank in (0, 10, 19):
        assert abs(stats.pearsonr(ours[:, rank].numpy(), theirs[:, rank].numpy()).statistic) < 0.08


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "papers"}, "name is 'papers': choose one of paper, released, preference-only, fresh-query"),
        ({"noise": "none"}, "noise is 'none': choose one of replace, gaussian, adversarial"),
        ({"dx": 0}, "dx is 0: give at least 1"),
        ({"dy": -1}, "dy is -1: give at least 1"),
        ({"n": 1}, "n is 1: "),
        ({"queries": 2}, "queries is 2: give 2 or more for fresh-query, and 1 for other tasks"),
        ({"name": "fresh-query"}, "queries is 1: "),
        ({"p": 1.5}, "p is 1.5: give a probability"),
        ({"p": -0.1}, "p is -0.1"),
        ({"p": float("nan")}, "p is nan"),
        ({"noise": "gaussian", "p": -1.0}, "p is -1.0"),
    ],
)
def test_fields_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        Task(**fields)


def test_what_there_is_not():
    one, several = draw(Task("paper", n=6)), draw(DEPENDENT)
    with pytest.raises(ValueError, match="have 4 queries each: use multi_query"):
        _ = several.contexts
    for seen in (0, 4):
        with pytest.raises(ValueError, match=f"seen is {seen}: these problems have tests after 1 to 3 queries"):
            several.multi_query(seen)
    with pytest.raises(ValueError, match="seen is 1"):
        one.multi_query(1)
    with pytest.raises(ValueError, match="batch is 0: give at least 1"):
        draw(DEPENDENT, 0)
