"""Run a task through Inspect so that a second call continues where the first was stopped."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from ast import literal_eval
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from inspect_ai import Task, eval_set
from inspect_ai.log import EvalLog, EvalSampleSummary, list_eval_logs, read_eval_log_sample_summaries
from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.util import AdaptiveConcurrency
from rich.console import Console
from rich.text import Text

from secondlook.cluster.place import Place
from secondlook.correction.chat import Json
from secondlook.evaluation.progress import progress_bar

_LONGEST = 400  # characters of a cause
_PART = 50  # a buffer holds at most a fiftieth of a run: a small run is logged sample by sample, which costs it little
_SHOWN = re.compile(r"""(?P<kind>\w+Error)\((?P<words>(?P<quote>["']).*(?P=quote))\)""")
"""An error as Python shows it, which is how Inspect keeps those that are not its own."""
# By name: Inspect's log holds the text of an error, not the exception.
_NOT_THE_MODELS = ("GradingError", "CriticError")
_CUT = "it came to its token limit"  # words of EmptyCompletionError in correction/loop.py
_MEMORY = re.compile("out of memory|allocate memory")
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_NO_KEY = "not-needed"
_PATIENCE = 10.0  # seconds for a connection
_SPELLING = "give PROVIDER/NAME as Inspect spells it, e.g. secondlook/planted or openai-api/NAME/MODEL"


class RunError(RuntimeError):
    """A run that gave no result; the message is one line with the cause and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model, its address, and how it is asked.

    Attributes:
        model: Provider and model in Inspect's spelling, e.g. ``openai-api/local/planted``.
        base_url: Where the server is, if not where the provider's environment variable says.
        model_args: Arguments of the provider.
        temperature: 0 decodes greedily.
        max_tokens: Tokens a reply may have.
        max_connections: Requests in flight; ``None`` begins with a few, which grow while the server bears more and
            shrink where it says that they are too many.
        max_retries: How often Inspect repeats a request after a 429, a 5xx or a lost connection, waiting 3
            seconds first and twice as long each time.
        timeout: Seconds a request may take from when it is sent; ``None`` sets no limit.
        stall: Seconds of silence, before a reply begins or between two pieces of it, after which a request is given
            up; replies are asked for as streams, so that a slow server is not taken for a dead one.

    Raises:
        ValueError: If a number is out of range.
    """

    model: str
    base_url: str | None = None
    model_args: Mapping[str, Json] = field(default_factory=dict)
    temperature: float = 0.0
    max_tokens: int = 512
    max_connections: int | None = None
    max_retries: int = 3
    timeout: int | None = None
    stall: int = 600

    def __post_init__(self) -> None:
        for name, value, least in (
            ("temperature", self.temperature, 0),
            ("reply tokens", self.max_tokens, 1),
            ("max connections", self.max_connections, 1),
            ("max retries", self.max_retries, 0),
            ("timeout", self.timeout, 1),
            ("stall", self.stall, 1),
        ):
            if value is not None and not value >= least:
                raise ValueError(f"{name} is {value}; give {least} or more")
        if self.base_url is not None and urlsplit(self.base_url).scheme not in ("http", "https"):
            raise ValueError(f"base url {self.base_url!r} has no http:// or https://; give http://{self.base_url}")

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
            attempt_timeout=self.timeout,
            # Inspect asks for streams by itself where it has to watch for silence.
            stream_idle_timeout=self.stall,
            adaptive_connections=self._bearable(),
        )
        arguments: dict[str, Any] = dict(self.model_args)
        if "api_key" not in arguments and self._needs_no_key():
            arguments["api_key"] = _NO_KEY
        try:
            return get_model(self.model, config=config, base_url=self.base_url, **arguments)
        except ModuleNotFoundError:
            raise  # the command line knows which extra brings it
        except Exception as error:
            cause = one_line(error)
            remedy = f"; {_SPELLING}" if "not recognized" in cause or "/" not in self.model else _export(cause)
            raise RunError(f"model {self.model!r} cannot be used: {cause.removesuffix('.')}{remedy}") from error

    def reach(self) -> None:
        """See that somebody listens at the address, if one was given; else every sample would find out for itself.

        Raises:
            RunError: If nobody does.
        """
        if self.base_url is None:
            return
        parts = urlsplit(self.base_url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE).close()
        except (OSError, ValueError) as error:
            raise RunError(
                f"nobody listens at {self.base_url} ({one_line(error)}); start the server or correct the address, then "
                "run the same command again"
            ) from None

    def _bearable(self) -> AdaptiveConcurrency | None:
        """The range of requests in flight: a server on this machine has a few slots; a local checkpoint has none."""
        if self.max_connections is not None or self.model.startswith("secondlook/"):
            return None
        # Inspect's own range is 10 to 100. A server of four slots with ten requests in flight answered none within the
        # time limit, and every sample was lost: so a range may fall to 1, and starts lower on this machine.
        start, most = (4, 32) if _is_loopback(self._address) else (10, 100)
        return AdaptiveConcurrency(min=1, start=start, max=most)

    @property
    def _address(self) -> str:
        return self.base_url or os.environ.get(f"{self._service}_BASE_URL", "")

    @property
    def _service(self) -> str:
        # Inspect's provider openai-api/NAME/MODEL takes address and key from NAME_BASE_URL and NAME_API_KEY.
        provider, _, name = self.model.partition("/")
        return (name.partition("/")[0] if provider == "openai-api" else provider).upper().replace("-", "_")

    def _needs_no_key(self) -> bool:
        """Whether the user's own server is spoken to and no key is set; Inspect's client insists on one."""
        if not self.model.startswith("openai-api/") or os.environ.get(f"{self._service}_API_KEY"):
            return False
        return _is_loopback(self._address)


def evaluate(
    task: Task,
    model: Model,
    folder: Place,
    *,
    roles: Mapping[str, Model] | None = None,
    log_buffer: int = 10,
    quiet: bool = False,
    only: Sequence[str] | None = None,
) -> EvalLog:
    """Run a task into a folder; samples that the folder's logs already hold are not asked again.

    Args:
        task: The task.
        model: The answering model.
        folder: Where the logs go; one folder per task and configuration.
        roles: Further models by what they do: ``critic`` examines (for critic ``other``), ``judge`` judges.
        log_buffer: Finished samples kept back before the log is written, at most, and no more than a fiftieth of all;
            a run that is killed loses no more.
        quiet: Show no progress.
        only: Samples by their ids, where not all are asked.

    Returns:
        The log. Samples that failed stand in it with their error, and the next call asks them again.

    Raises:
        RunError: If not one sample could be finished, or the folder belongs to another configuration.
        KeyboardInterrupt: If it was stopped with Ctrl-C; what was logged is kept.
    """
    config = model.config
    # Inspect asks no provider for its `max_connections()`, so it is told. A number would switch off one that adapts.
    connections = config.max_connections or (None if config.adaptive_connections else model.api.max_connections())
    label, total, done = f"{task.name} · {folder.name}", len(only or task.dataset), _finished(folder)
    try:
        with nullcontext() if quiet else progress_bar(label, total, done, Console(stderr=True)):
            _, logs = eval_set(
                task,
                log_dir=str(folder),
                model=model,
                model_roles=dict(roles) if roles else None,
                sample_id=None if only is None else list(only),
                # One attempt: the next call asks again what failed. `True` would only log that nothing is retried.
                retry_attempts=0,
                retry_immediate=False,
                # Every sample is asked, and then the log is marked if one failed: only a log so marked is taken
                # up again by the next call.
                fail_on_error=True,
                continue_on_fail=True,
                # Both feed Inspect's live views and cost time with every sample; the bar is our own.
                log_realtime=False,
                score_display=False,
                log_buffer=min(log_buffer, max(1, total // _PART)),
                max_samples=connections,
                max_connections=connections,
                display="none",
                acp_server=False,
                ctl_server=False,
                log_level="error",
            )
    except Exception as error:
        raise RunError(f"the run in {str(folder)!r} cannot go on: {one_line(error)}") from error
    if not logs or logs[0].status == "cancelled":
        raise KeyboardInterrupt  # Inspect takes Ctrl-C for itself, and tells so only in this way
    log = logs[0]
    if log.error is not None or log.status not in ("success", "error"):
        cause = shortened(log.error.message) if log.error else log.status
        raise RunError(f"the run did not finish ({cause}); what was logged is kept: run it again to go on")
    if log.status == "error":
        _refuse_if_nothing_finished(log, model)
    return log


def one_line(error: BaseException) -> str:
    """Error on one line of bounded length; its type where it says nothing."""
    text = str(error)
    if type(error).__module__.startswith("inspect_ai."):
        text = Text.from_markup(text).plain  # its own errors are marked up for its own console
    return shortened(text).removeprefix("ERROR: ") or type(error).__name__


def unreadable(log: str, error: BaseException) -> RunError:
    """The error that says that a log cannot be read."""
    return RunError(
        f"log {log!r} cannot be read ({one_line(error)}); restore it, or remove it to ask its samples again"
    )


def shortened(text: str) -> str:
    """The words on one line, cut where they go on for too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _refuse_if_nothing_finished(log: EvalLog, model: Model) -> None:
    summaries = _summaries(log.location)
    causes = [summary.error for summary in summaries if summary.error]
    if causes and len(causes) == len(summaries):
        kind, cause = _told(shortened(causes[0]))
        if kind in _NOT_THE_MODELS:
            raise RunError(f"not one of {len(causes)} samples could be finished: {cause}; mend it, then run again")
        where = f"{model} at {model.api.base_url}" if model.api.base_url else str(model)
        raise RunError(
            f"not one of {len(causes)} samples could be finished with model {where}: {cause}; {_remedy(cause, model)}"
        )


def _told(shown: str) -> tuple[str, str]:
    """Kind and words of an error as Python shows it; of any other text, no kind and the text."""
    found = _SHOWN.fullmatch(shown)
    try:
        # The words stand as `repr` wrote them; reading them as a literal undoes its escapes.
        return (found["kind"], shortened(str(literal_eval(found["words"])))) if found else ("", shown)
    except (SyntaxError, ValueError):  # more than one text
        return "", shown


def _remedy(cause: str, model: Model) -> str:
    """Remedy where not one sample could be finished."""
    again = "then run the same command again"
    if _CUT in cause:  # the same command would end in the same way
        return "give more --reply-tokens, and another --out"
    if "Error code: 401" in cause:
        return f"see that the key of its provider's variable is right (--help names it), {again}"
    if model.api.base_url is None and _MEMORY.search(cause):
        return f"take smaller batches, or fewer at a time, {again}"
    return f"see that the model is there and answers, {again}"


def _export(cause: str) -> str:
    """Remedy where a provider names the environment variable that it lacks; of several, the first will do."""
    lacking = [name for name in _VARIABLE.findall(cause) if not os.environ.get(name)]
    return f"; export {lacking[0]}=…" if lacking and "environment" in cause else ""


def _finished(folder: Place) -> int:
    """Samples that the logs of a folder hold and that did not fail."""
    logs = list_eval_logs(str(folder)) if folder.is_dir() else []
    # By name: a log that goes on from another holds that one's samples too.
    return len({summary.id for info in logs for summary in _summaries(info.name) if not summary.error})


def _summaries(log: str) -> list[EvalSampleSummary]:
    try:
        return read_eval_log_sample_summaries(log)
    except Exception as error:
        raise unreadable(log, error) from error


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
