"""Short word problems of our own making, with exact answers, and a tool that does the sum.

``python -m secondlook.benchmarks.own.word_problems`` is the tool: a critic command of ``secondlook eval own``.
"""

from __future__ import annotations

import json
import operator
import random
import sys
from pathlib import Path

from secondlook.machine import whole

_NAMES = ("Ada", "Bruno", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ivo", "Jamila")
_THINGS = ("apples", "books", "buttons", "candles", "cups", "pencils", "shells", "stamps", "stones", "tickets")
_STORIES = {
    "add": (
        "{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?",
        "There are {a} {things} in one box and {b} in another. How many {things} are there in both boxes?",
        "{name} found {a} {things} on Monday and {b} on Tuesday. How many {things} did {name} find altogether?",
        "A bag holds {a} red {things} and {b} blue {things}. How many {things} does it hold?",
        "{name} bought {a} {things}, and a friend brought {b}. How many {things} do they have together?",
        "On the table lie {a} {things}. {name} puts {b} more on it. How many {things} lie there now?",
        "{name} counted {a} {things} in the morning and {b} in the evening. How many {things} is that in all?",
        "First {a} {things} arrive and then {b} more. How many {things} have arrived?",
    ),
    "take away": (
        "{name} had {a} {things} and gave {b} of them away. How many {things} are left?",
        "A shelf held {a} {things}. {name} took {b}. How many {things} are still on the shelf?",
        "{name} needs {a} {things} and has {b}. How many {things} are missing?",
        "Of {a} {things}, {b} are broken. How many {things} are whole?",
        "{name} has {a} {things}, a friend has {b}. How many {things} more does {name} have?",
        "There were {a} {things} in a drawer, and {b} were sold. How many {things} remain?",
        "{name} lost {b} of {a} {things}. How many {things} does {name} still have?",
        "A basket of {a} {things} is emptied by {b}. How many {things} stay in it?",
    ),
    "times": (
        "{name} has {a} bags with {b} {things} in each. How many {things} does {name} have?",
        "{a} children bring {b} {things} each. How many {things} do they bring altogether?",
        "{name} makes {b} {things} a day. How many {things} does {name} make in {a} days?",
        "There are {a} rows of {b} {things}. How many {things} are there?",
        "A box holds {b} {things}. How many {things} do {a} boxes hold?",
        "{name} gives {b} {things} to each of {a} friends. How many {things} does {name} give?",
        "Each of {a} tables has {b} {things} on it. How many {things} are on the tables?",
        "{name} buys {a} packs of {b} {things}. How many {things} does {name} buy?",
    ),
}
_SIGNS = {"add": "+", "take away": "-", "times": "*"}
_LARGEST = {"add": 9, "take away": 9, "times": 5}
_SHORT = " Answer in one short sentence."
_DO = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def word_problems(count: int, seed: int = 0) -> list[dict[str, str | int]]:
    """Problems, evenly over kinds and stories: rows of a prompt, the truth, and the sum as a tool reads it."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    # Kinds in turn, so that a few problems have all of them.
    stories = [
        (kind, story)
        for group in zip(*_STORIES.values(), strict=True)
        for kind, story in zip(_STORIES, group, strict=True)
    ]
    rows: list[dict[str, str | int]] = []
    for number in range(count):
        kind, story = stories[number % len(stories)]
        b = rng.randint(2, _LARGEST[kind])
        # Something is left when b is taken away: no answer is zero or negative.
        a = b + rng.randint(1, 9) if kind == "take away" else rng.randint(2, _LARGEST[kind])
        sign = _SIGNS[kind]
        rows.append(
            {
                "id": f"{kind}-{number}",
                "prompt": story.format(name=rng.choice(_NAMES), things=rng.choice(_THINGS), a=a, b=b) + _SHORT,
                "answer": _DO[sign](a, b),
                "group": kind,
                "template": f"{kind}-{number % len(stories)}",
                "sum": f"{a} {sign} {b}",
            }
        )
    return rows


def write_word_problems(file: Path, count: int, seed: int = 0) -> Path:
    """The problems as a file of questions.

    Raises:
        OSError: It cannot be written.
    """
    with whole(file) as out:
        out.write("".join(json.dumps(row) + "\n" for row in word_problems(count, seed)).encode())
    return file


def write_questions(folder: Path, per_kind: int, seed: int = 0) -> list[Path]:
    """Write so many problems of each kind into ``questions.jsonl`` of a folder.

    Raises:
        OSError: It cannot be written.
    """
    return [write_word_problems(folder / "questions.jsonl", per_kind * len(_STORIES), seed)]


def _examine() -> str:
    """The tool's critique of the answer on standard input."""
    from secondlook.reading import read_number

    exam = json.load(sys.stdin)
    a, sign, b = exam["row"]["sum"].split()
    result = _DO[sign](int(a), int(b))
    said = read_number(exam["answer"]).value
    verdict = "correct" if said is not None and said.value == result else "wrong"
    return f"{a} {sign} {b} = {result}\nVerdict: {verdict}"


if __name__ == "__main__":
    sys.stdout.write(_examine() + "\n")
