"""A plan on the terminal, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console

from secondlook.evaluation.planning.plan import Planned
from secondlook.evaluation.planning.schedule import PARTS
from secondlook.evaluation.planning.tokens import Spent
from secondlook.layout import table

SAYS = {
    "opening": "start of the process, questions, model",
    "arms": "arms starting and ending",
    "harness": "the driver's own time for questions",
    "endpoints": "the endpoints' time for calls",
    "waiting": "the longest conversation of each arm",
    "reporting": "reading logs, report",
}
"""What each part of the wall time is."""


def to_json(planned: Planned) -> str:
    """Everything, for programs."""
    return json.dumps(asdict(planned), indent=1) + "\n"


def show(planned: Planned, console: Console) -> None:
    """One screen; it is readable from 80 columns."""
    made = table(spaces=2)
    made.add_column("arm", no_wrap=True)
    for heading in ("questions", "calls", "tokens in", "tokens out", "cached", "at most"):
        made.add_column(heading, justify="right", no_wrap=True)
    for arm in planned.arms:
        made.add_row(arm.name, f"{arm.questions:,}", *_cells(arm.spent))
    made.add_section()
    made.add_row("all", f"{sum(arm.questions for arm in planned.arms):,}", *_cells(planned.total))
    console.print(made)
    console.print("at most: what a prefix cache could serve; cached: as much of it as in the pilot.")
    low, high = (sum(arm.intervals["tokens_in"][side] for arm in planned.arms) for side in (0, 1))
    console.print(f"tokens in, 95% by the pilot's templates: {low:,.0f} to {high:,.0f}\n")
    site, wall = planned.site, planned.wall
    made = table(spaces=2)
    made.add_column("part", no_wrap=True)
    made.add_column("seconds", justify="right", no_wrap=True)
    made.add_column("")
    for name in PARTS:
        made.add_row(name, f"{getattr(wall, name):,.1f}", SAYS[name])
    made.add_section()
    made.add_row("all", f"{wall.seconds:,.1f}", f"{_counted(site.endpoints, 'endpoint')}, {_drivers(site.drivers)}")
    console.print(made)
    console.print(f"\nlimit: {SAYS[wall.limit]} ({wall.limit}, {getattr(wall, wall.limit) / wall.seconds:.0%})")
    if wall.filled is not None and wall.filled < 1:
        console.print(
            f"An endpoint has {wall.filled:.2f} of the questions that keep it busy: more endpoints would idle more."
        )
    console.print(f"GPU hours: {planned.gpu_hours:,.3f}, if every endpoint holds {site.gpus_per_endpoint:g} GPUs")
    if planned.processor is not None:
        console.print(f"driver's processor: {planned.processor:,.0f} s, a model that runs in it included")
    if planned.money is not None:
        console.print(f"money: {planned.money:,.2f}")
    for note in planned.notes:
        console.print(note)
    console.print("Nothing was sent to any model.")


def _cells(spent: Spent) -> list[str]:
    counts = (spent.calls, spent.tokens_in, spent.tokens_out, spent.tokens_cached, spent.tokens_reusable)
    return [f"{count:,.0f}" for count in counts]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _drivers(number: int) -> str:
    return _counted(number, "driver")
