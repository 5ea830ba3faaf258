"""What is wrong with a task of a user's own is said before anything is paid for, as what it is, with the remedy."""

import html
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from command import secondlook
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.dry_run import dry_run
from secondlook.evaluation.evaluation import Evaluation

SUMS = [{"prompt": f"What is {a} + {b}?", "answer": a + b} for a, b in ((1, 2), (3, 4), (5, 6), (7, 8))]
RAMBLE = "Either 3 or 4, who knows?"
GRADER = "import re\ndef grade(answer, row):\n    found = re.findall('[0-9]+', answer)\n"
GOOD = GRADER + "    return int(found[-1]) == row['answer'] if found else None\n"


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A folder with questions, a grader and a critic that are all in order."""
    monkeypatch.chdir(tmp_path)
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SUMS))
    Path("grade.py").write_text(GOOD)
    Path("check.py").write_text("import sys; sys.stdin.read(); print('Verdict: wrong')\n")
    return tmp_path


def evaluate(address, *options, critic="tool"):
    command = (
        "--critic",
        critic,
        *(("--critic-command", f"{sys.executable} -I -S check.py") if critic == "tool" else ()),
    )
    about = ("--data", "sums.jsonl", "--grader", "grade.py:grade", "--model", "openai-api/local/m", "--out", "run")
    return secondlook("eval", "own", *about, "--base-url", address, "--max-retries", 0, *command, *options)


def test_three_questions_are_shown_before_the_run(task, faulty):
    faulty.says = lambda messages: "It is 3."
    done = evaluate(faulty.address)
    assert done.code == 0, done.err
    shown = done.out[: done.out.index("own · openai-api/local/m")]
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert lines[1:7] == [
        "1 prompt What is 1 + 2?", "answer It is 3.", "truth 3", "grade right", "tool Verdict: wrong", "verdict wrong",
    ]  # fmt: skip
    assert sum(line.startswith("grade wrong") for line in lines) == 2
    # Three answers before the run, and then two to each of four questions.
    assert len(faulty.asked) == 3 + 4 * 2
    faulty.asked.clear()
    assert evaluate(faulty.address).code == 0
    assert faulty.asked == []


def test_a_dry_run_counts_them(task, faulty):
    about = {"data": "sums.jsonl", "grader": "grade.py:grade"}
    own = Evaluation(benchmark="own", endpoint=Endpoint(model="a/b"), arms=("self", "none"), questions=about)
    assert [(line.arm, line.calls) for line in dry_run(own, preflight=True)] == [
        ("preflight", 6),
        ("self", 12),
        ("none", 8),
    ]
    faulty.says = lambda messages: "3. Verdict: correct" if "Verdict:" in messages[-1]["content"] else "3"
    assert evaluate(faulty.address, "--critic", "none", critic="self").code == 0
    assert len(faulty.asked) == 26


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("grade.py", GOOD.replace("import re\n", ""), "failed on question '1' (NameError: name 're' is not defined)"),
        ("grade.py", GRADER + "    return None\n", "grade.py:grade' read none of the answers above (it returned None)"),
        ("grade.py", "def grade(answer, row):\n    return answer == row['answer']\n", "is text, with the number 3"),
        ("grade.py", GOOD.replace("row['answer']", "str(row['answer'])"), "returned"),
        ("check.py", "import time; time.sleep(60)\n", "took longer than 0.5 s; let it be faster, or give more"),
        ("check.py", "", "printed nothing on a made-up answer; a critique ends with 'Verdict: wrong' or 'Verd"),
        ("check.py", "print('Looks odd.')\n", "stated no verdict on a made-up answer: 'Looks odd.'; a critique"),
        ("check.py", "raise SystemExit('no numbers')\n", "exited with code 1: no numbers"),
    ],
)  # fmt: skip
def test_what_stops_before_the_run(task, faulty, file, text, said):
    if said == "returned":  # the reverse: numbers in the answer, text in the data
        Path("sums.jsonl").write_text("".join(json.dumps({**row, "answer": str(row["answer"])}) + "\n" for row in SUMS))
        text, said = GOOD, "compares a number with '3', which is text in the data"
    Path(file).write_text(text)
    faulty.says = lambda messages: "It is 3."
    done = evaluate(faulty.address, "--critic-seconds", 0.5 if "sleep" in text else 30)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert "Nothing was run; --no-preflight goes on all the same" in " ".join(done.err.split())
    assert "see that the model is there" not in done.err
    assert len(faulty.asked) in (0, 3)  # the run itself was never begun, and its folder is still free
    assert not Path("run/run.json").exists()


def test_what_is_wrong_with_the_answers(task, faulty):
    faulty.says = lambda messages: "3" if len(messages) == 1 else "I think so."
    assert "critic 'self' stated no verdict on any of 3 answers; a critique ends with" in evaluate(
        faulty.address, critic="self"
    ).err  # fmt: skip
    faulty.misbehave("length")
    assert "3 of 3 answers are cut off; the limit is 512 tokens, give more: --reply-tokens 1024" in evaluate(
        faulty.address
    ).err  # fmt: skip
    faulty.misbehave("500")
    assert "see that it is there and answers" in evaluate(faulty.address).err


def test_a_grader_that_nobody_asked_for_is_named_and_another_one_too(task, faulty):
    faulty.says = lambda messages: RAMBLE
    options = ("--no-preflight",)
    about = ("--data", "sums.jsonl", "--model", "openai-api/local/m", "--base-url", faulty.address, "--critic", "none")
    remedy = "give --grader number, since the data's answers are numbers, or ask for answers in its form (--prompt)"
    stopped = secondlook("eval", "own", *about).err
    assert f"grader 'exact' read none of the answers above; {remedy}. Nothing was run" in stopped
    assert "--grader number" not in secondlook("eval", "own", *about, "--grader", "number").err
    # Without a preflight, which benchmarks of a package have not either, it is said once they are asked.
    done = secondlook("eval", "own", *about, *options, "--out", "run")
    said = f"Grader 'exact' read none of the 8 answers of none; {remedy}. The first is {RAMBLE!r}."
    assert (done.code, done.err.splitlines()) == (0, [said])
    assert said in " ".join(done.out.split())
    assert said in html.unescape(Path("run/report.html").read_text("utf-8"))
    assert said in " ".join(secondlook("report", "run").out.split())
    faulty.says = lambda messages: RAMBLE if "1 + 2" in messages[0]["content"] else "7"
    assert secondlook("eval", "own", *about, *options, "--out", "other").err == ""


def test_a_verdict_that_was_asked_for_alone_is_told_from_one_that_was_stated(task, faulty):
    def says(messages):
        if len(messages) == 1:
            return "3"
        return "Verdict: correct" if messages[-2]["content"] == "I think so." else "I think so."

    faulty.says = says
    shown = [" ".join(line.split()) for line in evaluate(faulty.address, critic="self").out.splitlines()]
    assert shown[shown.index("self I think so.") + 1] == "verdict right (asked once more)"


def test_without_it_a_graders_fault_is_the_graders(task, faulty):
    Path("grade.py").write_text(GOOD.replace("import re\n", ""))
    line = evaluate(faulty.address, "--no-preflight").error
    assert "NameError: name 're' is not defined" in line
    assert "see that the model is there" not in line


def test_a_tool_that_needs_the_row_is_told_of(task, faulty):
    """A gateway has no row: such a critic can be evaluated, and fails on every request once it is served."""
    text = "import json,sys; exam = json.load(sys.stdin); exam['row']; print('Verdict: wrong')\n"
    Path("check.py").write_text(text)
    faulty.says = lambda messages: "It is 3."
    said = " ".join(evaluate(faulty.address).out.split())
    assert "without the row this one fails" in said
    Path("check.py").write_text(text.replace("exam['row'];", ""))
    assert "without the row" not in evaluate(faulty.address, "--out", "other").out


def test_a_tool_may_abstain(task, faulty):
    """A question that it cannot judge is answered once; the report counts it, and no error ends it."""
    Path("check.py").write_text("import sys; print('abstain' if '5 + 6' in sys.stdin.read() else 'Verdict: wrong')\n")
    faulty.says = lambda messages: "It is 3."
    done = evaluate(faulty.address)
    assert done.code == 0, done.err
    assert "Critic 'tool' abstained on 1 of 4 questions, whose answers stand." in " ".join(done.out.split())
    records = pd.read_csv("run/records.csv")
    assert records.groupby("sample").size().to_dict() == {1: 2, 2: 2, 3: 1, 4: 2}
    assert set(records["status"]) == {"ok"}
    Path("check.py").write_text("print('abstain')\n")
    assert evaluate(faulty.address, "--out", "other").code == 0


def test_an_answer_that_the_run_would_ask_for_once_more_is_no_fault(task, faulty):
    """A model that talks first and gives its number when it is asked for that alone can be evaluated."""
    faulty.says = lambda messages: "3" if len(messages) > 1 else "Let me think about the two of them."
    about = (
        "--data",
        "sums.jsonl",
        "--grader",
        "number",
        "--model",
        "openai-api/local/m",
        "--base-url",
        faulty.address,
    )
    run = ("eval", "own", *about, "--critic", "none", "--rounds", 0)
    stopped = secondlook(*run, "--elicit", "line", "--out", "one")
    assert "grader 'number' read none of the answers above" in stopped.err
    done = secondlook(*run, "--elicit", "auto", "--out", "two")
    assert done.code == 0, done.err
    assert "right (read as '3', asked once more)" in " ".join(done.out.split())
