"""Run the commands of the tutorials as they stand, and show in each page what they print, or ``--check`` that it does.

A block of commands follows a mark ``<!-- run:NAME -->``; the block ``<!-- NAME:start -->`` shows what it prints, or the
part that the page speaks of. ``tutorials.py read-a-diagnosis`` runs one page; two pages ask a real model.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from evidence_tables import block
from own_task import run

ROOT = Path(__file__).parent.parent
Cut = Callable[[str], str]
_SECONDS = 3600  # a busy machine asks a real model slowly


def between(start: str | tuple[str, ...], end: str | tuple[str, ...]) -> Cut:
    """The part of an output from the line that begins with one text to the line before one that begins with another.

    Either may be several texts, of which a line begins with one.
    """

    def cut(said: str) -> str:
        lines = said.splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith(start))
        last = next((number for number, line in enumerate(lines[first:], first) if line.startswith(end)), len(lines))
        return "\n".join(lines[first:last])

    return cut


_FOUND = ("Looking", "Whether")
"""Beginnings of the sentence that says what was found, or that nothing was."""
ASKING = ("ten-minutes", "refusal")
"""Pages that ask a real model, in an empty folder; the others read committed records."""

# No line begins with "\0": such a part ends with the output.
PAGES: Mapping[str, Mapping[str, tuple[str, Cut]]] = {
    "ten-minutes": {
        "questions": ("questions", between('{"id"', "30 ")),
        "ask": ("ask", between("arm ", "critic: ")),
        "why": ("why", between("round ", "\0")),
        "power": ("power", str),
    },
    "compare": {"compare": ("compare", str), "power": ("power", str)},
    "refusal": {"defences": ("refusal", between("defence ", "judge "))},
    "gates": {"fit": ("fit", str), "test": ("test", str)},
    "read-a-diagnosis": {
        "arms": ("diagnose", between("arm ", _FOUND)),
        "finding": ("diagnose", between(_FOUND, "round ")),
        "rounds": ("diagnose", between("round ", "first answers")),
        "flips": ("diagnose", between("first answers", "against  ")),
        "against": ("diagnose", between("against  ", "group ")),
        "groups": ("diagnose", between("group ", "Forecast")),
        "words": ("diagnose", between("Forecast", "\0")),
    },
}
"""Of each page its blocks of output: the commands they come from, and the part that is shown."""


def filled(page: str, text: str, folder: Path) -> str:
    """A page as it should be, from a run in a folder."""
    scripts = dict(re.findall(r"<!-- run:(\w+) -->\n```sh\n(.*?)```", text, re.DOTALL))
    marks = {name: f"# now {name}" for name in scripts}
    said = run("\n".join(f"echo '{marks[name]}'\n{script}" for name, script in scripts.items()), folder, _SECONDS)
    printed = {name: said.partition(f"{mark}\n")[2].partition("# now ")[0] for name, mark in marks.items()}
    for name, (of, cut) in PAGES[page].items():
        shown = "\n".join(line.rstrip() for line in cut(printed[of]).strip().splitlines())
        text = block(text, name, f"```\n{shown}\n```\n")
    return text


def main() -> int:
    """Run the pages, and rewrite or compare them."""
    wanted = [name for name in sys.argv[1:] if name in PAGES] or list(PAGES)
    for name in wanted:
        file = ROOT / "docs" / f"{name}.md"
        old = file.read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder:
            text = filled(name, old, Path(folder) if name in ASKING else ROOT)
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif text != old:
            sys.stderr.write(
                f"docs/{file.name} does not show what its commands print; run: tools/tutorials.py {name}\n"
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
