"""What every command prints on."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console

console = Console()
errors = Console(stderr=True, soft_wrap=True)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and leave."""
    errors.print(f"error: {message}", style="red", markup=False, highlight=False)
    sys.exit(code)
