"""Processes that share every batch train what one process trains, up to the order in which numbers are added."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from ranks import together

from secondlook.lab.rank import ALONE, Rank
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task, sample
from secondlook.lab.train import Ensemble, Options, train

TINY = Run(Task(n=5), Shape(depth=1, width=12, heads=2), batch=10, steps=24, warmup=2)
MEMBERS = (TINY, replace(TINY, seed=1, objective="bt", rate=1e-3, decay=0.1))
LOOK = Options(exam=16, look_every=4, save_every=5)
UNIT = 2.0**-24  # roundoff of float32


class Rounded(Rank):
    """A process alone whose gradients are all moved at random, by a few roundings of float32."""

    def sum(self, shares):
        generator = torch.Generator().manual_seed(7)
        return [
            share * (1 + 4 * UNIT * (2 * torch.rand(share.shape, generator=generator) - 1))
            for share in super().sum(shares)
        ]


class Keeping(Rank):
    """Keeps what was summed."""

    def sum(self, shares):
        summed = super().sum(shares)
        kept.append([part.clone() for part in summed])
        return summed


kept: list[list[torch.Tensor]] = []


class StoppedError(Exception):
    pass


def stopped(rank, folder, stop):
    def tick(step):
        if step == stop:
            raise StoppedError

    try:
        return train(MEMBERS, folder, LOOK, rank=rank, tick=tick)
    except StoppedError:
        return None


def work(rank, folder, stop):
    """The losses and gradients of a first step, a whole run, and one that goes on in a folder which the first sees."""
    Ensemble([TINY], rank=Keeping(rank.number, rank.of)).advance()
    whole = train(MEMBERS, options=LOOK, rank=rank)
    return kept.pop(), whole, stopped(rank, folder if rank.first else folder / "nowhere", stop)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What one process, then three, then two made; the run in the folder is stopped between checkpoints each time."""
    folder = tmp_path_factory.mktemp("run")
    assert stopped(ALONE, folder, 7) is None
    three = together(3, work, folder, 17)
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 15
    return {3: three, 2: together(2, work, folder, 0)}


@cache
def reference():
    """What one process makes, and how far roundings alone move it: the tolerance of weights and of looks."""
    usual, moved = (train(MEMBERS, options=LOOK, rank=rank) for rank in (ALONE, Rounded()))
    near, alike = 10 * distance(usual, moved), 10 * apart(usual, moved)
    assert 0 < near < 1e-3, "roundings stay small over this run"
    assert 0 < alike < 1e-3
    return usual, near, alike


def distance(these, others):
    """Largest difference of a weight, relative to the largest weight of its tensor, without biases of keys.

    These shift all scores of a softmax alike: their gradient is rounding, of which Adam makes steps.
    """
    return max(
        ((weight - other.weights[name]).abs().max() / weight.abs().max()).item()
        for one, other in zip(these, others, strict=True)
        for name, weight in one.weights.items()
        if not name.endswith("key.bias")
    )


def apart(these, others):
    """Largest difference of a number of a log."""
    return max(
        abs(value - look[name])
        for one, other in zip(these, others, strict=True)
        for seen, look in zip(one.log, other.log, strict=True)
        for name, value in seen.items()
    )


@pytest.mark.parametrize("of", [2, 3])
def test_several_processes_train_what_one_does(done, of):
    usual, near, alike = reference()
    first, *others = (whole for _, whole, _ in done[of])
    assert distance(usual, first) < near
    assert apart(usual, first) < alike
    for other in others:
        for one, same in zip(first, other, strict=True):
            assert all(torch.equal(weight, same.weights[name]) for name, weight in one.weights.items())
            assert same.log == []


@pytest.mark.parametrize("of", [2, 3])
def test_the_gradient_is_that_of_the_batch(done, of):
    """Against gradients of one problem at a time, added in float64.

    A sum of n numbers is within n·u·Σ|x| whatever the order; of a weight, n is the batch times the prefixes times the
    tokens, and Σ|x| at most that of the largest weight of its tensor.
    """
    ensemble = Ensemble([TINY])
    episodes = sample(TINY.task, TINY.batch, ensemble.generators[0])
    single = [ensemble._gradients(0, [episodes.part(slice(b, b + 1))]) for b in range(TINY.batch)]
    each = [torch.stack(parts).double() for parts in zip(*([losses, *grads] for losses, grads in single), strict=True)]
    for found, _, _ in done[of]:
        for name, summed, parts in zip(["loss", *ensemble.weights], found, each, strict=True):
            if not name.endswith("key.bias"):
                bound = TINY.batch * TINY.task.n**2 * UNIT * parts.abs().sum(0).max()
                assert (summed - parts.sum(0)).abs().max() <= bound, name


def test_a_stopped_run_goes_on_with_more_and_with_fewer_processes(done):
    usual, near, alike = reference()
    assert [ended for _, _, ended in done[3]] == [None] * 3
    (_, _, first), (_, _, other) = done[2]
    assert distance(usual, first) < near
    assert apart(usual, first) < alike
    for one, same in zip(first, other, strict=True):
        assert all(torch.equal(weight, same.weights[name]) for name, weight in one.weights.items())


def test_shares_are_all_of_a_batch_and_differ_by_one_at_most():
    for batch, of in ((10, 3), (3, 3), (128, 7), (5, 1)):
        shares = [Rank(number, of).share(batch) for number in range(of)]
        assert [problem for share in shares for problem in range(batch)[share]] == list(range(batch))
        sizes = [share.stop - share.start for share in shares]
        assert max(sizes) - min(sizes) <= 1


def test_fewer_problems_than_processes_are_one_line():
    with pytest.raises(ValueError, match="batch is 2: 3 workers need a problem each; lower --workers"):
        Ensemble([replace(TINY, batch=2)], rank=Rank(0, 3))
