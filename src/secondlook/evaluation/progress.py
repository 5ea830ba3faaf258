"""How far a run is: the solver counts its samples, whoever watches draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from secondlook.bars import progress

_watcher: ContextVar[Callable[[], None] | None] = ContextVar("watcher", default=None)


def one_done() -> None:
    """Tell whoever watches that a sample has been asked, well or not."""
    if (tell := _watcher.get()) is not None:
        tell()


@contextmanager
def progress_bar(label: str, total: int, done: int, console: Console) -> Iterator[None]:
    """Draw a bar while samples are asked, and leave no trace of it; lines where the console is no terminal.

    Args:
        label: What is being done.
        total: All samples.
        done: Those an earlier run has asked.
        console: Where to draw; not where the results go.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with progress(console, *columns) as shown:
        bar = shown.add_task(label, total=total, completed=done)
        token = _watcher.set(lambda: shown.advance(bar))
        try:
            yield
        finally:
            _watcher.reset(token)
