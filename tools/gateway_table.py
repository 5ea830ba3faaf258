"""Write the tables of docs/gateway.md from results/gateway/traffic.json, or check them (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
PAGE, RESULT = ROOT / "docs/gateway.md", ROOT / "results/gateway/traffic.json"
DIRECT = "direct"


def traffic(result: dict[str, Any]) -> str:
    """A line for each part and program: medians of the rounds, with the lowest and the highest."""
    heads = ("", "", "median, ms", "p99, ms", "50 in flight, /s", "500 in flight, /s", "memory, MB")
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for name, part in result["parts"].items():
        label = f"{name}, {part['rate']:.0f}/s"
        for program, numbers in part["programs"].items():
            digits = {"median": 2, "p99": 1}
            cells = [
                _cell(numbers.get(what), digits.get(what, 0), signed=what in digits and program != DIRECT)
                for what in ("median", "p99", "50", "500", "MB")
            ]
            failed = f" ({numbers['failed'][2]:.0f} failed)" if numbers["failed"][2] else ""
            lines.append(f"| {label} | {program}{failed} | {' | '.join(cells)} |")
            label = ""
    kept = result["memory"]
    told = (
        f"{result['cores']} cores, load {result['load']:g} before; {result['rounds']} rounds of "
        f"{result['seconds']:g} s a number, {result['date']}. Our memory over {kept['requests']:,} requests: "
        f"{kept['MB']:.0f} MB, then {100 * kept['growth']:+.1f}%."
    )
    return "\n".join([*lines, "", told]) + "\n"


def bounds(result: dict[str, Any]) -> str:
    """A line for each bound, and whether it holds."""
    lines = ["| | bound | holds |", "|---|---|---|"]
    lines += [f"| {one['part']} | {one['bound']} | {'yes' if one['holds'] else '**no**'} |" for one in result["bounds"]]
    return "\n".join(lines) + "\n"


def _cell(found: list[float] | None, digits: int, *, signed: bool) -> str:
    if found is None:
        return ""
    middle, low, high = (f"{value:{'+' if signed else ''},.{digits}f}" for value in found)
    return f"{middle} ({low} to {high})"


def filled(text: str) -> str:
    """The page as it should be; as it is, until there is a result."""
    if not RESULT.exists():
        return text
    result = json.loads(RESULT.read_text("utf-8"))
    return block(block(text, "traffic", traffic(result)), "traffic-bounds", bounds(result))


if __name__ == "__main__":
    sys.exit(refresh(PAGE, filled, f"{PAGE.name} does not show {RESULT.name}; run: python tools/gateway_table.py"))
