"""Names mean one thing: no two public classes share one, and no file name stands in three rooms for three things."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "secondlook"
SAME_THING = {"__init__.py", "benchmark.py", "case.py", "item.py", "load.py", "verdicts.py"}
"""Of these a benchmark has one each; verdicts are a critic's wherever they are read, fed or proved about."""


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
    """A claim has an outcome, a diagnosis a finding; of verdicts these rooms speak where a critic gives them (T12)."""
    texts = {
        file: file.read_text("utf-8").lower()
        for room in ("lab", "construct", "objective", "evidence")
        for file in (SOURCE / room).rglob("*.py")
    }
    of_t12 = ("critic", "t12", "judgedcontexts", "prove_verdicts", "verdict_step")
    assert [
        file for file, text in texts.items() if "verdict" in text and not any(word in text for word in of_t12)
    ] == []
