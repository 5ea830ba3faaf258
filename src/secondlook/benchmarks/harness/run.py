"""Run a task through Inspect so that a second call continues where the first was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval_set
from inspect_ai.log import EvalLog
from inspect_ai.model import GenerateConfig, Model, get_model

from secondlook.correction.chat import Json


class RunError(RuntimeError):
    """A run that gave no result; the message is one line with the cause and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Which model, and how it is spoken to.

    Attributes:
        model: Provider and model in Inspect's spelling, e.g. ``openai-api/local/planted``.
        base_url: Where the server is, if not where the provider's environment variable says.
        model_args: Arguments of the provider.
        temperature: 0 decodes greedily.
        max_tokens: Tokens a reply may have.
        max_connections: Requests in flight at most; ``None`` leaves it to the provider.
        max_retries: How often Inspect repeats a request after a 429, a 5xx or a lost connection.
        timeout: Seconds a request may take, its retries included.
    """

    model: str
    base_url: str | None = None
    model_args: Mapping[str, Json] = field(default_factory=dict)
    temperature: float = 0.0
    max_tokens: int = 512
    max_connections: int | None = None
    max_retries: int = 3
    timeout: int = 120

    def open(self) -> Model:
        """The model, ready to generate.

        Raises:
            RunError: If there is no such provider or checkpoint, or it needs something that is not there.
        """
        config = GenerateConfig(
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            max_connections=self.max_connections,
            max_retries=self.max_retries,
            timeout=self.timeout,
            attempt_timeout=self.timeout,
        )
        try:
            arguments: dict[str, Any] = dict(self.model_args)
            return get_model(self.model, config=config, base_url=self.base_url, **arguments)
        except Exception as error:
            raise RunError(f"model {self.model!r} cannot be used: {one_line(error)}") from error


def evaluate(
    task: Task, model: Model, folder: Path, *, critic_model: Model | None = None, quiet: bool = False
) -> EvalLog:
    """Run a task into a folder; samples that the folder's logs already hold are not asked again.

    Args:
        task: The task.
        model: The answering model.
        folder: Where the logs go; one folder per task and configuration.
        critic_model: The examining model, for critic ``other``.
        quiet: Show no progress.

    Returns:
        The log. Samples that failed stand in it with their error.

    Raises:
        RunError: If not one sample could be finished, or the folder belongs to another configuration.
    """
    connections = model.config.max_connections or model.api.max_connections()
    try:
        _, logs = eval_set(
            task,
            log_dir=str(folder),
            model=model,
            model_roles={"critic": critic_model} if critic_model else None,
            retry_attempts=0,
            retry_immediate=False,
            fail_on_error=False,
            log_realtime=False,
            score_display=False,
            log_buffer=10,
            max_samples=connections,
            max_connections=connections,
            display="none" if quiet else "rich",
            acp_server=False,
            ctl_server=False,
            log_level="error",
        )
    except Exception as error:
        raise RunError(f"the run in {str(folder)!r} cannot go on: {one_line(error)}") from error
    log = logs[0]
    if log.status != "success":
        cause = log.error.message if log.error else log.status
        raise RunError(f"the run did not finish ({first_line(cause)}); what was logged is kept: run it again to go on")
    return log


def one_line(error: BaseException) -> str:
    """The type and the first line of an error, or of what caused it where it says nothing itself."""
    return first_line(str(error)) or type(error).__name__


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
