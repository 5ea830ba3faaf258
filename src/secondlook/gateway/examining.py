"""Critic of the gateway: from the settings, or from the diagnosis that is served; the two may not differ."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from secondlook.correction.critics import CommandCritic, Critic, CriticError, check_program
from secondlook.correction.critics.protocol import AbstainedError, Examination, Prefers
from secondlook.correction.transcript import Critique, Preference
from secondlook.diagnosis.examiner import Examiner
from secondlook.gateway.settings import GatewaySettings

SERVED = ("self", "other", "tool", "verify-first", "accept-reject", "fitted")
"""Critics that need no truth and no file."""
SECONDS = 60.0
"""Seconds that a command may take for one answer, where nobody says."""


def given_examiner(settings: GatewaySettings) -> Examiner:
    """The critic that settings name; the model itself where they name none.

    Raises:
        ValueError: The command is not there.
    """
    command = shlex.join(settings.critic_command) if settings.critic_command else None
    file = str(settings.critic_file) if settings.critic_file else None
    given = Examiner(settings.critic or "self", settings.critic_model, command, settings.critic_seconds, file=file)
    return with_command(given)


def diagnosed_examiner(where: str, found: Examiner | None, critic: str, settings: GatewaySettings) -> Examiner:
    """The critic that was diagnosed.

    Args:
        where: The diagnosis, for messages.
        found: The critic in full, if the diagnosis has it.
        critic: Its name in any case.
        settings: Which may repeat it, and have to tell what the diagnosis does not.

    Raises:
        ValueError: Settings name another one, or it is none that can be served.
    """
    if critic not in SERVED:
        raise ValueError(f"{where} is of critic {critic!r}, which is of studies; diagnose one of {', '.join(SERVED)}")
    found, given = found or Examiner(critic), given_examiner(settings)
    for what, here, said in (
        ("critic", critic, settings.critic),
        ("critic_model", served_name(found.model) if found.model else None, given.model and served_name(given.model)),
        ("critic_command", found.command and shlex.join(shlex.split(found.command)), given.command),
        ("critic_seconds", found.seconds, given.seconds),
        ("critic_file", found.file, given.file),
    ):
        if here is not None and said is not None and here != said:
            raise ValueError(f"{where} is of {what} {here!r}, settings say {said!r}; leave the latter out")
    model = served_name(found.model) if found.model else given.model
    made = replace(
        found,
        model=model,
        command=found.command or given.command,
        seconds=found.seconds or given.seconds,
        file=found.file or given.file,
    )
    for kind, value, option in (
        ("tool", made.command, "--critic-command"),
        ("other", made.model, "--critic-model"),
        ("fitted", made.file, "--critic-file"),
    ):
        if critic == kind and value is None:
            raise ValueError(f"{where} is of critic {kind!r} and does not say which; give --critic {kind} {option} …")
    return with_command(made)


def served_name(model: str | None) -> str:
    """A model's name without its provider, as clients ask for it."""
    provider, slash, name = (model or "every model").partition("/")
    if provider == "openai-api":  # the name of the service comes first
        name = name.partition("/")[2] or name
    return name if slash else provider


def who(critic: Examiner) -> str:
    """A critic in words."""
    if critic.kind == "tool":
        return f"tool ({critic.command})"
    if critic.kind == "fitted":
        return f"fitted critic {critic.file}"
    own = {
        "self": "the model itself",
        "verify-first": "the model itself as it answers",
        "accept-reject": "the model itself after it",
    }
    return own.get(critic.kind) or f"model {critic.model}"


def command_critic(critic: Examiner, heard: Callable[[str, str], None]) -> CommandCritic:
    """A critic that is a command; what it writes on its standard error is told by the request's name."""
    return CommandCritic(shlex.split(critic.command or ""), critic.seconds or SECONDS, heard=heard)


Examined: TypeAlias = Literal["done", "abstained", "failed"]
"""What became of an examination."""

Told: TypeAlias = Callable[[str, Examined, str | None], None]
"""Called when a critic has examined an answer: the request, what became of it, and what went wrong if it failed."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A critic whose every examination is reported.

    Attributes:
        inner: The critic itself.
        states: Whether it has to state a verdict.
        tell: Called after each.
    """

    inner: Critic
    states: bool
    tell: Told

    @property
    def name(self) -> str:
        """Name of the critic within."""
        return self.inner.name

    async def examine(self, exam: Examination) -> Critique | None:
        """Examine by the critic within, and count what failed."""
        try:
            critique = await self.inner.examine(exam)
        except AbstainedError:
            self.tell(exam.case.sample, "abstained", None)
            raise
        except Exception as error:
            self._failed(exam, error)
            raise
        silent = self.states and critique is not None and critique.verdict == "unclear"
        if silent:
            self.tell(exam.case.sample, "failed", "it stated no verdict")
        elif critique is not None:
            self.tell(exam.case.sample, "done", None)
        return critique

    async def prefer(self, exam: Examination) -> Preference:
        """Let it compare, and tell."""
        # This class has `prefer`, so to the loop every watched critic is a judge; ask the one within.
        if not isinstance(self.inner, Prefers):
            raise CriticError(f"critic {self.name!r} is no judge of two answers")
        try:
            return await self.inner.prefer(exam)
        except Exception as error:
            self._failed(exam, error)
            raise

    def _failed(self, exam: Examination, error: Exception) -> None:
        self.tell(exam.case.sample, "failed", str(error) or type(error).__name__)


def with_command(critic: Examiner) -> Examiner:
    """The critic, if its command is found, and the Python files that it names.

    Raises:
        ValueError: One is not.
    """
    if critic.command is None:
        return critic
    program, *arguments = shlex.split(critic.command)
    check_program(program)
    # A diagnosis names the command as the evaluation was given it, so it holds in the folder it was given in.
    if missing := [name for name in arguments if name.endswith(".py") and not Path(name).is_file()]:
        raise ValueError(
            f"critic command {critic.command!r} names {missing[0]!r}, which is not in {str(Path.cwd())!r}; start the "
            "gateway in the folder that the evaluation was started in"
        )
    return critic
