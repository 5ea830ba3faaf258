"""The recipes for a cluster, and what their tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from secondlook.cli import app

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "experiments" / "cluster"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def parse(arguments: list[str]):
    """What the command line makes of arguments, without doing anything; an option that is unknown is an error."""
    command, context, name, rest = typer.main.get_command(app), None, "secondlook", list(arguments)
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, rest, parent=context)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    return command.make_context(name, rest, parent=context)
