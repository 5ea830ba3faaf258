"""Write the laboratory's tables into its page and the README from ``results/lab``, or check them (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from secondlook.evidence.report import interval
from secondlook.evidence.verdict import side

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "lab"
PAGE, README = ROOT / "docs" / "laboratory.md", ROOT / "README.md"


def results(profile: str) -> list[dict[str, Any]]:
    """The results of a profile, L1 first."""
    return [json.loads(file.read_text("utf-8")) for file in sorted((RESULTS / profile).glob("L*/result.json"))]


def verdicts() -> str:
    """A line for each claim."""
    lines = ["| id | claim | verdict | seconds |", "|---|---|---|---|"]
    lines += [f"| {r['id']} | {r['claim']} | {r['verdict']} | {r['seconds']:.0f} |" for r in results("quick")]
    return "\n".join(lines) + "\n"


def parts(name: str) -> str:
    """A line for each part of one claim."""
    result = json.loads((RESULTS / "quick" / name / "result.json").read_text("utf-8"))
    lines = ["| part | threshold | value [95%] | verdict |", "|---|---|---|---|"]
    for part in result["parts"]:
        whose = " *(ours)*" if part["whose"] == "ours" and result["source"] != "ours" else ""
        threshold = side(part.get("above"), part.get("below"))
        lines.append(f"| {part['says']}{whose} | {threshold} | {interval(part)} | {part['verdict']} |")
    return "\n".join(lines) + "\n"


def block(text: str, name: str, content: str) -> str:
    """The text with the block of this name filled."""
    start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
    head, found, rest = text.partition(start)
    if not found:
        return text
    _, _, tail = rest.partition(end)
    return f"{head}{start}{content}{end}{tail}"


def filled(path: Path) -> str:
    """The page as it should be."""
    text = block(path.read_text("utf-8"), "lab", verdicts())
    for result in results("quick"):
        text = block(text, result["id"], parts(result["id"]))
    return text


def main() -> int:
    """Rewrite the blocks, or compare them."""
    for path in (PAGE, README):
        text = filled(path)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif text != path.read_text("utf-8"):
            sys.stderr.write(f"{path.name} does not show results/lab; run: python tools/lab_table.py\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
