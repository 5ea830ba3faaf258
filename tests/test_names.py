"""Names mean one thing: no two public classes share one, and no file name stands in three rooms for three things."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "secondlook"
SAME_THING = {"__init__.py", "benchmark.py", "case.py", "item.py", "load.py"}
"""Of these a benchmark has one each."""


def test_no_two_public_classes_share_a_name():
    places = defaultdict(list)
    for file in SOURCE.rglob("*.py"):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(file.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_file_name_stands_in_three_rooms():
    places = defaultdict(list)
    for file in SOURCE.rglob("*.py"):
        places[file.name].append(str(file.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 2 and name not in SAME_THING} == {}


def test_verdict_is_a_critic_s_word():
    """A claim has an outcome, a diagnosis a finding; these rooms see no critic."""
    rooms = ("lab", "construct", "objective", "evidence")
    told = [file for room in rooms for file in (SOURCE / room).rglob("*.py") if "verdict" in file.read_text().lower()]
    assert told == []
