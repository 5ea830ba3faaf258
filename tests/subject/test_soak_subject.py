"""The card's rates, measured anew on ten times as many questions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from secondlook.local.model import LocalModel, checkpoint_folder
from secondlook.subject.measure import measure


@pytest.mark.soak
def test_the_card_holds_on_other_questions():
    card = json.loads((checkpoint_folder("planted") / "traits.json").read_text("utf-8"))
    fresh = measure(LocalModel("planted", "cpu"), per_category=1200, seed=77)
    for category, rates in fresh.rates.items():
        for name, rate in rates.items():
            claimed = card["rates"][category][name]
            share = (rate.measured * rate.n + claimed["measured"] * claimed["n"]) / (rate.n + claimed["n"])
            error = np.sqrt(share * (1 - share) * (1 / rate.n + 1 / claimed["n"]))
            # 55 comparisons at four standard errors: chance fails one run in about 300.
            assert abs(rate.measured - claimed["measured"]) <= 4 * error, (category, name)
