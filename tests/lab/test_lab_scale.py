"""A standing can come out either way: rules that learn nothing fail or stay at 0, and the optimum solves."""

from typing import get_args

import numpy as np
import pytest
import torch

from secondlook.lab import averages
from secondlook.lab.exam import Exam
from secondlook.lab.optimum import optimum
from secondlook.lab.scale import RULES, Scale, half_weighted, stand
from secondlook.lab.tasks import Task
from secondlook.lab.tokens import Layout, reads

SEEDS = 3


@pytest.fixture(scope="module", params=["paper", "released"])
def exam(request):
    return Exam.of(Task(request.param), "pl-cosine", 256)


@pytest.fixture(scope="module", params=get_args(Layout))
def scale(exam, request):
    return Scale.of(exam, reads(Task(), request.param)[1])


def random(episodes, seen, seed=0):
    shape = (len(episodes), len(seen), episodes.truth.shape[-1])
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("predict", "standing"),
    [
        (averages.mean, "fails"),  # blind to rewards
        (random, "fails"),
        (half_weighted, "neither"),
        (lambda episodes, seen: optimum(episodes, seen).prediction, "solves"),
    ],
    ids=["reward-blind", "random", "Σ(r−½)y", "optimum"],
)
def test_each_rule_stands_where_it_must(scale, predict, standing):
    at = list(scale.seen)
    best = scale.excess(optimum(scale.exam.episodes, at).prediction)
    made = scale.excess(predict(scale.exam.episodes, at))
    assert stand(scale, [made] * SEEDS, [best] * SEEDS).standing == standing
    assert stand(scale, [made], [best]).standing == standing


def test_the_scale_runs_from_the_rule_to_the_optimum(scale):
    at = list(scale.seen)
    assert scale.rule == "Σ(r−½)y"
    assert scale.skill(scale.reference[None]).value == pytest.approx(0, abs=1e-12)
    best = scale.excess(optimum(scale.exam.episodes, at).prediction)
    assert scale.skill(best[None]).value == pytest.approx(1, abs=1e-5)


def test_a_prediction_half_way_has_half_the_skill(scale):
    """Skill is linear in the loss, and so is its mean over problems."""
    judged = stand(scale, [scale.reference / 2] * 2, [0 * scale.reference] * 2)
    assert judged.skill.value == pytest.approx(0.5)
    assert judged.excess.value == pytest.approx(scale.way / 2)
    assert judged.standing == "neither"


def test_the_interval_of_skill_is_that_of_a_ratio(scale):
    """Against a bootstrap over problems of mean over mean; the way itself is not known exactly."""
    made = scale.excess(RULES["mean"](scale.exam.episodes, list(scale.seen))) * 0.3
    at = np.random.default_rng(0).integers(0, len(made), (4000, len(made)))
    way = scale.reference.numpy()
    drawn = 1 - made.numpy()[at].mean(1) / way[at].mean(1)
    found = scale.skill(made[None])
    assert found.value == pytest.approx(1 - made.mean().item() / way.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.15 * np.ptp(drawn))
    # What makes the same share of the way in every problem is known exactly.
    same = scale.skill(scale.reference[None] / 2)
    assert (same.low, same.high) == pytest.approx((0.5, 0.5), abs=1e-9)


def test_nothing_is_said_where_the_base_was_not_trained(scale):
    good, bad = 0 * scale.reference, 0 * scale.reference + 0.1
    assert stand(scale, [good, good], [bad, bad]).standing == "base not trained"
    judged = stand(scale, [bad + 1, good, good], [bad, good, good])
    assert (judged.standing, judged.seeds) == ("solves", (1, 2))
    with pytest.raises(ValueError, match="the variant has 1 seeds and the base 2"):
        stand(scale, [good], [good, bad])


def test_without_an_optimum_there_is_no_scale():
    exam = Exam.of(Task(), "bt", 8)
    with pytest.raises(ValueError, match="objective bt has no optimum"):
        Scale.of(exam, [2, 3])
