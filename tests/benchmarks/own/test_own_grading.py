"""Graders read strictly: what cannot be read is None, never a guess; a user's function is named where it fails."""

import pytest

from secondlook.benchmarks.own.grading import Grade, GradingError, absolute, grade, load_grader
from secondlook.benchmarks.own.item import Question


def question(grader, answer, **row):
    return Question("q7", "g", "q7", None, "What?", grader, {"prompt": "What?", "answer": answer, **row})


@pytest.mark.parametrize(
    ("grader", "truth", "said", "correct", "reading"),
    [
        ("exact", "Paris", " paris. ", True, "paris"),
        ("exact", "Paris", "It is Paris", True, "paris"),
        ("exact", "Paris", "It is Lyon", False, "lyon"),
        ("exact", ["Paris", "the French capital"], "The  French capital", True, "the french capital"),
        ("exact", 71.0, "71", True, "71"),
        ("exact", "x", "  ", None, ""),
        ("contains", "Paris", "I think it is **Paris**!", True, "i think it is paris"),
        ("contains", "art", "A party", False, "a party"),
        ("contains", "c++", "use C++ here", True, "use c++ here"),
        ("number", 12, "12", True, "12"),
        ("number", "1,200", "That is 1200.0 people", True, "1200"),
        ("number", 12, "3 and 9 make 12", None, "3 and 9 make 12"),
        ("number", 12, "3 and 9, so the answer is 12.", True, "12"),
        ("number", 12, "Answer: 11. No, the answer is: 12", True, "12"),
        ("number", -0.5, "The result is \u22120.5", True, "-0.5"),
        ("number", 12, "so \\boxed{12}", True, "12"),
        ("number", 72, "48 + 24 = 72\n#### 72", True, "72"),
        ("number", 12, "twelve", True, "12"),
        ("number", 1e9, "1e9", True, "1000000000"),
        ("choice", "B", "(B)", True, "B"),
        ("choice", "(b)", "I choose B, as it fits.", True, "B"),
        ("choice", "B", "A or B", None, "A or B"),
        ("choice", "B", "A small thing: C", False, "C"),
        ("choice", "A", "A", True, "A"),
        ("choice", "B", "Both", None, "Both"),
    ],
)
def test_built_in_graders(grader, truth, said, correct, reading):
    assert grade(question(grader, truth), said) == Grade(correct, reading)


OWN = """
import helper

def same(answer, row):
    return answer == row["answer"] + helper.ENDING

def read(answer, row):
    return answer.startswith("y"), answer[:1]

def unreadable(answer, row):
    return None

def fails(answer, row):
    return 1 / 0

def odd(answer, row):
    return "yes"

NUMBER = 3
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "graders.py").write_text(OWN)
    (tmp_path / "helper.py").write_text("ENDING = '!'")
    return lambda name: f"{tmp_path / 'graders.py'}:{name}"


def test_a_function_of_the_users(own):
    assert grade(question(own("same"), "x"), "x!") == Grade(True, "x!")
    assert grade(question(own("same"), "x"), " x ") == Grade(False, "x")
    assert grade(question(own("read"), "x"), "yes") == Grade(True, "y")
    assert grade(question(own("unreadable"), "x"), "yes") == Grade(None, "yes")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fails", r"failed on question 'q7' \(ZeroDivisionError"),
        ("odd", "returned 'yes' on question 'q7'; return True"),
    ],
)
def test_one_that_fails_is_named_with_the_question(own, name, said):
    with pytest.raises(GradingError, match=said) as caught:
        grade(question(own(name), "x"), "yes")
    assert "\n" not in str(caught.value)


def test_a_grader_that_is_not_there(own, tmp_path):
    for name, said in (
        ("exactly", "unknown grader 'exactly'; choose one of exact, contains, number, choice"),
        (own("other"), "has no function 'other'; it has same, read, unreadable, fails, odd"),
        (own("NUMBER"), "has no function 'NUMBER'"),
        (f"{tmp_path}/none.py:grade", "cannot be loaded .FileNotFoundError"),
        ("no.such.module:grade", "cannot be loaded .ModuleNotFoundError"),
    ):
        with pytest.raises(ValueError, match=said):
            load_grader(name)
    (tmp_path / "broken.py").write_text("def grade(:")
    with pytest.raises(ValueError, match=r"cannot be loaded .SyntaxError"):
        load_grader(f"{tmp_path / 'broken.py'}:grade")


def test_a_module_that_can_be_imported(own, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    assert grade(question("graders:same", "x"), "x!") == Grade(True, "x!")


def test_a_file_is_the_same_from_every_folder(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("graders.py:same") == own("same")
    assert absolute("exact") == "exact"
    assert absolute("operator:eq") == "operator:eq"
