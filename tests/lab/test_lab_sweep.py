"""A sweep trains what it says; it is judged by what was trained, and says what was not."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from secondlook.lab import judged
from secondlook.lab.exam import Exam
from secondlook.lab.judged import judge_sweep, keep
from secondlook.lab.pictured import draw_sweep, picture
from secondlook.lab.run import Run, Shape
from secondlook.lab.scale import Scale
from secondlook.lab.store import Store
from secondlook.lab.sweep import Sweep, SweepCell, write
from secondlook.lab.tasks import Task
from secondlook.lab.tokens import reads
from secondlook.lab.train import Options

TINY = Run(Task("paper", n=6), Shape(depth=2, width=12, heads=2), batch=8, steps=6, warmup=1)
TEXT = """
profile = "released"
seeds = 2
rates = [1e-3, 1e-2]
[run]
steps = 6
shape.depth = 2
[[variants]]
name = "linear"
shape.attention = "linear"
"shape.division" = "none"
[[variants]]
name = "small"
batch = 4
"""


def read(tmp_path, text):
    (tmp_path / "some.toml").write_text(text)
    return Sweep.read(tmp_path / "some.toml")


def test_variants_are_differences_from_the_base(tmp_path):
    sweep = read(tmp_path, TEXT)
    runs = {setting["variant"]: run for setting, run in sweep.settings}
    base = runs["base"]
    assert (base.steps, base.shape.depth, base.shape.width, base.batch) == (6, 2, 96, 256)
    assert base.differences(runs["linear"]) == {"shape.attention": "linear", "shape.division": "none"}
    assert base.differences(runs["small"]) == {"batch": 4}
    assert sweep.seeds == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[variants]]\n"shape.depth" = 3', "name is None: give each"),
        ('[[variants]]\nname = "a"\nsteps = 3\n[[variants]]\nname = "a"\nsteps = 4', "name is 'a': give each"),
        ('[[variants]]\nname = "a"', "variant 'a' is the base"),
        ('[[variants]]\nname = "a"\nsteps = 600', "variant 'a' is the base"),
        ('[[variants]]\nname = "a"\n"shape.deep" = 3', "shape has no field 'deep'"),
        ("[grid]\nshape = [{ depth = 3 }]", r"shape is {'depth': 3}: name each of its fields, e.g. shape\."),
        ("[grid]\nrate = [1e-3, 1e-3]", "a list of different values"),
        ('seeds = "3"', "seeds is '3': give a whole number"),
        ('rates = [1e-3, "fast"]', "rates has 'fast': give positive numbers"),
        ("rates = [1e-3, 1e-2]\n[grid]\nrate = [1e-4]", "rates are tuned, and rate is given too"),
        ('rates = [1e-3]\n[[variants]]\nname = "slow"\nrate = 1e-4', "rates are tuned, and rate is given too"),
        ("sedes = 3", "no field 'sedes'; known: profile, run, variants"),
    ],
)
def test_what_is_under_specified_or_unknown_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        _ = read(tmp_path, text).cells


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Trained at a rate that a pilot chose; of the last variant nothing is there, of the third one seed."""
    store = Store(tmp_path_factory.mktemp("trained"), Options(exam=16, look_every=2))
    variants = {"shallow": {"shape.depth": 1}, "narrow": {"shape.width": 8, "shape.causal": False}}
    sweep = Sweep(TINY, variants, seeds=2, rates=(1e-3, 1e-2))
    cells = sweep.train(store)
    more = {**variants, "deep": {"shape.depth": 3}}
    return sweep, replace(sweep, variants=more), store, cells


def test_every_variant_is_trained_at_the_rate_its_pilot_chose(swept, tmp_path):
    sweep, _, store, cells = swept
    for (setting, untuned), cell in zip(sweep.settings, cells, strict=True):
        assert cell.setting == setting
        last = {rate: store.load(replace(untuned, rate=rate, seed=10_000, steps=3)).log[-1] for rate in sweep.rates}
        best = min(last, key=lambda rate: last[rate]["loss"])
        assert [member.run for member in cell.members] == [replace(untuned, rate=best, seed=seed) for seed in (0, 1)]
    write(cells, tmp_path)
    lines = list(csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines()))
    assert [(line["variant"], line["seed"]) for line in lines[:3]] == [("base", "0"), ("base", "1"), ("shallow", "0")]
    assert float(lines[2]["loss"]) == cells[1].members[0].log[-1]["loss"]
    assert float(lines[2]["rate"]) == cells[1].members[0].run.rate


def test_a_sweep_is_drawn(swept, tmp_path):
    """Combinations without numbers stand beside each other; of numbers the field that has most is the axis."""
    _, _, _, cells = swept
    drawn = picture(cells, "some")
    assert [panel["name"] for panel in drawn["panels"]] == list(cells[0].last)
    assert drawn["panels"][0]["ticks"] == ["base", "shallow", "narrow"]
    own = [curve for curve in drawn["curves"] if curve["panel"] == "loss"]
    assert [(curve["label"], curve["x"]) for curve in own] == [("base", [1.0]), ("shallow", [2.0]), ("narrow", [3.0])]
    assert own[1]["value"] == [cells[1].last["loss"].value]
    depths = [SweepCell({"shape.depth": depth, "rate": rate}, cell.members)
              for depth, cell in zip((3, 1, 2), cells, strict=True) for rate in (1, 2)]  # fmt: skip
    lines = [curve for curve in picture(depths, "some")["curves"] if curve["panel"] == "loss"]
    assert [(curve["label"], curve["x"]) for curve in lines] == [("rate 1", [1, 2, 3]), ("rate 2", [1, 2, 3])]
    assert lines[0]["value"] == [cells[place].last["loss"].value for place in (1, 2, 0)]
    draw_sweep(cells, tmp_path, "some")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_is_judged_by_what_is_there(swept, tmp_path, monkeypatch):
    _, sweep, store, cells = swept
    monkeypatch.setattr(judged, "EXAM", 32)
    result = judge_sweep(sweep, store, "some")
    keep(result, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    assert (tmp_path / "figure.svg").exists()
    by_name = {variant["name"]: variant for variant in result["variants"]}
    assert by_name["deep"] == {"name": "deep", "changes": {"shape.depth": 3}, "standing": "not run"}
    assert by_name["base"]["standing"] == "base not trained"  # six steps
    assert result["claims"] == {}
    exam, at = Exam.of(TINY.task, "pl-cosine", 32), reads(TINY.task, "merged")[1]
    for cell, name in zip(cells, ("base", "shallow", "narrow"), strict=True):
        for member, seed in zip(cell.members, by_name[name]["seeds"], strict=True):
            excess = Scale.of(exam, at).excess(member.predict(exam.episodes)).mean().item()
            assert seed["excess"] == pytest.approx(excess, abs=1e-5)
            assert (seed["steps"], seed["threads"]) == (6, torch.get_num_threads())
    labels = {(panel, kind): [] for panel in ("training", "error") for kind in ("transformer", "baseline")}
    for curve in result["curves"]:
        labels[curve["panel"], curve["kind"]].append(curve["label"])
    assert labels == {
        ("training", "transformer"): ["base", "shallow", "narrow"],
        ("training", "baseline"): [],
        # Its line by the number of examples is flat by construction, so it says what it is.
        ("error", "transformer"): ["base", "shallow", "narrow (sees all examples)"],
        ("error", "baseline"): ["Σ(r−½)y", "mean", "descent, as released", "optimum of the loss"],
    }


def test_combinations_that_see_different_things_stand_in_one_table(tmp_path):
    """Of the squared reward no optimum is known, so that its line has no excess."""
    sweep = Sweep(TINY, grid={"objective": ["pl-squared", "pl-cosine"]})
    cells = sweep.train(Store(tmp_path / "trained", Options(exam=16)))
    write(cells, tmp_path)
    squared, cosine = csv.DictReader((tmp_path / "sweep.csv").read_text().splitlines())
    assert (squared["excess"], float(cosine["excess"])) == ("", cells[1].members[0].log[-1]["excess"])
    assert float(squared["error"]) == cells[0].members[0].log[-1]["error"]
    drawn = picture(cells, "objectives")
    assert [len([c for c in drawn["curves"] if c["panel"] == what]) for what in ("loss", "excess")] == [2, 1]


@pytest.mark.parametrize("sweep", [Sweep(TINY), Sweep(TINY, {"small": {"batch": 4}}, {"task.p": [0.0, 0.5]})])
def test_what_has_no_variants_or_a_grid_is_not_judged(sweep, tmp_path):
    with pytest.raises(ValueError, match=r"has \[\[variants\]\], .* and no \[grid\]"):
        judge_sweep(sweep, Store(tmp_path, Options()), "some")


def test_a_run_that_was_judged_counts_without_its_weights(tmp_path, monkeypatch):
    """A repository keeps logs and exams: the sweep goes on elsewhere with what is missing, and is judged the same."""
    monkeypatch.setattr(judged, "EXAM", 32)
    store = Store(tmp_path, Options(exam=16))
    sweep = Sweep(TINY, {"shallow": {"shape.depth": 1}}, seeds=2, rates=(1e-3, 1e-2))
    before = judge_sweep(sweep, store, "some")
    assert {variant["standing"] for variant in before["variants"]} == {"not run"}
    sweep.train(store)
    before = judge_sweep(sweep, store, "some")
    removed = sorted(tmp_path.rglob("model.safetensors"))
    assert len(removed) == 8
    for file in removed:
        file.unlink()
    monkeypatch.setattr("secondlook.lab.store.train", lambda *_, **__: pytest.fail("it was trained again"))
    cells = sweep.train(store)
    after = judge_sweep(sweep, store, "some")
    assert {**after, "made": None} == {**before, "made": None}
    with pytest.raises(FileNotFoundError, match="its log alone is; train it again"):
        cells[0].members[0].model()
    lost = cells[1].members[1].run
    store.exam(lost).unlink()
    assert not store.judged(lost)
    monkeypatch.undo()
    monkeypatch.setattr(judged, "EXAM", 32)
    sweep.train(store)
    assert store.holds(lost)
    assert [*tmp_path.rglob("model.safetensors")] == [tmp_path / lost.name / "model.safetensors"]
    monkeypatch.setattr(judged, "EXAM", 33)  # other problems: without weights nobody can say
    with pytest.raises(FileNotFoundError, match="train it again"):
        judge_sweep(sweep, store, "some")


def test_claims_about_the_base_are_counted_where_it_was_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(judged, "EXAM", 32)
    store = Store(tmp_path, Options(exam=16))
    sweep = Sweep(replace(TINY, task=Task("paper", n=16)), {"shallow": {"shape.depth": 1}}, seeds=2)
    base, _ = sweep.train(store)
    assert judge_sweep(sweep, store, "some")["claims"] == {}
    monkeypatch.setattr(judged, "TRAINED", 100.0)
    claims = judge_sweep(sweep, store, "some")["claims"]
    exam = Exam.of(sweep.base.task, "pl-cosine", 32)
    errors = [
        1 - torch.cosine_similarity(member.predict(exam.episodes), exam.episodes.truth, dim=-1).mean(0)
        for member in base.members
    ]
    at = reads(sweep.base.task, "merged")[1]
    falls = sum(error[at.index(2)] - error[at.index(14)] for error in errors) / 2
    assert claims["L1"]["falls"]["value"] == pytest.approx(falls.item(), abs=1e-5)
    best = exam.episodes.rewards[:, 0, :15].argmax(-1)
    copied = exam.episodes.responses[:, 0].take_along_dim(best[:, None, None], 1)
    worse = sum(error[at.index(15)] for error in errors) / 2
    worse -= (1 - torch.cosine_similarity(copied, exam.episodes.truth, dim=-1)).mean()
    assert claims["L7"]["trivial baseline"]["value"] == pytest.approx(worse.item(), abs=1e-5)
