"""A whole evaluation: one benchmark, one model, one or several critics, one report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai import Task

from secondlook.benchmarks.bbq.task import bbq
from secondlook.benchmarks.harness.logs import read_logged, to_table
from secondlook.benchmarks.harness.report import Report, build_report, write
from secondlook.benchmarks.harness.run import Endpoint, evaluate
from secondlook.benchmarks.harness.study import Study
from secondlook.benchmarks.planted.task import planted

TASKS: Mapping[str, Callable[..., Task]] = {"bbq": bbq, "planted": planted}
"""The benchmarks by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that decides the result; a run's folder is named after it.

    Attributes:
        benchmark: A name of :data:`TASKS`.
        endpoint: The answering model.
        critics: The arms.
        study: The other fields of a :class:`~secondlook.benchmarks.harness.study.Study`, shared by the arms.
        questions: Arguments of the benchmark's task that choose the questions.
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
        if not self.critics or len(set(self.critics)) < len(self.critics):
            raise ValueError(f"critics are {', '.join(self.critics) or 'none given'}; name each arm once")
        if ("other" in self.critics) != (self.critic_endpoint is not None):
            raise ValueError("critic 'other' and --critic-model go together; give both or neither")
        for critic in self.critics:
            Study.of(seed=self.seed, **self.arm(critic))

    def arm(self, critic: str) -> dict[str, Any]:
        """Study fields of one arm: settings that belong to other critics are left out."""
        own = {"tool": "critic_command", "recorded": "critic_file"}
        foreign = {name for owner, name in own.items() if owner != critic and owner in self.critics}
        fields = {name: value for name, value in self.study.items() if name not in foreign}
        if critic == "none":
            fields.pop("noise", None)
        return {**fields, "critic": critic}

    def task(self, critic: str) -> Task:
        """The Inspect task of one arm."""
        chosen = {name: value for name, value in self.questions.items() if value is not None}
        return TASKS[self.benchmark](**chosen, seed=self.seed, **self.arm(critic))

    @property
    def name(self) -> str:
        """Benchmark, model and a hash of the whole configuration."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        model = "".join(char if char.isalnum() or char in "-._" else "-" for char in self.endpoint.model)
        return f"{self.benchmark}-{model.strip('-')}-{digest}"


def run_evaluation(evaluation: Evaluation, folder: Path, *, quiet: bool = False) -> Report:
    """Run every arm into a folder and report; what the folder already holds is not asked again.

    Args:
        evaluation: What to run.
        folder: Gets one folder of Inspect logs per arm, and ``report.json``, ``rounds.csv``, ``records.csv``.
        quiet: Show no progress.

    Raises:
        RunError: If an arm gave no result.
        ValueError: If data or settings cannot be used.
    """
    # The tasks come first: what is wrong with data or settings shows before a model is loaded or paid for.
    tasks = {critic: evaluation.task(critic) for critic in evaluation.critics}
    model = evaluation.endpoint.open()
    examiner = evaluation.critic_endpoint.open() if evaluation.critic_endpoint else None
    for critic, task in tasks.items():
        evaluate(task, model, folder / critic, critic_model=examiner if critic == "other" else None, quiet=quiet)
    return report_folder(folder)


def report_folder(folder: Path) -> Report:
    """Report on whatever the logs in a folder hold, and write the files beside them.

    Raises:
        ValueError: If there is no log of ours.
    """
    samples = read_logged(folder)
    records = to_table(samples)
    items = {logged.item.id: logged.item for logged in samples}
    stable = {logged.transcript.model.prefix_stable for logged in samples}
    report = build_report(samples[0].run, records, items, prefix_rewritten=False in stable)
    write(report, records, folder)
    return report
