"""Terminal that every command prints on, and options that several share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

from secondlook.bars import progress

Cluster = Annotated[
    str | None,
    typer.Option(help="Ray cluster: local (of this machine), auto, HOST:PORT of its head, or ray://HOST:PORT."),
]
Cpus = Annotated[float, typer.Option(help="Processors of a unit of work on the cluster.")]
Gpus = Annotated[
    float | None, typer.Option(help="Accelerators of a unit, e.g. 0.25; by default 1 where --device is one, else none.")
]
console = Console()
errors = Console(stderr=True, soft_wrap=True)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and leave."""
    errors.print(f"error: {message}", style="red", markup=False, highlight=False)
    sys.exit(code)


def notice(line: str) -> None:
    """Say something beside the results, while work goes on."""
    errors.print(line, style="yellow", markup=False, highlight=False)


def bar() -> Progress:
    """A progress bar that leaves nothing behind; in a pipe, a line on standard error now and then."""
    return progress(console if console.is_terminal else errors)


def counter(shown: Progress, what: str) -> tuple[Callable[[int], None], Callable[[float], None]]:
    """A bar's two handles: one says how many there are, one how many were done since the last call."""
    task = shown.add_task(what, total=None)
    return lambda total: shown.update(task, total=total), lambda done: shown.advance(task, done)
