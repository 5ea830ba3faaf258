"""The command that shows what would be read of replies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def read(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines: kind, reply, and finish, options, answer, prompt where it has them.")
    ],
) -> None:
    """Show what would be read of replies: each line again, with read, and grade where it has an answer.

    Kinds: answer, verdict, score, exact, contains, number, choice, refusal. null means that it cannot be read.
    """
    from secondlook.benchmarks.read_line import read_line

    for number, text in enumerate(file.read_text("utf-8-sig").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            sys.stdout.write(json.dumps(read_line(json.loads(text)), ensure_ascii=False) + "\n")
        except ValueError as error:
            raise ValueError(f"{file}:{number}: {error}") from None
