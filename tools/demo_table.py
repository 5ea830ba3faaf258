"""Write the demo's table into docs/planted-subject.md from ``results/demo.json``, or check it (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
PAGE, RESULT = ROOT / "docs" / "planted-subject.md", ROOT / "results" / "demo.json"


def percent(estimate: dict[str, Any] | None) -> str:
    """A share with its interval."""
    if estimate is None:
        return "–"
    text = f"{100 * estimate['value']:.1f}%"
    if estimate["low"] is None:
        return text
    return f"{text} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def table() -> str:
    """The rounds of both arms as a Markdown table, and what they mean in a sentence."""
    report = json.loads(RESULT.read_text("utf-8"))
    lines = [
        "| critic | round | accuracy [95%] | right → wrong | wrong → right | unparsed | critic correct |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in report["arms"]:
        for line in arm["rounds"]:
            flips = [str(line["right_to_wrong"]), str(line["wrong_to_right"])] if line["round"] else ["", ""]
            critic = line["critic"]["accuracy"]
            cells = [
                f"`{arm['arm']}`",
                str(line["round"]),
                percent(line["accuracy"]),
                *flips,
                str(line["unparsed"]),
                f"{100 * critic['value']:.1f}%" if critic else "–",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\n> {report['sentence']}\n"


if __name__ == "__main__":
    sys.exit(
        refresh(PAGE, lambda text: block(text, "demo", table()), f"{PAGE.name} does not show demo.json: make results")
    )
