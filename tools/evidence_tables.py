"""Write the tables of the laboratory and the studies into their pages, or check them (``--check``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from secondlook.evidence.outcome import side
from secondlook.evidence.report import interval
from secondlook.lab.columns import ANSWERS, COLUMNS, judged, worded
from secondlook.lab.experiments import EXPERIMENTS

ROOT = Path(__file__).parent.parent
PAGES = {"lab": "docs/laboratory.md", "studies": "docs/studies.md"}
"""Where the results of a floor are told."""


def results(floor: str) -> list[dict[str, Any]]:
    """The results of the quick profile, the first claim first."""
    files = (ROOT / "results" / floor / "quick").glob("*/result.json")
    files = sorted(files, key=lambda file: int(file.parent.name[1:]))
    return [json.loads(file.read_text("utf-8")) for file in files]


def outcomes(found: list[dict[str, Any]]) -> str:
    """A line for each claim."""
    lines = ["| id | claim | outcome | seconds |", "|---|---|---|---|"]
    lines += [f"| {r['id']} | {r['claim']} | {r['outcome']} | {r['seconds']:.0f} |" for r in found]
    return "\n".join(lines) + "\n"


def parts(result: dict[str, Any]) -> str:
    """A line for each part of one claim."""
    lines = ["| part | threshold | value [95%] | outcome |", "|---|---|---|---|"]
    for part in result["parts"]:
        whose = " *(ours)*" if part["whose"] == "ours" and result["source"] != "ours" else ""
        threshold = side(part.get("above"), part.get("below"))
        lines.append(f"| {part['says']}{whose} | {threshold} | {interval(part)} | {part['outcome']} |")
    return "\n".join(lines) + "\n"


def columns() -> str:
    """A line for each claim of the laboratory but L9 and L10, three answers each."""
    found = judged(ROOT / "results" / "lab")
    lines = [f"| id | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for claim, columns in ANSWERS.items():
        cells = ("; ".join(worded(answer, found) for answer in answers) or "not run" for answers in columns)
        lines.append(f"| {claim} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def standings(sweep: dict[str, Any]) -> str:
    """A line for each variant of a sweep: where it stands."""
    lines = [
        "| variant | standing | skill [95%] | excess loss, nats [95%] | rate | weights |",
        "|---|---|---|---|---|---|",
    ]
    for one in sweep["variants"]:
        if not one.get("skill"):
            lines.append(f"| {one['name']} | {one['standing']} | – | – | – | – |")
            continue
        rates = ", ".join(f"{rate:g}" for rate in sorted({seed["rate"] for seed in one["seeds"]}))
        cells = (one["name"], one["standing"], interval(one["skill"]), interval(one["excess"]), rates)
        lines.append(f"| {' | '.join(cells)} | {one['parameters']:,} |")
    counted = min((len(one["counted"]) for one in sweep["variants"] if one.get("skill")), default=0)
    seeds = f"{sweep['seeds']} seeds, of which {counted} have" if sweep["seeds"] > 1 else f"{counted} of 1 seed has"
    said = f"{seeds} a trained base; {sweep['exam']:,} problems."
    return "\n".join([*lines, "", said]) + "\n"


def of_base(sweep: dict[str, Any]) -> str:
    """A line for each part of the claims about a sweep's base."""
    lines = ["| id | part | threshold | value [95%] |", "|---|---|---|---|"]
    for claim, numbers in sweep["claims"].items():
        for part in EXPERIMENTS[claim].parts:
            value = interval(numbers[part.name])
            lines.append(f"| {claim} | {part.says} | {side(part.above, part.below)} | {value} |")
    return "\n".join(lines) + "\n"


def block(text: str, name: str, content: str) -> str:
    """The text with the block of this name filled.

    Raises:
        ValueError: The text has no such block, or it does not end: what a tool writes would be seen nowhere.
    """
    start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
    head, _, rest = text.partition(start)
    _, ended, tail = rest.partition(end)
    if not ended:
        raise ValueError(f"the page has no block {name!r}: put {start.strip()} and {end} where it is to stand")
    return f"{head}{start}{content}{end}{tail}"


def blocks(floor: str) -> dict[str, str]:
    """What stands in the blocks of a floor's page, by their names."""
    found = results(floor)
    made = {floor: outcomes(found)} | {result["id"]: parts(result) for result in found}
    if floor == "lab":
        made["columns"] = columns()
        for file in sorted((ROOT / "results" / "lab").glob("*/result.json")):
            sweep = json.loads(file.read_text("utf-8"))
            made |= {file.parent.name: standings(sweep), f"{file.parent.name}-base": of_base(sweep)}
    return made


def filled(floor: str, text: str) -> str:
    """A floor's page as it should be."""
    for name, content in blocks(floor).items():
        text = block(text, name, content)
    return text


def refresh(path: Path, filled: Callable[[str], str], otherwise: str) -> int:
    """Rewrite a page's blocks, or with ``--check`` compare them, and say what to do otherwise."""
    old = path.read_text("utf-8")
    if "--check" not in sys.argv[1:]:
        path.write_text(filled(old), encoding="utf-8")
    elif filled(old) != old:
        sys.stderr.write(f"{otherwise}\n")
        return 1
    return 0


def redraw(path: Path, figure: Figure, otherwise: str) -> int:
    """Write a figure as SVG, its words as text, or with ``--check`` compare it, and say what to do otherwise.

    Ids come from a fixed salt and there is no date, so that the same numbers give the same bytes.
    """
    made = BytesIO()
    with rc_context({"svg.hashsalt": "secondlook", "svg.fonttype": "none"}):
        figure.savefig(made, format="svg", metadata={"Date": None})
    if "--check" not in sys.argv[1:]:
        path.write_bytes(made.getvalue())
    elif path.read_bytes() != made.getvalue():
        sys.stderr.write(f"{otherwise}\n")
        return 1
    return 0


def main() -> int:
    """Rewrite the blocks, or compare them; the first page that differs is told."""
    for floor, name in PAGES.items():
        if refresh(
            ROOT / name, partial(filled, floor), f"{name} does not show results/; run: python tools/evidence_tables.py"
        ):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
