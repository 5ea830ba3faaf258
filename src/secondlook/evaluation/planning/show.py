"""A plan on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rich.console import Console

from secondlook.evaluation.planning.study_plan import Planned
from secondlook.layout import table

SAYS = {
    "opening": "start of the process, questions, model",
    "arms": "arms starting and ending",
    "harness": "the driver's own time for questions",
    "endpoints": "the endpoints' time for calls",
    "waiting": "the longest conversation of each arm",
    "reporting": "reading logs, report",
}
"""Names of the parts of the wall time."""
_COUNTS = ("questions", "calls", "tokens_in", "tokens_out", "tokens_cached", "tokens_reusable")


def show(planned: Planned, console: Console) -> None:
    """Print the plan on one screen, readable from 80 columns."""
    made = table(spaces=2)
    made.add_column("arm", no_wrap=True)
    for heading in ("questions", "calls", "tokens in", "tokens out", "cached", "at most"):
        made.add_column(heading, justify="right", no_wrap=True)
    for arm in planned.arms:
        made.add_row(arm.name, *_cells(asdict(arm)))
    made.add_section()
    made.add_row("all", *_cells(planned.total))
    console.print(made)
    console.print("at most: what a prefix cache could serve; cached: as much of it as in the pilot.")
    if bounds := [arm.intervals["tokens_in"] for arm in planned.arms if arm.intervals]:
        low, high = map(sum, zip(*bounds, strict=True))
        console.print(f"tokens in, 95% by the pilot's templates: {low:,.0f} to {high:,.0f}")
    site, wall = planned.site, planned.wall
    made = table(spaces=2)
    made.add_column("part", no_wrap=True)
    made.add_column("seconds", justify="right", no_wrap=True)
    made.add_column("")
    for name, says in SAYS.items():
        made.add_row(name, f"{wall[name]:,.1f}", says)
    made.add_section()
    where = f"{_some(site.endpoints, 'endpoint')}, {_some(site.drivers, 'driver')}"
    made.add_row("all", f"{wall['seconds']:,.1f}", where)
    console.print("", made)
    limit, share = planned.limit, wall[planned.limit] / wall["seconds"]
    console.print(f"\nlimit: {SAYS[limit]} ({limit}, {share:.0%})")
    if planned.filled is not None and planned.filled < 1:
        console.print(
            f"An endpoint has {planned.filled:.2f} of the questions that keep it busy: more endpoints would idle more."
        )
    console.print(f"GPU hours: {planned.gpu_hours:,.3f}, if every endpoint holds {site.gpus_per_endpoint:g} GPUs")
    if planned.processor is not None:
        console.print(f"driver's processor: {planned.processor:,.0f} s, a model that runs in it included")
    if planned.money is not None:
        console.print(f"money: {planned.money:,.2f}")
    for note in planned.notes:
        console.print(note)
    console.print("Nothing was sent to any model.")


def _cells(counts: Mapping[str, float]) -> list[str]:
    return [f"{counts[name]:,.0f}" for name in _COUNTS]


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
