"""Write the tables of docs/scale.md from results/scale, or check them (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs/scale.md", ROOT / "results/scale"
QUANTITIES = ("calls", "tokens_in", "tokens_out", "processor_seconds", "seconds")


def checks(result: dict[str, Any]) -> str:
    """A line for each study and quantity: planned, measured, and their ratio."""
    lines = [f"| study | | planned | measured | ratio | within {result['within']:.0%} |", "|---|---|---|---|---|---|"]
    for study in result["studies"]:
        label = f"{study['questions']} questions × {study['rounds']} second look{'s' * (study['rounds'] != 1)}"
        for name in QUANTITIES:
            planned, measured = study["planned"][name], study["measured"][name]
            held = "yes" if abs(planned / measured - 1) <= result["within"] else "**no**"
            cells = (
                label,
                name.replace("_", " "),
                f"{planned:,.0f}",
                f"{measured:,.0f}",
                f"{planned / measured:.3f}",
                held,
            )
            lines.append(f"| {' | '.join(cells)} |")
            label = ""
    return "\n".join(lines) + "\n"


def pilots(result: dict[str, Any]) -> str:
    """How far the same pilot differs from itself."""
    lines = ["| pilot | wall seconds | processor seconds |", "|---|---|---|"]
    for number, took in enumerate(result["pilots"], 1):
        lines.append(f"| {number} | {took['seconds']:.1f} | {took['processor_seconds']:.1f} |")
    return "\n".join(lines) + "\n"


def cluster(result: dict[str, Any]) -> str:
    """What a unit costs beside a plain task of Ray's, and what a second node gains."""
    overhead, nodes = result["overhead"], result["nodes"]
    lines = ["| | Ray | ours | ratio |", "|---|---|---|---|"]
    for kind, ratio in overhead["ratio"].items():
        plain, units = (overhead["microseconds"][f"{name}, {kind}"] for name in ("plain", "units"))
        what = f"{overhead['tasks']:,} trivial tasks, {kind}, each"
        lines.append(f"| {what} | {plain:,.0f} µs | {units:,.0f} µs | {ratio:.2f} |")
    lines += ["", f"| {nodes['runs']} runs of {nodes['steps']} steps of the `quick` profile | seconds |", "|---|---|"]
    lines += [f"| {name} | {seconds:.1f} |" for name, seconds in nodes["seconds"].items()]
    lines.append(f"| two nodes against one | {nodes['gain']:.2f} times as fast |")
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """The page as it should be."""
    plan, nodes = (json.loads((RESULTS / f"{name}.json").read_text("utf-8")) for name in ("plan", "cluster"))
    made = {"cluster": cluster(nodes), "plan-checks": checks(plan), "plan-pilots": pilots(plan)}
    for name, content in made.items():
        text = block(text, name, content)
    return text


if __name__ == "__main__":
    sys.exit(refresh(PAGE, filled, f"{PAGE.name} does not show results/scale; run: python tools/scale_tables.py"))
