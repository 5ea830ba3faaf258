"""A whole evaluation: one benchmark, one model, one or several critics, one report."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from inspect_ai import Task
from inspect_ai.model import Model

from secondlook.benchmarks.bbq.task import bbq
from secondlook.benchmarks.own.task import own
from secondlook.benchmarks.planted.task import planted
from secondlook.benchmarks.refusal.defences import study_fields
from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.summary import Answered, RefusalReport, summarise
from secondlook.benchmarks.refusal.task import refusal
from secondlook.cluster.place import Place, turn
from secondlook.evaluation import manifest, times
from secondlook.evaluation.asking import Endpoint, evaluate
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.logs import Logged, read_logged, to_table
from secondlook.evaluation.report import Report, build_report, write
from secondlook.evaluation.shards import NUMBER
from secondlook.evaluation.study import VOTE, Study
from secondlook.evaluation.task import HISTORY
from secondlook.evaluation.unknown import UNKNOWN, always_unknown

DEFAULT_PROMPT: Mapping[str, str] = {
    "bbq": "bbq/binary-cot",
    "planted": "bbq/binary-cot",
    "refusal": "refusal/verbal",
    "own": "own/binary-cot",
}
"""The prompt file of each benchmark where none is asked for."""

TASKS: Mapping[str, Callable[..., Task]] = {"bbq": bbq, "planted": planted, "refusal": refusal, "own": own}
"""The benchmarks by name."""

_OWN = {"tool": "critic_command", "recorded": "critic_file", VOTE: "votes"}
_DECIDED = ("seed", "study", "defence", "judge_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that decides the result; a run's folder is named after it.

    Attributes:
        benchmark: A name of :data:`TASKS`.
        endpoint: The answering model.
        critics: The arms; the refusal benchmark has one critic, and defences for arms.
        study: The other fields of a :class:`~secondlook.evaluation.study.Study`, shared by the arms.
        questions: Arguments of the benchmark's task that choose the questions; ``None`` is left out.
        seed: Seed of the sample and the run.
        critic_endpoint: The examining model of critic ``other``.
        defences: The arms of the refusal benchmark.
        judge_endpoint: A model that judges the replies of the refusal benchmark, beside the judges that need none.

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
    defences: tuple[str, ...] = ()
    judge_endpoint: Endpoint | None = None

    def __post_init__(self) -> None:
        if self.benchmark not in TASKS:
            raise ValueError(f"unknown benchmark {self.benchmark!r}; choose one of {', '.join(TASKS)}")
        known = [name for name in inspect.signature(TASKS[self.benchmark]).parameters if name not in _DECIDED]
        if foreign := [name for name in self._chosen() if name not in known]:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in known)
            name = foreign[0].replace("_", "-")
            raise ValueError(f"benchmark {self.benchmark!r} has no --{name}; its questions are chosen by {options}")
        if not self.critics or len(set(self.critics)) < len(self.critics):
            raise ValueError(f"critics are {', '.join(self.critics) or 'none given'}; name each arm once")
        if UNKNOWN in self.critics and (self.benchmark not in ("bbq", "planted") or len(self.critics) == 1):
            raise ValueError(f"{UNKNOWN!r} is a control of bbq and planted, beside another arm; leave it out")
        if ("other" in self.critics) != (self.critic_endpoint is not None):
            raise ValueError("critic 'other' and --critic-model go together; give both or neither")
        self._check_defences()
        for name in self.names:
            Study.of(seed=self.seed, **self.arm(name))

    def _check_defences(self) -> None:
        if self.benchmark != "refusal":
            if self.defences or self.judge_endpoint:
                option = "--defence" if self.defences else "--judge-model"
                raise ValueError(f"{option} belongs to benchmark 'refusal', not to {self.benchmark!r}; leave it out")
        elif not self.defences or len(set(self.defences)) < len(self.defences):
            raise ValueError(f"defences are {', '.join(self.defences) or 'none given'}; name each arm once (--defence)")
        elif len(self.critics) > 1:
            raise ValueError(f"critics are {', '.join(self.critics)}; the arms here are defences, so give one critic")

    @property
    def names(self) -> tuple[str, ...]:
        """The arms that ask a model: defences where there are such, else critics."""
        return self.defences or tuple(critic for critic in self.critics if critic != UNKNOWN)

    def arm(self, name: str) -> dict[str, Any]:
        """Study fields of one arm: settings that belong to other arms are left out."""
        if self.defences:
            shots = self._chosen().get("shots", inspect.signature(refusal).parameters["shots"].default)
            return study_fields(name, shots, self._given)
        critic = name
        foreign = {name for owner, name in _OWN.items() if owner != critic and owner in self.critics}
        fields = {name: value for name, value in self.study.items() if name not in foreign}
        if critic in ("none", VOTE) and len(self.critics) > 1:
            fields.pop("noise", None)  # it is meant for the arms that have a verdict to flip
        return {**fields, "critic": critic}

    def task(self, name: str) -> Task:
        """The Inspect task of one arm."""
        if self.defences:
            judged = self.judge_endpoint is not None
            return refusal(**self._chosen(), defence=name, judge_model=judged, seed=self.seed, **self._given)
        return TASKS[self.benchmark](**self._chosen(), seed=self.seed, **self.arm(name))

    @property
    def _given(self) -> dict[str, Any]:
        """The study of the refusal benchmark, before a defence decides its part."""
        return {**self.study, "critic": self.critics[0]}

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result in every arm; how requests travel does not."""
        shared = {name: value for name, value in self.study.items() if name not in _OWN.values()}
        if self.defences:
            shared = self._given
            shared["judge"] = _settings(self.judge_endpoint) if self.judge_endpoint else None
            shared["critic_endpoint"] = _settings(self.critic_endpoint) if self.critic_endpoint else None
        return {
            "benchmark": self.benchmark,
            **_settings(self.endpoint),
            **shared,
            "questions": self._chosen(),
            "seed": self.seed,
        }

    @property
    def arms(self) -> dict[str, dict[str, Any]]:
        """What decides the result in one arm alone, by its name."""
        if self.defences:
            return {name: {} for name in self.defences}
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

    def digest(self, task: Task) -> str:
        """A digest of a task's questions, the same in every arm: a reminder is the arm's, not the question's."""
        asked = [
            {key: part for key, part in (sample.metadata or {}).items() if key != "reminder"} for sample in task.dataset
        ]
        return _hash(_json(asked))

    def roles(self, arm: str) -> dict[str, Model]:
        """The opened models of an arm beside the answering one, by what they do."""
        roles = {"judge": self.judge_endpoint.open()} if self.judge_endpoint else {}
        if self.critic_endpoint and self.arm(arm)["critic"] == "other":
            roles["critic"] = self.critic_endpoint.open()
        return roles

    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.questions.items() if value is not None}


Arms: TypeAlias = Callable[[Evaluation, Mapping[str, Task], Model, Model | None], list[Logged]]
"""Asks the questions of every arm by other means than Inspect's: arms, their tasks, the model and the examiner."""


def run_evaluation(
    evaluation: Evaluation, folder: Path, *, log_buffer: int = 10, quiet: bool = False, arms: Arms | None = None
) -> Report:
    """Run every arm into a folder and report; what the folder already holds is not asked again.

    Args:
        evaluation: What to run.
        folder: Gets ``run.json``, one folder of Inspect logs per arm, ``report.json``, ``rounds.csv``,
            ``records.csv``, and ``times.json`` where nothing was asked before.
        log_buffer: Finished samples kept back before a log is written.
        quiet: Show no progress.
        arms: What asks the questions instead of one call of Inspect for each arm: the fast path, which leaves no logs
            and continues nothing, or parts.

    Raises:
        RunError: If nobody listens at an address that was given, or an arm gave no result.
        ValueError: If data or settings cannot be used, or the folder belongs to another run, or is being worked on.
    """
    if log_buffer < 1:
        raise ValueError(f"log buffer is {log_buffer}; give 1 or more samples")
    clock = times.Clock()
    # The tasks come first: what is wrong with data or settings shows before a model is loaded or paid for.
    tasks = {name: evaluation.task(name) for name in evaluation.names}
    model = evaluation.endpoint.open()
    examiner = evaluation.critic_endpoint.open() if evaluation.critic_endpoint else None
    manifest.read(folder)  # a folder that is somebody else's is refused before anything is written into it
    with turn(folder):
        _claim(folder, evaluation, tasks, model, examiner)
        for endpoint in (evaluation.endpoint, evaluation.critic_endpoint, evaluation.judge_endpoint):
            if endpoint is not None:
                endpoint.reach()
        if arms is not None:
            return _report_on(arms(evaluation, tasks, model, examiner), folder)
        if (folder / NUMBER).exists():
            raise ValueError(f"{folder} holds a run in shards; give --shards or --cluster to go on, or another --out")
        whole = not any(folder.rglob("*.eval"))
        clock.mark()
        for name, task in tasks.items():
            evaluate(task, model, folder / name, roles=evaluation.roles(name), log_buffer=log_buffer, quiet=quiet)
        clock.mark()
        report = report_folder(folder)
        if whole:  # the time of a run that goes on tells nothing of the whole
            clock.keep(folder)
        return report


def report_folder(folder: Path, logs: Place | None = None) -> Report:
    """Report on whatever the logs of a run hold, and write the files into its folder.

    Args:
        folder: Of the run.
        logs: Where its logs are, if not there.

    Raises:
        ValueError: If there is no log of ours, or logs of more than one run.
    """
    return _report_on(read_logged(logs or folder), folder)


def _report_on(samples: list[Logged], folder: Path) -> Report:
    kept = manifest.read(folder) or {}
    # As the user named the arms, not as the folder lists them.
    order = list(kept.get("arms", ()))
    if UNKNOWN in kept.get("arms", ()):
        samples += always_unknown(samples)
    samples.sort(key=lambda logged: order.index(logged.name) if logged.name in order else len(order))
    arms = list(dict.fromkeys(logged.arm for logged in samples))
    records = to_table(samples)
    items = {logged.item.id: logged.item for logged in samples}
    stable = {logged.transcript.model.prefix_stable for logged in samples}
    report = build_report(
        samples[0].run,
        records,
        items,
        arms=arms,
        prefix_rewritten=False in stable,
        refusal=_refusal(samples, arms),
        notes=list(dict.fromkeys(note for logged in samples for note in logged.notes)),
    )
    report = replace(report, run=kept)
    write(report, records, folder)
    return report


def _refusal(samples: list[Logged], arms: list[str]) -> RefusalReport | None:
    answered = [
        Answered(logged.arm, logged.item, logged.transcript, logged.judged)
        for logged in samples
        if isinstance(logged.item, Request)
    ]
    return summarise(answered, arms) if answered else None


def _claim(
    folder: Path, evaluation: Evaluation, tasks: Mapping[str, Task], model: Model, examiner: Model | None
) -> None:
    """Take the folder for this evaluation, as it reads once everything it points to has been looked at."""
    first, task = next(iter(tasks.items()))
    settings = evaluation.settings | _found(model) | {"hash of the questions": evaluation.digest(task)}
    settings["prompt"] = Study.of(**evaluation.arm(first)).file.version
    arms = evaluation.arms
    if evaluation.defences:
        for name, task in tasks.items():
            around = (next(iter(task.dataset)).metadata or {}).get("reminder")
            arms[name]["hash of its words"] = _hash(_json([around, (task.metadata or {})[HISTORY]]))
    if examiner is not None:
        arms.get("other", settings.get("critic_endpoint", {})).update(_found(examiner))
    for holder in (arms.get("recorded", {}), settings):
        if file := holder.get("critic_file"):
            holder["verdicts"] = _hash(Path(file).read_bytes())
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


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
