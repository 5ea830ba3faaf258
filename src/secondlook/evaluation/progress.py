"""Progress of a run: the solver counts samples, a watcher draws them; and notices that cannot wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from secondlook.bars import progress
from secondlook.correction.chat import Usage


@dataclass(slots=True)
class _Watch:
    progress: Progress
    bar: TaskID
    since: float = field(default_factory=time.monotonic)
    tokens: int = 0
    said: set[str] = field(default_factory=set)


# Tasks inherit the context they begin in: the solver finds the bar although Inspect runs it and hands nothing on.
_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


def one_done(usage: Usage) -> None:
    """Tell whoever watches that a sample has been asked, well or not, and what its replies came to."""
    if (watch := _watch.get()) is not None:
        watch.tokens += usage.output
        rate = watch.tokens / max(time.monotonic() - watch.since, 1e-9)
        watch.progress.update(watch.bar, advance=1, rate=f"{rate:.0f} tokens/s" if watch.tokens else "")


def say_once(topic: str, text: str) -> None:
    """Tell whoever watches, now and once in a run, what should not wait for its end."""
    watch = _watch.get()
    if watch is None or topic in watch.said:
        return
    watch.said.add(topic)
    watch.progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def progress_bar(label: str, total: int, done: int, console: Console) -> Iterator[None]:
    """Draw a bar while samples are asked, and leave no trace of it; lines where the console is no terminal.

    Args:
        label: What is being done.
        total: All samples.
        done: Those an earlier run has asked.
        console: Where to draw; not where the results go.
    """
    rate = TextColumn("{task.fields[rate]}")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()
    with progress(console, *columns) as shown:
        bar = shown.add_task(label, total=total, completed=done, rate="")
        token = _watch.set(_Watch(shown, bar))
        try:
            yield
        finally:
            _watch.reset(token)
