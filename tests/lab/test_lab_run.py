"""A run is complete, is named by its content, and refuses what it does not know."""

import json
from dataclasses import replace

import pytest

from secondlook.lab.run import Run, Shape
from secondlook.lab.tasks import Task


def test_a_run_survives_json():
    run = Run(Task("fresh-query", n=3, queries=4), Shape(depth=3, heads=2), "bt", seed=4)
    assert Run.of(json.loads(json.dumps(run.record()))) == run
    assert Run.of({}) == Run()


def test_members_of_an_ensemble_agree_in_all_but_what_has_no_shape():
    base = Run()
    for other in (
        replace(base, seed=3, rate=1e-2, decay=0.1, objective="regression"),
        replace(base, task=Task("paper", noise="gaussian", p=0.3)),
    ):
        assert other.peers == base.peers
    for other in (
        replace(base, steps=5),
        replace(base, shape=Shape(depth=1)),
        replace(base, task=Task(n=10)),
        replace(base, task=Task("fresh-query", n=2, queries=10)),
    ):
        assert other.peers != base.peers


def test_the_rate_rises_and_falls_as_it_says():
    run = Run(steps=100, warmup=10)
    assert [run.factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert run.factor(55) == pytest.approx(0.5)
    assert run.factor(100) == pytest.approx(0.0)
    constant = replace(run, schedule="constant", warmup=0)
    assert {constant.factor(step) for step in range(100)} == {1.0}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"ratee": 1}, "run has no field 'ratee'; known: task, shape, "),
        ({"task": {"q": 1}}, "task has no field 'q'; known: name, "),
        ({"shape": {"deep": 1}}, "shape has no field 'deep'"),
        ({"rate": 0}, "rate is 0: give a positive"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"batch": 0}, "batch is 0: give at least 1"),
        ({"steps": 3.5}, "steps is 3.5: give a whole number"),
        ({"rate": "fast"}, "rate is 'fast': give a number"),
        ({"rate": None}, "rate is None: give a number"),
        ({"batch": True}, "batch is True: give a whole number"),
        ({"shape": {"causal": "maybe"}}, "causal is 'maybe': give true or false"),
        ({"shape": {"head_width": 2.5}}, "head_width is 2.5: give a whole number, or none"),
        ({"task": "released"}, "task is 'released': give a table of its fields"),
        ([1], r"a run is \[1\]: give a table"),
        ({"beta2": 1.0}, "beta2 is 1.0"),
        ({"objective": "mse"}, "objective is 'mse': choose one of pl-squared"),
        ({"schedule": "linear"}, "schedule is 'linear'"),
        ({"shape": {"heads": 5}}, "heads is 5: give a divisor of width 48"),
        ({"shape": {"layout": "flat"}}, "layout is 'flat'"),
        ({"shape": {"layout": "interleaved"}, "task": {"n": 2}}, "n is 2: an interleaved token .* give at least 3"),
        ({"task": {"noise": "gaussian", "p": float("inf")}}, "p is inf: give a probability"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(record, message):
    with pytest.raises(ValueError, match=message):
        Run.of(record)
