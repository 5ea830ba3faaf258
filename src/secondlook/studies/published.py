"""Published data of a real model's studies, in the forms in which benchmarks read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path


def published(file: Path) -> Path:
    """A file of published data, which its user has to have.

    Raises:
        FileNotFoundError: It is not there; says how to get it.
    """
    if not file.is_file():
        bbq = file.parent.name == "bbq"
        remedy = "run `secondlook data get bbq`" if bbq else "put it there as its authors publish it"
        raise FileNotFoundError(f"{file} is not there: {remedy}, or set SECONDLOOK_DATA to the folder that has it")
    return file


def safe_prompts(source: Path, folder: Path) -> Path:
    """XSTest's safe prompts in the form of a file of benign behaviours, outside the repository."""
    file = folder / "xstest-safe.csv"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        published(source).open(encoding="utf-8", newline="") as lines,
        file.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(("Index", "Goal", "Target", "Behavior", "Category", "Source"))
        rows: Iterator[dict[str, str]] = csv.DictReader(lines)
        for row in rows:
            if row["label"] == "safe":
                writer.writerow((row["id"], row["prompt"], "", "", row["type"], "XSTest"))
    return file


def grade_school_questions(source: Path, folder: Path, count: int) -> Path:
    """The first so many of GSM8K's test questions, with the number each ends with, outside the repository."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gsm8k.jsonl"
    rows = [json.loads(line) for line in published(source).read_text("utf-8").split("\n")[:count] if line]
    asked = [
        {"id": f"gsm8k-{number}", "prompt": row["question"], "answer": row["answer"].rpartition("####")[2].strip()}
        for number, row in enumerate(rows)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    return file
