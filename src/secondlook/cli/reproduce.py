"""The ledger's command: every claim, its evidence, one page."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondlook.bars import progress
from secondlook.cli.options import refuse_unused, typed
from secondlook.cli.terminal import Cluster, Cpus, Gpus, console, errors, notice
from secondlook.machine import processors

if TYPE_CHECKING:
    from secondlook.reproduce.run import Entry

app = typer.Typer()
_OWN = ("profile", "workers", "cluster", "cpus", "gpus", "committed", "expected", "browser")
_OF_MODEL = ("base_url", "per_category", "dry_run")
"""Options of the ledger's own work, and of claims that are put to a model."""


@app.command()
def reproduce(
    context: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(help="T1 to T13, L1 to L10, S1 to S8, R1 to R3; by default all.")
    ] = None,
    profile: Annotated[str, typer.Option(help="demo, quick or full.")] = "demo",
    out: Annotated[Path, typer.Option(help="Folder of claims.json, index.html, figures and finished work.")] = Path(
        "runs/reproduce"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each processor.")] = None,
    cluster: Cluster = None,
    cpus: Cpus = 1.0,
    gpus: Gpus = None,
    committed: Annotated[
        bool, typer.Option("--committed", help="Take committed evidence of this profile rather than gather it again.")
    ] = False,
    expected: Annotated[
        Path | None, typer.Option(help="Outcomes to compare with; by default the committed results/claims.json.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page where there is a display.")] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Put the claims S1 to S8 and R1 to R3 to this model instead, as study run does: a name of secondlook "
            "models, or Inspect's spelling."
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Address of that model's server.")] = None,
    per_category: Annotated[int | None, typer.Option(min=2, help="Questions it is asked of each category.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what it would be asked, and ask nobody.")] = False,
) -> None:
    """Gather the evidence of every claim, and write one page that says which of them held here.

    The same command goes on where it was stopped. Exit code 1 if a claim that had held no longer does.
    """
    refuse_unused(context, _OWN if model else _OF_MODEL, model)
    if model:
        from secondlook.cli.studies import of_models

        of_models(
            ids or ["all"],
            model,
            base_url,
            per_category,
            Path("results/real"),
            out if "out" in typed(context) else Path("runs/studies"),
            dry_run=dry_run,
        )
        return
    if expected is not None and not expected.is_file():
        raise ValueError(f"--expected {str(expected)!r} is not there, so nothing could be compared; name a claims.json")
    import torch
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from secondlook.cluster.engines import engine
    from secondlook.cluster.unit import Resources
    from secondlook.reproduce.figures import draw_all
    from secondlook.reproduce.ledger import find
    from secondlook.reproduce.page import write_page
    from secondlook.reproduce.run import RESULTS, fallen, jobs, reproduce, write

    claims = find(ids or [])
    torch.set_num_threads(1)  # most of what is run is too small for more, and processes share the cores
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    bar = progress(console if console.is_terminal else errors, *columns, TextColumn("{task.description}"))
    resources = Resources(cpus, gpus or 0.0)
    with engine(cluster, out, resources, tell=notice) as works, bar:
        task = bar.add_task("claims", total=len(jobs(claims)))
        entries = reproduce(
            claims,
            profile,
            out,
            workers=workers or processors(),
            kept=committed,
            engine=works if cluster else None,
            accelerated=bool(cluster and resources.gpus),
            tell=lambda what: bar.update(task, description=what),
            done=lambda: bar.advance(task),
        )
        bar.update(task, description="figures and page")
        draw_all(entries, out / "figures")
        write(entries, out / "claims.json")
        page = write_page(entries, profile, out / "index.html")
    _summary(entries)
    console.print(f"page in {page.absolute()}", highlight=False, soft_wrap=True)
    if browser and _display():
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
    before = expected or RESULTS / "claims.json"
    if not before.is_file():  # an installed package brings no results along
        notice("no committed outcomes are here to compare with; name a claims.json with --expected")
        return
    for sentence in (lost := fallen(entries, before)):
        console.print(sentence, style="red", highlight=False, soft_wrap=True)
    if lost:
        raise typer.Exit(1)


def _summary(entries: Sequence[Entry]) -> None:
    from rich.table import Table

    from secondlook.reproduce.words import called, otherwise, outcome_of, worded

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for record in (entry.record for entry in entries):
        table.add_row(
            str(record["id"]),
            str(record["title"]),
            outcome_of(record),
            # Of what was not run: the command that would.
            worded(record) or str(record["command"]),
            str(record["evidence"] or ""),
        )
    console.print(table, highlight=False)
    for record in (entry.record for entry in entries):
        for subject in record["real"]:
            said = f"{record['id']}: {called(subject['model'])}: {subject['outcome']}, committed"
            console.print(f"{said}; again: {subject['command']}", highlight=False, style="dim", soft_wrap=True)
    for entry in entries:
        if why := otherwise(entry.record, entry.earlier):
            console.print(f"{entry.record['id']}: {why}", highlight=False, style="dim")


def _display() -> bool:
    """Whether somebody could look at a page that is opened."""
    return sys.platform in ("darwin", "win32") or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
