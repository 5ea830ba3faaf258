"""Names of coordinates."""

import pytest
import torch

from secondlook.construct.layout import Part, ResidualLayout

LAYOUT = ResidualLayout({"x": 2, "r": 1}, {"sum": 3})


def test_slots_stand_side_by_side_first_those_that_are_fed():
    assert LAYOUT.width == 6
    assert LAYOUT.inputs == 3
    assert [list(LAYOUT.where(name)) for name in ("x", "r", "sum")] == [[0, 1], [2], [3, 4, 5]]


def test_a_part_is_some_coordinates_of_a_slot():
    assert list(LAYOUT.where(Part("sum", 1))) == [4, 5]
    assert list(LAYOUT.where(Part("sum", 1, 2))) == [4]
    assert LAYOUT.where(Part("x")) == LAYOUT.where("x")


def test_features_are_packed_in_the_order_of_the_slots_and_seen_by_name():
    features = {"r": torch.full((2, 4, 1), 7.0), "x": torch.arange(16.0).reshape(2, 4, 2)}
    tokens = LAYOUT.pack(features)
    assert tokens.shape == (2, 4, 3)
    for name, feature in features.items():
        assert torch.equal(LAYOUT.view(tokens, name), feature)
    assert torch.equal(LAYOUT.view(tokens, Part("x", 1)), features["x"][..., 1:])


@pytest.mark.parametrize(
    ("address", "value", "known"),
    [
        ("y", "'y'", "known: x, r, sum"),
        (Part("sum", 0, 4), "0:4", "slot 'sum' of width 3"),
        (Part("sum", 2, 2), "2:2", "slot 'sum' of width 3"),
        (Part("x", -1), "-1:2", "slot 'x' of width 2"),
    ],
)
def test_an_address_that_is_not_there_is_refused(address, value, known):
    with pytest.raises(ValueError, match=known) as error:
        LAYOUT.where(address)
    assert value in str(error.value)


@pytest.mark.parametrize(
    ("fed", "made", "message"),
    [
        ({"x": 1}, {"x": 2}, "'x' is both fed and made; give it one place"),
        ({"x": 0}, {}, "'x' has width 0; give at least 1"),
        ({"x": 1}, {"y": -1}, "'y' has width -1; give at least 1"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(fed, made, message):
    with pytest.raises(ValueError, match=message):
        ResidualLayout(fed, made)


@pytest.mark.parametrize("given", [{"x"}, {"x", "r", "sum"}])
def test_features_must_be_those_that_are_fed(given):
    with pytest.raises(ValueError, match=r"the embedding has \['r', 'x'\]"):
        LAYOUT.pack({name: torch.zeros(1, 1, 1) for name in given})
