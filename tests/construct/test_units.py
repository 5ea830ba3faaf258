"""Thresholds are exactly 0 and 1, erasures leave exactly 0."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.construct.residual import ResidualLayout
from secondlook.construct.units import erase, threshold
from secondlook.construct.weights import BlockPlan, assemble
from secondlook.transformer import Transformer

LAYOUT = ResidualLayout({"a": 1, "b": 1, "one": 1, "v": 3}, {"flag": 1})
numbers = st.floats(-100, 100, width=32)


def run(units, slot, **fed):
    """What a slot holds at each token after a block of these units; [tokens, width]."""
    count = max(len(values) for values in fed.values())
    features = {"a": [0.0] * count, "b": [0.0] * count, "v": [[0.0] * 3] * count} | fed | {"one": [1.0] * count}
    columns = {
        name: torch.as_tensor(feature, dtype=torch.float64).reshape(1, count, -1) for name, feature in features.items()
    }
    config, weights = assemble(LAYOUT, [BlockPlan((), tuple(units))], [slot])
    with torch.no_grad():
        return Transformer.load(config, weights)(LAYOUT.pack(columns))[0]


@settings(deadline=None, max_examples=30)
@given(
    center=numbers, width=st.floats(1e-3, 10), beyond=st.floats(0, 100), p=st.floats(0.01, 100), q=numbers, b=numbers
)
def test_a_threshold_is_0_below_its_ramp_and_1_above(center, width, beyond, p, q, b):
    """The sum is p·a + q·b; two tokens have the a at which it lies at the ramp's foot or below, its top or above."""
    units = threshold(LAYOUT, (("a", p), ("b", q)), "flag", center=center, width=width)
    assert len(units) == 2
    rounding = 1e-15 * (abs(center) + 2 * abs(q * b) + beyond + width) / width
    foot, top = (center + sign * (width * (1 + 100 * rounding) / 4 + beyond) for sign in (-1, 1))
    below, above = run(units, "flag", a=[(foot - q * b) / p, (top - q * b) / p], b=[b, b])[:, 0].tolist()
    assert below == 0
    assert above == pytest.approx(1, abs=20 * rounding)


def test_a_ramp_climbs_from_a_quarter_below_to_a_quarter_above():
    units = threshold(LAYOUT, (("a", 1.0),), "flag", center=2.0, width=4.0)
    flags = run(units, "flag", a=[0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
    assert flags[:, 0].tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize("value", [0.0, 1e-300, 1.0, 1 / 3, 0.1 + 0.2, 1e300])
def test_an_erasure_leaves_nothing_and_takes_half_the_units_for_what_is_never_negative(value):
    positive, both = (erase(LAYOUT, "v", signed=signed) for signed in (False, True))
    assert (len(positive), len(both)) == (3, 6)
    assert run(positive, "v", v=[[value] * 3]).eq(0).all()
    assert run(both, "v", v=[[value, -value, value]]).eq(0).all()
    assert run(positive, "v", v=[[-2.0, 3.0, -4.0]]).tolist() == [[-2.0, 0.0, -4.0]]
    assert run(both, "a", a=[5.0], v=[[1.0] * 3]).item() == 5.0
