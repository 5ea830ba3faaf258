"""A batch in pieces: the same step as the whole batch, and the same numbers on however many threads."""

from dataclasses import replace

import pytest
import torch

from secondlook.lab import pieces
from secondlook.lab.pieces import Pieces, cut
from secondlook.lab.run import Run, Shape
from secondlook.lab.train import Ensemble

LARGE = Run(shape=Shape(depth=1, width=96, heads=3), batch=250, steps=2, warmup=0, rate=1e-3)
ALL = slice(0, 250)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def stepped(run: Run) -> tuple[float, dict[str, torch.Tensor]]:
    ensemble = Ensemble([run])
    ensemble.advance()
    return float(ensemble.advance()), ensemble.member(0)


def test_a_batch_is_cut_into_pieces_that_together_are_all_of_it():
    for share in (ALL, slice(7, 240)):
        pieces = cut(LARGE, share)
        assert len(pieces) == 4
        assert [problem for piece in pieces for problem in range(250)[piece]] == list(range(250)[share])
    assert cut(LARGE, slice(50, 70)) == [slice(50, 70)]


def test_pieces_make_the_step_that_the_whole_batch_makes(monkeypatch):
    loss, weights = stepped(LARGE)
    monkeypatch.setattr(pieces, "_LARGE", 10**9)
    assert len(Ensemble([LARGE]).pieces.slices) == 1
    whole_loss, whole = stepped(LARGE)
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    for name, weight in whole.items():
        # Adam divides by a gradient's own size: where that is rounding, so is the step.
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=2e-4)


def test_numbers_do_not_depend_on_the_number_of_threads(threads):
    threads(1)
    assert Ensemble([LARGE]).pieces._pool is None
    loss, weights = stepped(LARGE)
    threads(2)
    assert Ensemble([LARGE]).pieces._pool is not None
    again, same = stepped(LARGE)
    assert loss == again
    assert all(torch.equal(same[name], weight) for name, weight in weights.items())


def test_members_of_an_ensemble_are_cut_alike():
    together = Ensemble([LARGE, replace(LARGE, seed=1)])
    together.advance()
    for member, seed in enumerate((0, 1)):
        alone = Ensemble([replace(LARGE, seed=seed)])
        alone.advance()
        for name, weight in alone.member(0).items():
            torch.testing.assert_close(together.member(member)[name], weight, rtol=1e-3, atol=2e-4)


def test_an_error_in_a_piece_is_raised_where_it_was_called(threads):
    threads(2)

    def fail(piece: int, share: slice) -> None:
        raise FloatingPointError(f"piece {piece} of {share}")

    with pytest.raises(FloatingPointError, match="piece 0"):
        Pieces(cut(LARGE, ALL)).map(fail)
