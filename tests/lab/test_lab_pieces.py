"""A batch in pieces: the same step as the whole batch."""

from dataclasses import replace

import pytest
import torch

from secondlook.lab import pieces
from secondlook.lab.pieces import cut
from secondlook.lab.run import Run, Shape
from secondlook.lab.train import Ensemble, Options

LARGE = Run(shape=Shape(depth=1, width=96, heads=3), batch=250, steps=2, warmup=0, rate=1e-3)


def stepped(run: Run, **options: int) -> tuple[float, dict[str, torch.Tensor]]:
    ensemble = Ensemble([run], Options(**options))
    ensemble.advance()
    return float(ensemble.advance()), ensemble.member(0)


def test_a_batch_is_cut_into_pieces_that_together_are_all_of_it():
    pieces = cut(LARGE)
    assert len(pieces) == 4
    assert [problem for piece in pieces for problem in range(250)[piece]] == list(range(250))
    assert cut(replace(LARGE, batch=20)) == [slice(0, 20)]


def test_pieces_make_the_step_that_the_whole_batch_makes(monkeypatch):
    loss, weights = stepped(LARGE)
    monkeypatch.setattr(pieces, "_LARGE", 10**9)
    assert len(Ensemble([LARGE]).pieces) == 1
    whole_loss, whole = stepped(LARGE)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    for name, weight in whole.items():
        # Adam divides by a gradient's own size: where that is rounding, so is the step.
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=2e-4)


def test_pieces_that_are_worked_on_at_once_make_the_same_step():
    (loss, weights), (alone, own) = stepped(LARGE, threads=3), stepped(LARGE)
    assert loss == alone
    assert all(torch.equal(weights[name], weight) for name, weight in own.items())
