"""A sandbox for Python that a model wrote: no network, nothing to write to but memory, bounded time and memory."""

from __future__ import annotations

import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SECONDS = 5.0
MEMORY = 512 * 2**20
"""Bytes of address space."""
_FILE = 2**20
"""Bytes that a file may have, what it writes on standard error among them, and all of its ``/tmp`` together."""
_SHOWN = 4000
"""Bytes of an error that are looked at; its end says what went wrong."""


@dataclass(frozen=True, slots=True)
class CodeRun:
    """End of a program.

    Attributes:
        passed: Whether it ran to its end.
        error: The end of what it wrote on standard error, or that it took too long; empty where it passed.
    """

    passed: bool
    error: str = ""


def run_python(code: str, *, seconds: float = SECONDS, memory: int = MEMORY) -> CodeRun:
    """Run a program in a sandbox of its own.

    Bubblewrap gives it namespaces without network, processes of others or a writable file system but an empty
    ``/tmp`` in memory; what is not readable by everybody outside is as hidden inside, so do not run this as a user
    whose files are secret. Limits of the operating system bound time, memory and the size of files.

    Args:
        code: The program; it has no arguments, no environment and nothing to read on its standard input.
        seconds: Wall-clock time; processor time is bounded by the same.
        memory: Bytes of address space.

    Raises:
        RuntimeError: There is no bubblewrap here, or it cannot make a sandbox: code is never run without one.
    """
    if (program := shutil.which("bwrap")) is None:
        raise RuntimeError("code of a model is run in a sandbox alone, and bubblewrap is not here: install bubblewrap")
    # Mounts are made in this order, the empty /tmp over the one outside; --size is that of the --tmpfs after it.
    shut = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--size", str(_FILE), "--tmpfs", "/tmp"]  # noqa: S108
    for prefix in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if Path(prefix).is_relative_to("/tmp"):  # noqa: S108 - an environment that was made there
            shut += ["--ro-bind", prefix, prefix]
    # --die-with-parent: a timeout kills bwrap, and the program has to go with it. --new-session takes the user's
    # terminal away, into which the program could else type commands (CVE-2017-5226).
    alone = ("--chdir", "/tmp", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv")  # noqa: S108
    token = secrets.token_hex()
    # A file and no pipe: RLIMIT_FSIZE bounds what is written to it.
    with tempfile.TemporaryFile() as errors:
        try:
            subprocess.run(  # noqa: S603 - to run it is what the sandbox is for
                [program, *shut, *alone, sys.executable, "-I", "-c", _RUN],
                # Half a surrogate pair goes in as it is; Python refuses such a program.
                input=f"{token}\n{code}".encode("utf-8", "surrogatepass"),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=seconds,
                check=False,
                preexec_fn=partial(_limit, seconds, memory),
            )
        except subprocess.TimeoutExpired:
            return CodeRun(False, f"TimeoutError: it took longer than {seconds:g} s")
        errors.seek(0)
        held = errors.read()
    if token.encode() in held:
        return CodeRun(True)
    said = held[-_SHOWN:].decode("utf-8", "replace").strip()
    if said.startswith("bwrap:"):
        raise RuntimeError(f"bubblewrap cannot make a sandbox here ({said.splitlines()[0]}): allow user namespaces")
    return CodeRun(False, said)


# A token of this run, on standard error, tells that a program ran to its end. A program could give any exit code or
# words itself, but it would have to search the frames that run it for the token.
_RUN = """
import os, sys

def run():
    token = sys.stdin.readline()
    exec(compile(sys.stdin.read(), 'answer.py', 'exec'), {'__name__': '__main__'})
    os.write(2, token.encode())

run()
"""


def _limit(seconds: float, memory: int) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, int(seconds) + 1),  # whole seconds alone; never before the wall-clock limit
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
