"""Tables show the worst of what was measured, hide no failure, and fit a terminal."""

import io
import json
import math
import random

import pytest
from rich.console import Console

from secondlook.construct.prove import Check, table
from secondlook.construct.prove.table import worst


def built(result="T3", error=1e-15, passed=True, construction="Plackett–Luce", **fields):
    usual = {"d": 5, "n": 8, "steps": 1, "dtype": "float64", "gap": 1e-2, "contexts": 10, "bound": 1e-9}
    sizes = {"limit": 1e-12, "blocks": 7, "heads": 3, "feedforward": 5, "width": 25, "parameters": 12345}
    return Check(result, construction, error=error, passed=passed, **usual | sizes | fields)


def check(result="T1", construction="step on W = shift of y", passed=True, sharpness=None, error=1e-16, **fields):
    usual = {"d": 5, "n": 2, "steps": 1, "dtype": "float64", "gap": 1e-2, "contexts": 64, "bound": 1e-14}
    return Check(result, construction, error=error, passed=passed, sharpness=sharpness, **usual | fields)


def rendered(rows, width=80, **settings):
    out = io.StringIO()
    Console(file=out, width=width).print(table(rows, **settings))
    return out.getvalue()


def lines_with(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


SEVERAL = [built("T6", n=n, steps=3, error=error) for n, error in ((2, 1e-15), (20, 5e-13), (32, 1e-13))]
FAILED = [built(error=5e-3, passed=False, d=2), built(error=1e-3, passed=False, d=16)]
APART = [
    built(n=2),
    built(n=3),
    built("T4", construction="matching only"),
    built("T4", construction="several queries"),
    built("T6", construction="causal", steps=3, error=1e-16),
]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([], []),
        ([built(error=1e-15, d=2), largest := built(error=3e-14, d=5), built(error=2e-15, d=16)], [largest]),
        (APART, APART),  # constructions, numbers and results are kept apart
        ([*SEVERAL, built(n=20, error=1e-16)], [SEVERAL[1], built(n=20, error=1e-16)]),  # but all N of several steps
        ([*FAILED, built(error=1.0, d=64), built(n=3)], [*FAILED, built(n=3)]),  # every failure, no success beside it
    ],
)
def test_the_largest_error_and_every_failure_are_kept(rows, kept):
    random.Random(0).shuffle(rows := list(rows))
    assert sorted(map(str, worst(rows))) == sorted(map(str, kept))


MIXED = [
    built("T2", n=3, construction="InfoNCE", error=1e-16),
    built("T2", n=3, construction="InfoNCE", error=2e-15, d=64),
    built("T6", n=3, construction="InfoNCE", error=4e-14, steps=3),
    check("T9", "causal", sharpness=2.0, error=0.25, bound=math.inf),
    check("T9", "causal", sharpness=4.0, error=0.125, bound=0.5),
    check("T9", "causal, least error 6e-16 from βΔ = 40: slope -1.0001, off −1 by", error=1e-4, bound=5e-2),
    check("T10", "squared reward: midpoint excess"),
    check("T11", "corrected sign: loss falls, by the step"),
    check("T1"),
]


def test_the_worst_is_shown_and_sweeps_by_their_summaries():
    text = rendered([*MIXED, built("T8", construction="shallow", dtype="float32"), built("T3")])
    assert text.count("passed") == 8
    assert "FAILED" not in text
    assert len(lines_with(text, "T2", "InfoNCE", "64", "2e-15", "1e-09", "passed")) == 1
    assert "1e-16" not in "".join(lines_with(text, "T2"))
    assert len(lines_with(text, "T6", "InfoNCE", "4e-14")) == 1
    assert len(lines_with(text, "T9")) == 1
    assert "βΔ = 2" not in text
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("T") and line[1:2].isdigit()]
    assert shown == ["T2", "T3", "T6", "T8", "T1", "T9", "T10", "T11"]
    assert " ".join(text.split()).count("float64, float32") == 1


def test_an_error_never_reads_as_its_bound():
    text = rendered([built(error=8.0071, bound=8.0112), check(error=1.9359639e-7, bound=1.9359648e-7)])
    assert len(lines_with(text, "T3", " 8.007e+00 8.011e+00 ")) == 1
    assert len(lines_with(text, "T1", " 1.935964e-07 1.935965e-07 ")) == 1


def test_every_row_is_shown_when_asked_for():
    text = rendered(MIXED, every=True)
    assert text.count("passed") == len(MIXED)
    assert len(lines_with(text, "T2", "InfoNCE")) == 2
    assert len(lines_with(text, "T9", "causal, βΔ = 2", "2e-01", "inf", "passed")) == 1
    assert len(lines_with(text, "T9", "causal, βΔ = 4")) == 1


def test_failures_say_so_also_of_a_point_of_a_sweep():
    failed = check("T9", "causal", sharpness=13.0, error=0.7, bound=0.1, passed=False)
    text = rendered([*MIXED, built(n=3, passed=False), check(passed=False), failed])
    assert text.count("FAILED") == 3
    assert len(lines_with(text, "T3", " 3 ", "FAILED")) == 1
    assert len(lines_with(text, "T1 ", "FAILED")) == 1
    assert len(lines_with(text, "T9", "βΔ = 13", "7e-01", "1e-01", "FAILED")) == 1


@pytest.mark.parametrize("every", [True, False])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(every):
    longest = built(
        "T6", construction="several queries", d=64, n=32, steps=3, blocks=1234, heads=32, width=4321, error=1e-100
    )
    rows = [*MIXED, longest, built("T4", construction="several queries", n=20, parameters=123456789, passed=False)]
    text = rendered(rows, every=every)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("FAILED") == 1
    assert text.count("passed") == (len(rows) - 1 if every else 7)
    assert "…" not in text
    for heading in ("construction", "weights", "bound", "outcome", "check", "dtype", "value"):
        assert heading in text


@pytest.mark.parametrize(("parameters", "shown"), [(999, "999"), (1000, "1k"), (12345, "12.3k"), (1_500_000, "1.5M")])
def test_numbers_of_weights_are_short(parameters, shown):
    (line,) = lines_with(rendered([built(parameters=parameters)]), "T3", "Plackett")
    assert f" {shown} " in line


def test_a_record_has_every_field_and_no_bound_is_null():
    row = check("T9", sharpness=2.0, bound=math.inf)
    assert json.loads(json.dumps(row.record(), allow_nan=False)) == vars(row) | {"bound": None}
    assert check(bound=0.5).record()["bound"] == 0.5
