"""The bounds on ten thousand contexts for each construction."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from random_evidence import BATCH, check, examples


@pytest.mark.soak
@settings(deadline=None, max_examples=10_000 // BATCH)
@given(**examples)
def test_no_error_is_above_its_bound_and_no_bound_far_above_the_error(promise, dx, family, seed):
    check(promise, dx, family, seed)
