"""A whole evaluation: one benchmark, one model, one or several critics, one report."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai.model import Model

from secondlook.benchmarks.bbq.task import bbq
from secondlook.benchmarks.harness import manifest
from secondlook.benchmarks.harness.logs import read_logged, to_table
from secondlook.benchmarks.harness.model import InspectModel
from secondlook.benchmarks.harness.report import Report, build_report, write
from secondlook.benchmarks.harness.run import Endpoint, evaluate
from secondlook.benchmarks.harness.study import Study
from secondlook.benchmarks.planted.task import planted

TASKS: Mapping[str, Callable[..., Task]] = {"bbq": bbq, "planted": planted}
"""The benchmarks by name."""

_OWN = {"tool": "critic_command", "recorded": "critic_file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that decides the result; a run's folder is named after it.

    Attributes:
        benchmark: A name of :data:`TASKS`.
        endpoint: The answering model.
        critics: The arms.
        study: The other fields of a :class:`~secondlook.benchmarks.harness.study.Study`, shared by the arms.
        questions: Arguments of the benchmark's task that choose the questions; ``None`` is left out.
        seed: Seed of the sample and the run.
        critic_endpoint: The examining model of critic ``other``.

    Raises:
        ValueError: If anything in it is unknown or contradictory, before a model is called.
    """

    benchmark: str
    endpoint: Endpoint
    critics: tuple[str, ...] = ("self",)
    study: Mapping[str, Any] = field(default_factory=dict)
    questions: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    critic_endpoint: Endpoint | None = None

    def __post_init__(self) -> None:
        if self.benchmark not in TASKS:
            raise ValueError(f"unknown benchmark {self.benchmark!r}; choose one of {', '.join(TASKS)}")
        known = [name for name in inspect.signature(TASKS[self.benchmark]).parameters if name not in ("seed", "study")]
        if foreign := [name for name in self._chosen() if name not in known]:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in known)
            name = foreign[0].replace("_", "-")
            raise ValueError(f"benchmark {self.benchmark!r} has no --{name}; its questions are chosen by {options}")
        if not self.critics or len(set(self.critics)) < len(self.critics):
            raise ValueError(f"critics are {', '.join(self.critics) or 'none given'}; name each arm once")
        if ("other" in self.critics) != (self.critic_endpoint is not None):
            raise ValueError("critic 'other' and --critic-model go together; give both or neither")
        for critic in self.critics:
            Study.of(seed=self.seed, **self.arm(critic))

    def arm(self, critic: str) -> dict[str, Any]:
        """Study fields of one arm: settings that belong to other critics are left out."""
        foreign = {name for owner, name in _OWN.items() if owner != critic and owner in self.critics}
        fields = {name: value for name, value in self.study.items() if name not in foreign}
        if critic == "none" and len(self.critics) > 1:
            fields.pop("noise", None)  # it is meant for the arms that have a verdict to flip
        return {**fields, "critic": critic}

    def task(self, critic: str) -> Task:
        """The Inspect task of one arm."""
        return TASKS[self.benchmark](**self._chosen(), seed=self.seed, **self.arm(critic))

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result in every arm; how requests travel does not."""
        shared = {name: value for name, value in self.study.items() if name not in _OWN.values()}
        return {
            "benchmark": self.benchmark,
            **_settings(self.endpoint),
            **shared,
            "questions": self._chosen(),
            "seed": self.seed,
        }

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """What decides the result in one arm alone, by critic."""
        arms: dict[str, dict[str, Any]] = {critic: {} for critic in self.critics}
        for critic, name in _OWN.items():
            if critic in arms:
                arms[critic][name] = self.study.get(name)
        if self.critic_endpoint is not None:
            arms["other"] = _settings(self.critic_endpoint)
        return arms

    @property
    def name(self) -> str:
        """Benchmark, model and a hash of the whole configuration."""
        configuration = json.dumps([self.settings, self.arms], sort_keys=True)
        digest = hashlib.sha256(configuration.encode()).hexdigest()[:8]
        model = "".join(char if char.isalnum() or char in "-._" else "-" for char in self.endpoint.model)
        return f"{self.benchmark}-{model.strip('-')}-{digest}"

    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.questions.items() if value is not None}


def run_evaluation(evaluation: Evaluation, folder: Path, *, log_buffer: int = 10, quiet: bool = False) -> Report:
    """Run every arm into a folder and report; what the folder already holds is not asked again.

    Args:
        evaluation: What to run.
        folder: Gets ``run.json``, one folder of Inspect logs per arm, and ``report.json``, ``rounds.csv``,
            ``records.csv``.
        log_buffer: Finished samples kept back before a log is written.
        quiet: Show no progress.

    Raises:
        RunError: If an arm gave no result.
        ValueError: If data or settings cannot be used, or the folder belongs to another run.
    """
    if log_buffer < 1:
        raise ValueError(f"log buffer is {log_buffer}; give 1 or more samples")
    # The tasks come first: what is wrong with data or settings shows before a model is loaded or paid for.
    tasks = {critic: evaluation.task(critic) for critic in evaluation.critics}
    model = evaluation.endpoint.open()
    examiner = evaluation.critic_endpoint.open() if evaluation.critic_endpoint else None
    _claim(folder, evaluation, next(iter(tasks.values())), model, examiner)
    for critic, task in tasks.items():
        role = examiner if critic == "other" else None
        evaluate(task, model, folder / critic, critic_model=role, log_buffer=log_buffer, quiet=quiet)
    return report_folder(folder)


def report_folder(folder: Path) -> Report:
    """Report on whatever the logs in a folder hold, and write the files beside them.

    Raises:
        ValueError: If there is no log of ours, or logs of more than one run.
    """
    samples = read_logged(folder)
    kept = manifest.read(folder) or {}
    # As the user named the arms, not as the folder lists them.
    order = list(kept.get("arms", ()))
    samples.sort(key=lambda logged: order.index(logged.critic) if logged.critic in order else len(order))
    records = to_table(samples)
    items = {logged.item.id: logged.item for logged in samples}
    stable = {logged.transcript.model.prefix_stable for logged in samples}
    report = build_report(
        samples[0].run,
        records,
        items,
        arms=list(dict.fromkeys(logged.arm for logged in samples)),
        prefix_rewritten=False in stable,
    )
    report = replace(report, run=kept)
    write(report, records, folder)
    return report


def _claim(folder: Path, evaluation: Evaluation, task: Task, model: Model, examiner: Model | None) -> None:
    """Take the folder for this evaluation, as it reads once everything it points to has been looked at."""
    asked = json.dumps([sample.metadata for sample in task.dataset], sort_keys=True)
    settings = evaluation.settings | _found(model) | {"hash of the questions": _hash(asked.encode())}
    settings["prompt"] = Study.of(**evaluation.arm(evaluation.critics[0])).file.version
    arms = evaluation.arms
    if examiner is not None:
        arms["other"] |= _found(examiner)
    if "recorded" in arms:
        arms["recorded"]["verdicts"] = _hash(Path(arms["recorded"]["critic_file"]).read_bytes())
    manifest.claim(folder, settings, arms)


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        "model_args": {name: value for name, value in endpoint.model_args.items() if name != "api_key"},
        "temperature": endpoint.temperature,
        "max_tokens": endpoint.max_tokens,
    }


def _found(model: Model) -> dict[str, Any]:
    """What only the opened model tells: where it is after all, and which weights it has."""
    return {"base_url": model.api.base_url, "revision": InspectModel(model).info.revision}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
