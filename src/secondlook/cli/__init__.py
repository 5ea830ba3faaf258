"""The command line: parses, calls, prints. A module holds one floor's commands; heavy imports stay inside them."""

from __future__ import annotations

import signal
import sys
import threading
from functools import cache, partial
from importlib import metadata
from typing import Annotated

import typer

from secondlook.cli import (
    compare,
    critics,
    data,
    diagnose,
    evaluate,
    gate,
    gateway,
    laboratory,
    models,
    plan,
    read,
    reproduce,
    studies,
    theory,
)
from secondlook.cli.terminal import console, fail

__all__ = ["app", "console", "fail", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")
for floor in (
    *(evaluate, data, models, read, plan, diagnose, compare, gate, gateway),
    *(critics, theory, laboratory, studies, reproduce),
):
    app.add_typer(floor.app)  # without a name: its commands are ours
_STOPPED = 130  # 128 + SIGINT, the code that typer ends a command with at Ctrl-C
_OF_COMMANDS = {
    **dict.fromkeys(("lab", "prove", "show"), "lab"),
    **dict.fromkeys(("reproduce", "study"), "demo"),
    **dict.fromkeys(("demo", "models", "subject"), "local"),
    "critic": "critics",
    "serve": "gateway",
    "compare": "eval",
}
"""The extra that a command wants; of others it depends on what they are asked for."""
_LOCAL = ("gguf", "jinja2", "safetensors", "tokenizers", "torch", "transformers")
_EVAL = ("filelock", "httpx", "inspect_ai", "openai", "psutil", "tenacity", "upath")


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


def _stoppable() -> None:
    """Have SIGTERM, by which systems and schedulers stop a process, go the way of Ctrl-C, and keep as much."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as background jobs of scripts inherit it
        from multiprocessing import resource_tracker  # here: no other command waits for it

        # Held back, Ctrl-C does as little; but an event loop ends in order only where it finds this handler. Else an
        # interrupt is raised wherever the loop is, and is lost in code that may not raise. The tracker of process pools
        # lets Ctrl-C through again as it starts, so it starts before.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(*_: object) -> None:
        # One that was held back comes now, and a second one would break off what the first begins.
        held_back = signal.SIGINT in signal.sigpending()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if not held_back:
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)


_command = cache(partial(typer.main.get_command, app))  # which takes long to make: a process may call main often


def main() -> None:
    """Entry point: an error a user can cause is one line on standard error and exit code 2."""
    serving = sys.argv[1:2] == ["serve"]
    if not serving and threading.current_thread() is threading.main_thread():
        _stoppable()  # a server ends its answers first, by itself
    try:
        # Not standalone, typer raises its errors instead of printing them, and returns the exit code, or else what the
        # command returned: commands return nothing.
        code = _command()(prog_name="secondlook", standalone_mode=False)
    except typer.TyperException as error:
        if message := error.format_message():  # of a command without a word after it the help has been shown
            fail(f"{' '.join(message.split())} (see --help)")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except ModuleNotFoundError as error:
        fail(_missing(error))
    except (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError) as error:
        fail(_line(error))
    if code == _STOPPED:
        if serving:
            fail("stopped", code)  # the usual end of a server
        fail("stopped; what was finished is kept, run the same command again to go on", code)
    sys.exit(code or 0)


def _missing(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    usual = {**dict.fromkeys(_LOCAL, "local"), **dict.fromkeys(_EVAL, "eval"), "ray": "cluster"}
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    # Ray comes with one extra alone; of other packages, the command knows better which extra brings them.
    extra = (package != "ray" and _OF_COMMANDS.get(command)) or usual.get(package)
    if extra is None:
        raise error
    return f"this needs {package}, which comes with an extra: pip install 'secondlook[{extra}]'"


def _line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    # Of torch, the processor's allocator says so in a bare RuntimeError, the accelerator's in one of its own; whoever
    # else says so repeats what a server said of itself.
    ours = type(error) is RuntimeError or type(error).__name__ == "OutOfMemoryError"
    if isinstance(error, MemoryError) or (ours and ("allocate memory" in said or "out of memory" in said)):
        return f"out of memory; what was saved is kept. Take smaller batches, or fewer at a time ({said})"
    return said
