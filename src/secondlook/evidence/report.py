"""A result for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from secondlook.evidence.outcome import side


def show(result: dict[str, Any], console: Console) -> None:
    """Print what is claimed, the parts with number, interval and outcome, and what was changed to be fair."""
    console.print(f"[bold]{result['id']}[/bold] {result['claim']} ({result['source']})", highlight=False)
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    for _ in range(4):
        table.add_column()
    for part in result["parts"]:
        table.add_row(part["says"], side(part.get("above"), part.get("below")), interval(part), part["outcome"])
    console.print(table)
    for variant in result["variants"]:
        if variant["also"]:
            changed = "; ".join(f"{name}: {why}" for name, why in variant["also"].items())
            console.print(f"  {variant['label']}: {changed}", highlight=False, style="dim")
    for note in result["notes"]:
        console.print(f"  {note}", highlight=False, style="dim")
    outcome = f"{result['outcome']} at profile {result['profile']}, {result['seconds']:.0f} s"
    console.print(outcome, highlight=False, style="bold")


def interval(estimate: dict[str, Any]) -> str:
    """A number with its interval; a dash where it could not be estimated."""
    if estimate["value"] is None:
        return "–"
    value = f"{estimate['value']:.3f}"
    return value if estimate["low"] is None else f"{value} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
