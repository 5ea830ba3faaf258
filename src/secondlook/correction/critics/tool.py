"""Code as critic: a Python callable or a command."""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
import anyio.to_thread

from secondlook.correction.case import VERDICTS
from secondlook.correction.critics.protocol import AbstainedError, CriticError, Examination
from secondlook.correction.transcript import Critique

ABSTAIN = "abstain"
"""Word that a tool says, and nothing else, where it cannot judge a question."""
Tool: TypeAlias = Callable[[Examination], Critique | str | Awaitable[Critique | str]]


@dataclass(frozen=True, slots=True)
class ToolCritic:
    """Asks a Python callable, whose exceptions are passed on as they are.

    It returns a :class:`Critique`; or a bare verdict (``wrong``, ``right``, ``unclear``), put into the prompt's own
    words by ``case.feedback``; ``abstain``; or text, which is read by ``case.verdict``. A plain function runs in a
    worker thread, where it may block but must be thread-safe; if the time budget cuts it off, its thread is left to
    run out. An async function runs in the event loop.
    """

    function: Tool
    name: str = "tool"

    async def examine(self, exam: Examination) -> Critique:
        """Call the function; a :class:`CriticError` if it returns something else than a critique or a string.

        Raises:
            AbstainedError: It abstains.
        """
        start = time.perf_counter()
        if inspect.iscoroutinefunction(self.function):
            said = await self.function(exam)
        else:
            said = await anyio.to_thread.run_sync(self.function, exam, abandon_on_cancel=True)
            # iscoroutinefunction misses a plain function that returns a coroutine, such as a lambda around one.
            if inspect.isawaitable(said):
                said = await said
        seconds = time.perf_counter() - start
        if isinstance(said, Critique):
            return said
        if not isinstance(said, str):
            known = ", ".join(VERDICTS)
            raise CriticError(f"critic {self.name!r} returned {said!r}: return a Critique, a verdict ({known}) or text")
        _look_for_abstention(said)
        if said in VERDICTS:
            return Critique(exam.case.feedback(said), said, seconds=seconds)
        return Critique(said, exam.case.verdict(said), seconds=seconds)


@dataclass(frozen=True, slots=True)
class CommandCritic:
    """Runs a command; what it prints is the critique, read by ``case.verdict``.

    The command gets one JSON object on its standard input, with ``sample``, ``round``, ``query`` and
    ``answer``, and with ``row`` where the question has one (a mapping: what else is known of it, never the truth). It
    prints UTF-8 text; white space around it is dropped. ``abstain`` alone says that it cannot judge this question.

    Attributes:
        argv: Program and arguments; no shell is involved.
        timeout: Seconds one run may take, waiting for its turn not included.
        heard: Called with the sample and what the command wrote on its standard error, where it wrote something.
        limiter: Bounds how many run at once, over all questions: 8 unless told otherwise.
    """

    argv: Sequence[str]
    timeout: float = 60.0
    name: str = "tool"
    heard: Callable[[str, str], None] | None = field(default=None, repr=False, compare=False)
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8), repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.argv, str) or not self.argv:
            raise ValueError(f"argv is {self.argv!r}: give the program and its arguments as a list")
        if not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout!r}: give a positive number of seconds")

    async def examine(self, exam: Examination) -> Critique:
        """Run the command; a :class:`CriticError` if it cannot start, takes too long, fails, or prints no UTF-8.

        Raises:
            AbstainedError: It abstains.
        """
        case, index = exam.case, exam.round_index
        request = {"sample": case.sample, "round": index, "query": case.query(index), "answer": exam.answer}
        if (row := getattr(case, "row", None)) is not None:
            request["row"] = row
        async with self.limiter:
            start = time.perf_counter()
            text = await self._run(json.dumps(request).encode(), case.sample)
            _look_for_abstention(text)
            seconds = time.perf_counter() - start
        return Critique(text, case.verdict(text), seconds=seconds)

    async def _run(self, request: bytes, sample: str) -> str:
        name = f"command {self.argv[0]!r}"
        # A file, not a pipe: a command may leave its input unread without breaking anything.
        with tempfile.TemporaryFile() as stdin:
            stdin.write(request)
            stdin.seek(0)
            try:
                with anyio.fail_after(self.timeout):
                    done = await anyio.run_process(self.argv, stdin=stdin, check=False)
            except TimeoutError:
                raise CriticError(
                    f"{name} took longer than {self.timeout:g} s; let it be faster, or give more: --critic-seconds"
                ) from None
            except OSError as error:
                raise CriticError(f"{name} cannot be started: {error}") from error
        wrote = done.stderr.decode(errors="replace").strip()
        if wrote and self.heard is not None:
            self.heard(sample, wrote)
        if done.returncode != 0:
            *_, complaint = ["nothing on standard error", *wrote.splitlines()]
            raise CriticError(f"{name} exited with code {done.returncode}: {complaint}")
        try:
            return done.stdout.decode().strip()
        except UnicodeDecodeError as error:
            raise CriticError(f"{name} printed something that is not UTF-8: {error}") from error


def _look_for_abstention(said: str) -> None:
    if said.strip().lower() == ABSTAIN:
        raise AbstainedError


def check_program(program: str) -> None:
    """See that a critic's program can be started.

    Raises:
        ValueError: It is neither on the PATH nor a path to a program.
    """
    if shutil.which(program) is None:
        raise ValueError(f"critic command {program!r} is not there; give a program on the PATH, or its path")
