"""Runs the command line as a user does, in this process for speed, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from secondlook import cli

_PROGRESS = re.compile(r".*: [\d.,e+]+( of [\d.,e+]+)?")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a user's error; fails if there is more, or a traceback, or another exit code."""
        lines = self.err.splitlines()
        assert self.code == 2, self
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        assert self.out == "", self.out
        return lines[0].removeprefix("error: ")


def secondlook(*arguments: object) -> Done:
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["secondlook", *map(str, arguments)])
        patch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as left:
            cli.main()
    code = left.value.code
    return Done(code if isinstance(code, int) else int(bool(code)), out.getvalue(), _said(err.getvalue()))


def start(*arguments: object, cwd: Path, background: bool = False) -> subprocess.Popen[str]:
    """The command line as a process of its own; as a script's background job it ignores Ctrl-C."""

    def fresh() -> None:
        """Whatever the tests themselves were started by."""
        signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    return subprocess.Popen(
        [sys.executable, "-m", "secondlook.cli", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=fresh,
    )


def finish(process: subprocess.Popen[str], timeout: float = 600) -> Done:
    """Wait for it, but not for ever."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()  # else leaving its context would wait for it
        raise
    return Done(process.returncode, out, _said(err))


def _said(err: str) -> str:
    """What standard error says, without the lines that tell how far things are."""
    lines = err.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("error: ") or not _PROGRESS.fullmatch(line.rstrip()))


TIMES = ("seconds", "seconds_critique")
"""Columns of records that no two runs share."""
CACHED = ("tokens_cached", "tokens_critique_cached")
"""Columns of records that depend on who was asked together."""


def records(folder: Path, without: Sequence[str] = TIMES) -> pd.DataFrame:
    """The records of a run; wall times, which no two runs share, are left out."""
    return pd.read_csv(folder / "records.csv").drop(columns=list(without))
