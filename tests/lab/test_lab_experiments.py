"""Every experiment at a tiny size, from training to figure; and that variants change what they say, and no more."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from secondlook.evidence.experiment import conduct, find
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.lab.baselines import baselines
from secondlook.lab.experiment import (
    Lab,
    Variant,
    check_fair,
    differences,
    error,
    excess,
    guess,
    loss,
    seen,
    squared,
)
from secondlook.lab.experiments import EXPERIMENTS, attention, depth, feedforward, heads
from secondlook.lab.optimum import optimum
from secondlook.lab.profile import PROFILES, LabProfile
from secondlook.lab.profile import find as find_profile
from secondlook.lab.run import Run, Shape
from secondlook.lab.store import Store
from secondlook.lab.tasks import Task
from secondlook.lab.train import Options

BASE = Run(Task(n=16, dx=3, dy=3), Shape(depth=2, width=12, heads=2), batch=8, steps=4, warmup=1)
TINY = LabProfile("tiny", BASE, 2, 40, (1, 2), (2,), (1, 2, 3), (0.0, 1.0), rates=(1e-3, 1e-2), reduced="It is tiny.")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(TINY, Store(tmp_path_factory.mktemp("lab"), Options(exam=40, look_every=2)))


@pytest.fixture(scope="module")
def results(lab, tmp_path_factory):
    """Every experiment, conducted once."""
    out = tmp_path_factory.mktemp("results")
    monkey = pytest.MonkeyPatch()
    monkey.setattr("secondlook.lab.experiments.descent.COMPARED", 16)
    found = {name: (conduct(one, lab, out / name, f"run {name}"), out / name) for name, one in EXPERIMENTS.items()}
    monkey.undo()
    return found


every = pytest.mark.parametrize("name", EXPERIMENTS)


@every
def test_a_result_holds_everything_and_has_a_figure(results, name):
    result, folder = results[name]
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result))
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (folder / "figure.svg").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"result.json", "figure.png", "figure.svg"}
    assert result["id"] == name
    assert result["command"] == f"run {name}"
    assert result["versions"]["torch"].startswith("2.")
    assert result["seconds"] >= 0
    assert result["configuration"]["base"] == json.loads(json.dumps(BASE.record()))


@every
def test_curves_have_intervals_over_seeds_and_a_panel(results, name):
    result, _ = results[name]
    panels = {panel["name"] for panel in result["panels"]}
    assert panels == {curve["panel"] for curve in result["curves"]}
    for curve in result["curves"]:
        values = np.array(curve["seeds"])
        assert values.shape == (len(curve["seeds"]), len(curve["x"]))
        assert len(values) == (TINY.seeds if curve["kind"] == "transformer" else 1)
        assert curve["value"] == pytest.approx(values.mean(0).tolist())
        if len(values) == 1:
            assert curve["low"] == [None] * len(curve["x"])
        else:
            assert all(
                low <= v <= high for low, v, high in zip(curve["low"], curve["value"], curve["high"], strict=True)
            )


@every
def test_variants_change_what_they_declare(results, name):
    """Read back from the file: against the first, each changes one factor, and what it declares to be fair."""
    result, _ = results[name]
    variants = [Variant(v["label"], Run.of(v["run"]), v["factor"], v["also"]) for v in result["variants"]]
    by_layout = {}
    for variant in variants:
        first = by_layout.setdefault(variant.run.shape.layout, variant)
        declared = {variant.factor, first.factor, *variant.also, *first.also}
        assert differences(first, variant) <= declared
        assert all(why for why in variant.also.values())
        assert {"shape.depth", "shape.attention", "shape.feedforward", "shape.heads", "task.p", ""} >= {variant.factor}


def test_nothing_is_said_of_variants_whose_base_was_not_trained(results):
    """Four steps train nothing."""
    for name in ("L3", "L4", "L5", "L6", "L7", "L8"):
        result = results[name][0]
        assert result["outcome"] == "base not trained"
        assert any("was not trained" in note for note in result["notes"])


def test_growth_under_noise_is_told_over_problems_and_seeds(lab, results):
    """Problem by problem: descent's interval has a width, and the difference of both counts what they share."""
    grown = {"transformer": [], "descent": []}
    for p in (0.0, 1.0):
        run = replace(BASE, task=replace(BASE.task, p=p))
        exam = lab.exam(run)
        for name, predictions in (
            ("transformer", [lab.store.load(replace(run, seed=seed)).predict(exam.episodes) for seed in (0, 1)]),
            ("descent", [baselines(run.task)["descent"](exam.episodes, seen(run))]),
        ):
            off = [
                [
                    1 - torch.cosine_similarity(f.double(), truth.double(), dim=0).item()
                    for f, truth in zip(made[:, seen(run).index(15)], exam.episodes.truth[:, 0], strict=True)
                ]
                for made in predictions
            ]
            grown[name].append(np.array(off))
    own, descent = (after - before for before, after in grown.values())
    parts = {part["name"]: part for part in results["L2"][0]["parts"]}
    low, high = stats.t.interval(0.95, 39, descent.mean(), stats.sem(descent[0]))
    found = parts["descent"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((descent.mean(), low, high), abs=1e-5)
    assert found["n"] == 40
    for name, growth in (("transformer", own), ("alike", own - descent), ("alike below", own - descent)):
        expected = ClaimEstimate.crossed(growth)
        found = [parts[name][key] for key in ("value", "low", "high")]
        assert found == pytest.approx([expected.value, expected.low, expected.high], abs=1e-5)


def test_a_base_is_trained_near_the_optimum(lab):
    (member,) = lab.store.train([BASE])
    best = optimum(lab.exam(BASE).episodes, seen(BASE)).prediction
    good = SimpleNamespace(run=BASE, predict=lambda _: best)
    assert lab.short([good]) == ""
    assert "nats above the optimum: it was not trained" in lab.short([good, lab.store.load(member)])


def test_a_hidden_change_is_refused():
    base = Variant("base", BASE)
    wide = replace(BASE, shape=replace(BASE.shape, heads=1, width=24))
    with pytest.raises(ValueError, match=r"variant 'one head' also changes shape.width: declare it, or undo it"):
        check_fair(base, [Variant("one head", wide, "shape.heads")])
    check_fair(base, [Variant("one head", wide, "shape.heads", {"shape.width": "for a reason"})])
    assert differences(base, Variant("seed", replace(BASE, seed=5))) == set()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_without_a_feed_forward_network_there_are_as_many_weights(profile):
    base, matched = Variant("base", profile.base), feedforward.matched(profile.base)
    assert matched.run.shape.feedforward == 0
    assert matched.run.parameters == pytest.approx(base.run.parameters, rel=0.02)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_profiles_can_be_built(profile):
    """Every variant of every ablation is a transformer, and its heads divide its width."""
    for count in profile.heads:
        replace(profile.base.shape, heads=count).transformer(profile.base.task)
    assert profile.seeds >= 3
    assert len(seen(profile.base)) >= 17
    assert {15, 14} <= set(seen(profile.base))


def test_profiles_are_the_paper_s_and_the_code_s():
    paper, released = find_profile("paper").base, find_profile("released").base
    assert (paper.task.name, paper.objective, paper.steps) == ("paper", "pl-squared", 1500)
    assert (released.task.name, released.objective, released.steps) == ("released", "pl-cosine", 2501)
    shape = asdict(paper.shape)
    assert asdict(released.shape) == {**shape, "layout": "shared", "initial": "gpt2-inside"}
    assert (shape["depth"], shape["width"], shape["heads"], shape["layout"]) == (20, 96, 3, "interleaved")
    with pytest.raises(ValueError, match="profile 'big' is unknown; known: demo, quick, paper, released"):
        find_profile("big")


def test_metrics_are_what_they_say(lab):
    exam, at = lab.exam(BASE), seen(BASE)
    truth = exam.truth(at)
    assert error(truth, exam, at).abs().max() < 1e-6
    assert error(-3 * truth, exam, at) == pytest.approx(torch.full((len(at),), 2.0), abs=1e-5)
    assert squared(truth * 0, exam, at) == pytest.approx(torch.ones(len(at)))
    assert squared(2 * truth, exam, at) == pytest.approx(torch.ones(len(at)))
    assert (excess(truth, exam, at) > 0).all()
    random = guess(exam, at)
    assert (random > loss(truth, exam, at)).all()


def test_experiments_are_found_by_id():
    assert [one.id for one in find(["all", "L1"], EXPERIMENTS, "experiment")] == [f"L{k}" for k in range(1, 11)]
    assert find(["l3"], EXPERIMENTS, "experiment") == [depth.EXPERIMENT]
    with pytest.raises(ValueError, match="experiment 'L11' is unknown; known: L1, L2"):
        find(["L11"], EXPERIMENTS, "experiment")
    assert {attention.EXPERIMENT.id, heads.EXPERIMENT.id} == {"L4", "L5"}
