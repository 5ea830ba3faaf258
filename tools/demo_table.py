"""Write the demo's table into the README from ``results/demo.json``, or check that it is there (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
README, RESULT = ROOT / "README.md", ROOT / "results" / "demo.json"
START, END = "<!-- demo:start -->\n", "<!-- demo:end -->\n"


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


def main() -> int:
    """Rewrite the block, or compare it."""
    text = README.read_text("utf-8")
    head, _, rest = text.partition(START)
    old, _, tail = rest.partition(END)
    if "--check" in sys.argv[1:]:
        if old != table():
            sys.stderr.write("README.md does not show results/demo.json; run: make results\n")
            return 1
        return 0
    README.write_text(f"{head}{START}{table()}{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
