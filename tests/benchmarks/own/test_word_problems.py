"""The word problems are right, and the tool that does their sums says so."""

import json
import re
import subprocess
import sys

import pytest

from secondlook.benchmarks.own import word_problems
from secondlook.benchmarks.own.load import load_questions
from secondlook.benchmarks.own.word_problems import write_word_problems

DO = {"add": lambda a, b: a + b, "take away": lambda a, b: a - b, "times": lambda a, b: a * b}


def test_every_answer_is_the_sum_of_the_numbers_told(tmp_path):
    questions = load_questions(write_word_problems(tmp_path / "problems.jsonl", 240), "number")
    assert len({question.text for question in questions}) > 230
    assert {question.template for question in questions} == {f"{kind}-{n}" for n, kind in enumerate(list(DO) * 8)}
    for question in questions:
        told = sorted(map(int, re.findall(r"\d+", question.text)), reverse=True)
        assert DO[question.category](*told) == question.row["answer"] > 0


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("So, 13 - 5 = 8 cups are left.", "correct"), ("There are 9.", "wrong"), ("It depends.", "wrong")],
)
def test_the_tool_does_the_sum(answer, verdict):
    exam = {"sample": "a", "round": 0, "query": "?", "answer": answer, "row": {"sum": "13 - 5"}}
    command = [sys.executable, "-m", word_problems.__name__]
    done = subprocess.run(command, input=json.dumps(exam), capture_output=True, text=True, check=True)
    assert done.stdout == f"13 - 5 = 8\nVerdict: {verdict}\n"
