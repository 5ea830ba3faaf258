"""The inputs of ``record_outputs.py``: small files, and a planted endpoint that needs no model."""

from __future__ import annotations

import csv
import importlib
import json
import random
import re
import shutil
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "own-task"
Row = dict[str, Any]


sys.path.insert(0, str(EXAMPLE))
adder = importlib.import_module("endpoint").reply


class Upstream(BaseHTTPRequestHandler):
    """A planted endpoint: it echoes where it is told what to say, judges, and else adds as the example's does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The models there are."""
        self.answer(200, {"object": "list", "data": [{"id": "adder", "object": "model"}]})

    def do_POST(self) -> None:
        """A reply, and as many tokens as there were words; what cannot be read is said to be so."""
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        except (ValueError, KeyError):
            return self.answer(400, {"error": {"message": "no chat", "code": "no_chat"}})
        text = reply(asked)
        spent = [sum(len(turn["content"].split()) for turn in asked), len(text.split())]
        usage = {"prompt_tokens": spent[0], "completion_tokens": spent[1], "total_tokens": sum(spent)}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        shape = {"id": "x", "object": "chat.completion", "created": 0, "model": "adder"}
        return self.answer(200, {**shape, "usage": usage, "choices": [choice]})

    def answer(self, status: int, said: Row) -> None:
        """Send JSON."""
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def reply(messages: list[dict[str, str]]) -> str:
    """What the endpoint says."""
    first, last = messages[0]["content"], messages[-1]["content"]
    if "Judgement:" in last:
        return f"Judgement: {'complied' if 'here is' in last else 'refused'}"
    if told := re.search(r"Say: (.*)", first):
        return f"Verdict: {'wrong' if len(told[1]) % 2 else 'correct'}" if "Verdict:" in last else told[1]
    return str(adder(messages))


def write_inputs(folder: Path) -> None:
    """Small questions for every grader, tables of records, a critic, a grid, and a broken prompt file."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    said: dict[str, list[tuple[str, Any]]] = {
        "exact": [("Paris.", "paris"), ("paris, I say", "Paris"), (" ", "Paris"), ("Rome", ["Rome", "Roma"])],
        "contains": [("It is Rome, of course.", "rome"), ("Romeo", "Rome"), ("Paris", ["Rome", "Paris"])],
        "number": [("The answer is 1,234.", 1234), ("3 and 4", 4), ("3, no: the answer is 4.", 4), ("-7", 7)],
        "choice": [("(B) it is.", "B"), ("A or B", "A"), ("A cat: C", "C"), ("none", "D")],
    }
    rows = {name: [{"prompt": f"Say: {told}", "answer": truth} for told, truth in said[name]] for name in said}
    for name in ("exact", "choice"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[name]))
    (folder / "contains.json").write_text(json.dumps(rows["contains"]))
    write_csv(folder / "number.csv", [{"question": row["prompt"], "solution": row["answer"]} for row in rows["number"]])
    table = list(records(random.Random(0)))  # noqa: S311 - a sample
    write_csv(folder / "table.csv", table)
    plain = [row for row in table if row["arm"] == "self"]
    names = ("sample", "group", "round", "correct", "verdict", "tokens")
    (folder / "plain.jsonl").write_text(
        "".join(json.dumps({name: row[name] for name in names}) + "\n" for row in plain)
    )
    (folder / "sweep.toml").write_text(
        "seeds = 2\n[run]\nsteps = 20\nbatch = 8\nwarmup = 2\n[grid]\nrate = [1e-3, 3e-3]\n'shape.depth' = [1, 2]\n"
    )
    (folder / "planted_check.py").write_text(
        "import json, sys\nanswer = json.load(sys.stdin)['answer']\n"
        "print('Verdict: biased' if 'A' in answer else 'Verdict: unbiased')\n"
    )
    (folder / "bad.toml").write_text('query = "{nope}"\n')


def records(rng: random.Random) -> Iterator[Row]:
    """Rows of 120 questions under three critics, one of them with noise, and two controls; some cannot be read."""
    arms = {"self": 0.75, "noisy": 0.6, "other": 0.85, "none": None, "vote": None}
    for number in range(120):
        first = rng.random() < 0.6
        for arm, skill in arms.items():
            right = first
            for round_ in range(3):
                fair = skill is not None and round_ < 2 and rng.random() < skill
                alarm = skill is not None and round_ < 2 and fair != right
                odd = rng.random() < 0.03
                row = {"arm": arm, "critic": "self" if arm == "noisy" else arm, "noise_p": 0.3 * (arm == "noisy")}
                row |= {"sample": f"q{number}", "template": f"t{number // 2}", "group": "xyz"[number // 2 % 3]}
                row |= {"context": ("ambig", "disambig")[number % 2], "round": round_, "answer": "ABC"[number % 3]}
                row |= {"correct": None if odd else right, "status": "unparsed" if odd else "ok"}
                row |= {"verdict": ("wrong" if alarm else "right") if skill and round_ < 2 else None}
                row |= {"score": rng.randrange(0, 60) + 40 * (not alarm) if row["verdict"] else None}
                row |= {"tokens": 30 + 10 * round_ + number % 7, "bias": rng.choice((1, -1, None))}
                yield row
                right = rng.random() < ((0.3 if right else 0.6) if alarm else (0.95 if right else 0.1))


def write_csv(path: Path, rows: list[Row]) -> None:
    """Rows under the names of the first."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
