"""Commands of the theory floor: prove and show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from secondlook.cli.terminal import bar, console, fail
from secondlook.machine import processors, whole

app = typer.Typer()
_FEW = 4  # sizes that are done before another process has started


@app.command()
def prove(
    claims: Annotated[list[str] | None, typer.Argument(help="T1 to T13; by default all.")] = None,
    d: Annotated[list[int] | None, typer.Option("-d", "--d", help="Width of a response; repeatable.")] = None,
    n: Annotated[list[int] | None, typer.Option("-n", "--n", help="Responses of a context; repeatable.")] = None,
    steps: Annotated[list[int] | None, typer.Option(help="Gradient steps; repeatable.")] = None,
    each: Annotated[int, typer.Option(help="Contexts of each of the twelve families and two gaps.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the contexts.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each processor.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every row, not the worst of each construction.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all rows to this file.")] = None,
) -> None:
    """Build every construction, run it beside automatic differentiation, and hold it to its bound.

    Exit code 1 if a bound or an accuracy does not hold.
    """
    import torch

    from secondlook.construct.prove import CLAIMS, Check, Grid, evidence, parts, table

    if json_:
        _check_place(json_)
    usual = Grid()
    grid = Grid(d or usual.d, n or usual.n, steps or usual.steps, each=each, seed=seed)
    wanted = [name.upper() for name in claims or CLAIMS]
    if unknown := [name for name in wanted if name not in CLAIMS]:
        raise ValueError(f"claim {unknown[0]!r} is unknown; known: {', '.join(CLAIMS)}")
    workers = workers or (processors() if len(grid) > _FEW else 1)
    rows: list[Check] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # most of these matrices are too small for more
    try:
        with bar() as progress:
            for found in progress.track(
                evidence(grid, workers, wanted), total=parts(grid, wanted), description="proving"
            ):
                rows += found
    except KeyboardInterrupt:
        fail("stopped; nothing was kept, a smaller grid takes seconds: secondlook prove -d 5 -n 8", 130)
    finally:
        torch.set_num_threads(threads)
    console.print(table(rows, every=every))
    failed = [row for row in rows if not row.passed]
    console.print(f"{len(rows) - len(failed)} of {len(rows)} checks passed", highlight=False)
    if json_:
        json_.write_text(json.dumps([row.record() for row in rows], indent=1, allow_nan=False) + "\n", encoding="utf-8")
        console.print(f"rows in {json_}", highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def show(
    construction: Annotated[
        str,
        typer.Argument(
            help="bradley-terry, plackett-luce, causal, attention-only, shallow or verdicts; or a claim: T2, T3, T5, "
            "T7, T8 or T12."
        ),
    ],
    n: Annotated[int | None, typer.Option("-n", "--n", help="Responses, 2 to 16; by default 6.")] = None,
    steps: Annotated[int, typer.Option(help="Gradient steps, 1 to 8.")] = 1,
    eta: Annotated[float, typer.Option(help="Step size, up to 1.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the context that is shown.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The file; by default CONSTRUCTION.html.")] = None,
) -> None:
    """Write one page that steps through a construction's blocks, beside the gradient it is to follow.

    Of verdicts (T12) it is a page with sliders for the model and its critic.
    """
    from secondlook.construct.show import VERDICTS, named, render

    name = named(construction)
    page = out or Path(f"{name}.html")
    if out:
        _check_place(out)
    text = render(name, n=n, steps=steps, eta=eta, seed=seed)
    with whole(page) as file:
        file.write(text.encode())
    way = "move the sliders" if name == VERDICTS else "arrow keys step"
    console.print(f"page in {page}: open it in a browser, {way}", highlight=False, soft_wrap=True)


def _check_place(file: Path) -> None:
    """Refuse a file that cannot be written before there is anything to write."""
    if not file.absolute().parent.is_dir():
        raise FileNotFoundError(f"folder {file.parent} does not exist; create it, or write to another")
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file in it")
