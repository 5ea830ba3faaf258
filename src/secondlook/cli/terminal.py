"""What every command prints on, and what it may use."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rich.console import Console
from rich.progress import Progress

console = Console()
errors = Console(stderr=True, soft_wrap=True)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and leave."""
    errors.print(f"error: {message}", style="red", markup=False, highlight=False)
    sys.exit(code)


def bar() -> Progress:
    """A progress bar that leaves nothing behind, and is not there where nobody looks."""
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
