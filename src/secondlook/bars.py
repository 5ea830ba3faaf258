"""Progress: a bar where somebody looks at a terminal, and a line now and then where output goes into a pipe."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TaskID

_EVERY = 30.0  # seconds between two lines


def progress(console: Console, *columns: ProgressColumn) -> Progress:
    """Bars that leave nothing behind; lines where the console is no terminal.

    Args:
        console: Where to draw; lines go to its stream, so give one of standard error where results are on the other.
        columns: Columns of a bar; rich's own by default.
    """
    if console.is_terminal:
        return Progress(*columns, console=console, transient=True)
    return _Lines(console)


class _Lines(Progress):
    """Says how far its tasks are: as each begins, then every half minute, and where it ended."""

    def __init__(self, console: Console) -> None:
        # Disabled, rich keeps count of the tasks and draws nothing.
        super().__init__(console=console, disable=True)
        self._last = 0.0
        self._told: dict[TaskID, float] = {}

    def stop(self) -> None:
        """Say where those tasks ended that went on since they were last told of."""
        super().stop()
        for task in self.tasks:
            if task.completed != self._told[task.id]:
                self._tell(task.id)

    def add_task(self, description: str, *args: Any, **options: Any) -> TaskID:
        """Say that a task has begun."""
        task = super().add_task(description, *args, **options)
        self._tell(task)
        return task

    def update(self, task_id: TaskID, **options: Any) -> None:
        """Say how far it is, if that was not said of late."""
        super().update(task_id, **options)
        self._tell_sometimes(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task, and tell of it now and then."""
        super().advance(task_id, advance)
        self._tell_sometimes(task_id)

    def _tell_sometimes(self, task_id: TaskID) -> None:
        if time.monotonic() >= self._last + _EVERY:
            self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        self._last = time.monotonic()
        task = self._tasks[task_id]
        self._told[task_id] = task.completed
        total = "" if task.total is None else f" of {task.total:,.0f}"
        # .3g keeps the fraction of a small amount, and would write 1,234 as 1.23e+03.
        done = f"{task.completed:,.0f}" if task.completed >= 100 else f"{task.completed:.3g}"
        self.console.print(f"{task.description}: {done}{total}", highlight=False, markup=False)
