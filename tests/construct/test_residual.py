"""Names of coordinates."""

import pytest
import torch

from secondlook.construct.residual import Coordinates, ResidualLayout

LAYOUT = ResidualLayout({"x": 2, "r": 1}, {"sum": 3})


def test_slots_stand_side_by_side_first_those_that_are_fed():
    assert (LAYOUT.width, LAYOUT.inputs) == (6, 3)
    assert [list(LAYOUT.where(name)) for name in ("x", "r", "sum")] == [[0, 1], [2], [3, 4, 5]]
    assert list(LAYOUT.where(Coordinates("sum", 1))) == [4, 5]
    assert list(LAYOUT.where(Coordinates("sum", 1, 2))) == [4]
    assert LAYOUT.where(Coordinates("x")) == LAYOUT.where("x")


def test_features_are_packed_in_the_order_of_the_slots_and_seen_by_name():
    features = {"r": torch.full((2, 4, 1), 7.0), "x": torch.arange(16.0).reshape(2, 4, 2)}
    tokens = LAYOUT.pack(features)
    assert tokens.shape == (2, 4, 3)
    for name, feature in features.items():
        assert torch.equal(LAYOUT.view(tokens, name), feature)
    assert torch.equal(LAYOUT.view(tokens, Coordinates("x", 1)), features["x"][..., 1:])


def pack(*names):
    return LAYOUT.pack({name: torch.zeros(1, 1, 1) for name in names})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: LAYOUT.where("y"), "no slot 'y' .*known: x, r, sum"),
        (lambda: LAYOUT.where(Coordinates("sum", 0, 4)), "0:4 are not in slot 'sum' of width 3"),
        (lambda: LAYOUT.where(Coordinates("sum", 2, 2)), "2:2 are not in slot 'sum' of width 3"),
        (lambda: LAYOUT.where(Coordinates("x", -1)), "-1:2 are not in slot 'x' of width 2"),
        (lambda: ResidualLayout({"x": 1}, {"x": 2}), "'x' is both fed and made; give it one place"),
        (lambda: ResidualLayout({"x": 0}, {}), "'x' has width 0; give at least 1"),
        (lambda: ResidualLayout({"x": 1}, {"y": -1}), "'y' has width -1; give at least 1"),
        (lambda: pack("x"), r"the embedding has \['r', 'x'\]"),
        (lambda: pack("x", "r", "sum"), r"the embedding has \['r', 'x'\]"),
    ],
)
def test_what_is_not_there_or_cannot_be_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        asked()
