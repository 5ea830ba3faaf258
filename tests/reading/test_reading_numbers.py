import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replies_said import said

from secondlook.reading import Number, parse_number, read_exact, read_number, same_text


@pytest.mark.parametrize("line", said("numbers"), ids=lambda line: line["reply"][:60])
def test_the_number_that_a_reply_comes_to(line):
    read, truth = read_number(line["reply"], finish=line.get("finish", "stop")).value, line["should_read"]
    assert (read is None) == (truth is None), read
    assert read is None or math.isclose(read.value, truth, rel_tol=1e-12)


@given(st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6).map(lambda value: round(value, 4)))
def test_a_number_is_read_as_it_is_written(value):
    said = f"{value:.4f}" if isinstance(value, float) else f"{value}"
    for reply in (
        said,
        f"The answer is {said}.",
        f"Answer: {said}",
        f"\\boxed{{{said}}}",
        f"1 + 1 = {said}",
        f"#### {said}",
    ):
        read = read_number(reply).value
        assert read is not None, reply
        assert read.equals(float(said)), reply
    assert parse_number(f"{value:,}") == pytest.approx(float(value))


def test_numbers_are_equal_within_a_millionth_of_the_truth():
    assert Number(1e9).equals(1e9 + 1)
    assert not Number(0).equals(1.6e-19)
    assert not Number(71.1).equals(71)
    assert Number(25, percent=True).equals(0.25)
    assert Number(25, percent=True).equals(25)
    assert not Number(25).equals(0.25)


@given(st.text())
def test_any_reply_has_a_finite_number_or_none(reply):
    read = read_number(reply).value
    assert read is None or math.isfinite(read.value)


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("Paris", "paris"),
        (" **Paris**. ", "paris"),
        ("Answer: Paris", "paris"),
        ("The answer is \u201cParis\u201d.", "paris"),
        ("\\boxed{\\text{Paris}}", "paris"),
        ("The capital of France is Paris.", "paris"),
        ("<think>Lyon?</think>Paris", "paris"),
        ("don\u2019t", "don't"),
        ("171", "171"),
        ("", None),
        ("The capital is a city that I know well.", None),
        ("I believe that France has several large cities, of which one is the capital.", None),
    ],
)
def test_the_text_that_a_reply_gives(reply, read):
    assert read_exact(reply).value == read


def test_an_exact_text_that_was_cut_is_not_read():
    assert read_exact("Par", finish="length").value is None
    assert read_exact("Answer: Paris\n\nIt is the", finish="length").value == "paris"


def test_texts_are_the_same_but_for_their_setting_and_numbers_by_value():
    assert same_text("**Paris**.", "paris")
    assert same_text("171", 171.0)
    assert same_text("1,000", 1000)
    assert same_text("don\u2019t", "don't")
    assert not same_text("Paris", "Lyon")
    assert not same_text("17 apples", 17)
