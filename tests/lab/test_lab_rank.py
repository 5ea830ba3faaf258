"""Processes that share every batch train what one process trains, up to the order in which numbers are added."""

from dataclasses import replace

import pytest
import torch
from ranks import together
from rounding import UNIT, Reference

from secondlook.lab.rank import ALONE, Rank
from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task, sample
from secondlook.lab.train import Ensemble, Options, train

TINY = Run(Task(n=5), Shape(depth=1, width=12, heads=2), batch=10, steps=24, warmup=2)
MEMBERS = (TINY, replace(TINY, seed=1, objective="bt", rate=1e-3, decay=0.1))
LOOK = Options(exam=16, look_every=4, save_every=5)


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


@pytest.fixture(scope="module")
def reference():
    return Reference.of(MEMBERS, LOOK)


@pytest.mark.parametrize("of", [2, 3])
def test_several_processes_train_what_one_does(done, reference, of):
    first, *others = (whole for _, whole, _ in done[of])
    reference.see_that_it_is(first)
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


def test_a_stopped_run_goes_on_with_more_and_with_fewer_processes(done, reference):
    assert [ended for _, _, ended in done[3]] == [None] * 3
    (_, _, first), (_, _, other) = done[2]
    reference.see_that_it_is(first)
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
