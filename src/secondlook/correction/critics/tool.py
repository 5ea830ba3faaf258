"""Code as critic: a Python callable or a command."""

from __future__ import annotations

import inspect
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, get_args

import anyio
import anyio.to_thread

from secondlook.correction.case import Verdict
from secondlook.correction.critics.protocol import CriticError, Examination
from secondlook.correction.transcript import Critique

Finding: TypeAlias = Critique | str
Tool: TypeAlias = Callable[[Examination], Finding | Awaitable[Finding]]

_VERDICTS: dict[str, Verdict] = {verdict: verdict for verdict in get_args(Verdict)}


@dataclass(frozen=True, slots=True)
class ToolCritic:
    """Asks a Python callable.

    The callable returns a :class:`Critique`; or a bare verdict (``wrong``, ``right``, ``unclear``), put into
    the prompt's own words by ``case.feedback``; or text, which is read by ``case.verdict``. A plain function
    runs in a worker thread, where it may block but must be thread-safe; if the time budget cuts it off, its
    thread is left to run out. An async function runs in the event loop.

    Attributes:
        function: What is called with the examination. Its exceptions are passed on as they are.
        name: Name for the record.
    """

    function: Tool
    name: str = "tool"

    async def examine(self, exam: Examination) -> Critique:
        """Call the function and take its finding.

        Raises:
            CriticError: If it returns something else than a critique or a string.
        """
        start = time.perf_counter()
        if inspect.iscoroutinefunction(self.function):
            finding = await self.function(exam)
        else:
            finding = await anyio.to_thread.run_sync(self.function, exam, abandon_on_cancel=True)
            if inspect.isawaitable(finding):
                finding = await finding
        seconds = time.perf_counter() - start
        if isinstance(finding, Critique):
            return finding
        if not isinstance(finding, str):
            raise CriticError(
                f"critic {self.name!r} returned {finding!r}: return a Critique, a verdict "
                f"({', '.join(_VERDICTS)}) or text"
            )
        if finding in _VERDICTS:
            verdict = _VERDICTS[finding]
            return Critique(exam.case.feedback(verdict), verdict, seconds=seconds)
        return Critique(finding, exam.case.verdict(finding), seconds=seconds)


@dataclass(frozen=True, slots=True)
class CommandCritic:
    """Runs a command; what it prints is the critique, read by ``case.verdict``.

    The command gets one JSON object on its standard input, with ``sample``, ``round``, ``query`` and
    ``answer``, and with ``row`` where the question has one (a mapping: what else is known of it, never the truth). It
    prints UTF-8 text; white space around it is dropped.

    Attributes:
        argv: Program and arguments; no shell is involved.
        timeout: Seconds one run may take, waiting for its turn not included.
        name: Name for the record.
        limiter: Bounds how many run at once, over all questions: 8 unless told otherwise.
    """

    argv: Sequence[str]
    timeout: float = 60.0
    name: str = "tool"
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8), repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.argv, str) or not self.argv:
            raise ValueError(f"argv is {self.argv!r}: give the program and its arguments as a list")
        if not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout!r}: give a positive number of seconds")

    async def examine(self, exam: Examination) -> Critique:
        """Run the command on one answer.

        Raises:
            CriticError: If it cannot be started, takes too long, exits with another code than 0, or prints
                something that is not UTF-8.
        """
        request = {
            "sample": exam.case.sample,
            "round": exam.round_index,
            "query": exam.case.query(exam.round_index),
            "answer": exam.answer,
        }
        if (row := getattr(exam.case, "row", None)) is not None:
            request["row"] = row
        async with self.limiter:
            start = time.perf_counter()
            text = await self._run(json.dumps(request).encode())
            seconds = time.perf_counter() - start
        return Critique(text, exam.case.verdict(text), seconds=seconds)

    async def _run(self, request: bytes) -> str:
        # A file, not a pipe: a command may leave its input unread without breaking anything.
        with tempfile.TemporaryFile() as stdin:
            stdin.write(request)
            stdin.seek(0)
            try:
                with anyio.fail_after(self.timeout):
                    done = await anyio.run_process(self.argv, stdin=stdin, check=False)
            except TimeoutError:
                raise CriticError(
                    f"command {self.argv[0]!r} took longer than {self.timeout:g} s: raise the timeout"
                ) from None
            except OSError as error:
                raise CriticError(f"command {self.argv[0]!r} cannot be started: {error}") from error
        if done.returncode != 0:
            complaint = done.stderr.decode(errors="replace").strip().splitlines()
            raise CriticError(
                f"command {self.argv[0]!r} exited with code {done.returncode}: "
                f"{complaint[-1] if complaint else 'nothing on standard error'}"
            )
        try:
            return done.stdout.decode().strip()
        except UnicodeDecodeError as error:
            raise CriticError(f"command {self.argv[0]!r} printed something that is not UTF-8: {error}") from error
