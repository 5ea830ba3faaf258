"""The command line: parses, calls, prints. A module holds one floor's commands; heavy imports stay inside them."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from secondlook.cli import (
    critics,
    data,
    diagnose,
    evaluate,
    gateway,
    laboratory,
    plan,
    read,
    reproduce,
    studies,
    theory,
)
from secondlook.cli.terminal import console, fail

__all__ = ["app", "console", "fail", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")
for floor in (evaluate, data, read, plan, diagnose, gateway, critics, theory, laboratory, studies, reproduce):
    app.add_typer(floor.app)  # without a name: its commands are ours
_STOPPED = 130
_EXTRAS = {
    "eval": ("filelock", "httpx", "inspect_ai", "openai", "psutil", "upath"),
    "local": ("safetensors", "tokenizers", "transformers"),
    "lab": ("jinja2", "matplotlib", "torch"),
    "gateway": ("aiohttp", "httptools", "prometheus_client", "starlette", "tenacity", "uvicorn", "uvloop", "yarl"),
    "cluster": ("ray",),
}
"""What a package that is not there comes with."""


def _version(asked: bool) -> None:
    if asked:
        console.print(f"secondlook {metadata.version('secondlook')}", highlight=False)
        raise typer.Exit


@app.callback()
def secondlook(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """When does a model get better by looking again at its own answer?"""


def main() -> None:
    """Entry point: an error a user can cause is one line on standard error and exit code 2."""
    try:
        code = app(prog_name="secondlook", standalone_mode=False)
    except typer.TyperException as error:
        if not (message := error.format_message()).startswith("Usage:"):
            fail(f"{' '.join(message.split())} (see --help)")
        console.print(message, markup=False, highlight=False)  # a command without a word after it: its help
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except ModuleNotFoundError as error:
        fail(_missing(error))
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        fail(_line(error))
    if code == _STOPPED:
        fail("stopped; what was logged is kept, run the same command again to go on", code)
    sys.exit(code or 0)


def _missing(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in _EXTRAS.items() if package in packages), None)
    if extra is None:
        raise error
    return f"this needs {package}, which comes with an extra: pip install 'secondlook[{extra}]'"


def _line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    # Of torch, the processor's allocator says so in a bare RuntimeError, the accelerator's in one of its own.
    if isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said:
        return f"out of memory; what was saved is kept. Take smaller batches, or fewer at a time ({said})"
    return said
