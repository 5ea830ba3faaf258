"""A whole evaluation: one benchmark, one model, one or several critics, one report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from inspect_ai import Task
from inspect_ai.model import Model

from secondlook.benchmarks.benchmark import Answered, AnyBenchmark, find
from secondlook.cluster.place import Place, turn
from secondlook.correction.critics.names import SILENT
from secondlook.diagnosis.critic_file import read_critic
from secondlook.diagnosis.examiner import examiner_of
from secondlook.diagnosis.gate_file import Made, read_gate
from secondlook.diagnosis.gate_made import check_same
from secondlook.evaluation import manifest, times
from secondlook.evaluation.asking import Endpoint, evaluate
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.labels import kept_labels, labels_by_round
from secondlook.evaluation.logs import Logged, read_logged, to_table
from secondlook.evaluation.report import Report, build_report, write
from secondlook.evaluation.report_page import write_page
from secondlook.evaluation.shards import NUMBER
from secondlook.evaluation.study import SAMPLED, UNKNOWN, VOTE, Study
from secondlook.evaluation.task import HISTORY, WORDS, arm_of, task_of
from secondlook.evaluation.unknown import always_unknown

_OWN = {
    "critic_command": "tool",
    "critic_seconds": "tool",
    "critic_file": "recorded",
    "fitted_file": "fitted",
    "votes": VOTE,
    "vote_temperature": VOTE,
}
"""Study fields that belong to one critic alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that decides the result; a run's folder is named after it.

    Attributes:
        benchmark: Name of the benchmark.
        endpoint: The answering model.
        arms: Critics, or what the benchmark has for arms instead, e.g. defences.
        study: The other fields of a :class:`~secondlook.evaluation.study.Study`, shared by the arms; the critic too,
            where arms are none.
        questions: Options of the benchmark; ``None`` stands for one that was not given.
        seed: Seed of the sample and the run.
        critic_endpoint: The examining model of critic ``other``.
        judge_endpoint: A model that judges replies, beside the judges that need none.

    Raises:
        ValueError: If anything in it is unknown or contradictory, before a model is called.
    """

    benchmark: str
    endpoint: Endpoint
    arms: tuple[str, ...] = ("self",)
    study: Mapping[str, Any] = field(default_factory=dict)
    questions: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    critic_endpoint: Endpoint | None = None
    judge_endpoint: Endpoint | None = None

    def __post_init__(self) -> None:
        benchmark = self.kind
        benchmark.given(self.questions)
        if not self.arms or len(set(self.arms)) < len(self.arms):
            word = benchmark.arm_word
            raise ValueError(f"{word}s are {', '.join(self.arms) or 'none given'}; name each arm once (--{word})")
        if UNKNOWN in self.arms and (len(self.arms) == 1 or not benchmark.abstains):
            raise ValueError(
                f"{UNKNOWN!r} is a control of benchmarks with an option that says so, beside another arm; leave it out"
            )
        if self.judge_endpoint and benchmark.judge is None:
            raise ValueError(f"benchmark {self.benchmark!r} has no rubric for a judge model; leave --judge-model out")
        examined = [*self.arms] if self._by_critic else [self._critic]
        if "fitted" in examined and (file := self.study.get("fitted_file")) is not None:
            examined += self._asked_by(Path(file))
        if ("other" in examined) != (self.critic_endpoint is not None):
            raise ValueError("critic 'other' and --critic-model go together; give both or neither")
        for name in self.names:
            self._check_model(self.study_of(name))

    def _check_model(self, study: Study) -> None:
        """See that what was fitted was fitted on the model that answers."""
        for what, file in (("critic", study.fitted_file), ("gate", study.gate)):
            if file is not None:
                made = read_gate(Path(file)).made if what == "gate" else read_critic(Path(file)).made
                check_same(made, Made(self.endpoint.model, made.critic), f"{what} {file!r}")

    def _asked_by(self, file: Path) -> list[str]:
        """Critics that a fitted one asks; another model has to be the one it was fitted on, and be named."""
        examiners = read_critic(file).critics.values()
        others = {examiner.model for examiner in examiners if examiner.kind == "other"}
        given = self.critic_endpoint.model if self.critic_endpoint else None
        if len(others) > 1 or (others and given is not None and others != {given}):
            raise ValueError(
                f"critic {str(file)!r} asks {', '.join(map(str, others))}; an evaluation has one --critic-model, "
                f"{given or 'and none is given'}"
            )
        return [examiner.kind for examiner in examiners]

    @property
    def kind(self) -> AnyBenchmark:
        """The benchmark."""
        return find(self.benchmark)

    @property
    def names(self) -> tuple[str, ...]:
        """The arms that ask a model."""
        return tuple(name for name in self.arms if name != UNKNOWN)

    @property
    def _by_critic(self) -> bool:
        """Whether the arms are critics."""
        return not self.kind.arms

    @property
    def _critic(self) -> str:
        """The one critic of arms that are none."""
        return str(self.study.get("critic", "self"))

    @property
    def _shared(self) -> dict[str, Any]:
        """Study fields that decide the result in every arm."""
        if not self._by_critic:
            return {**self.study, "critic": self._critic}
        return {name: value for name, value in self.study.items() if name not in _OWN}

    def _given(self, name: str) -> dict[str, Any]:
        """Study fields as they are given to one arm, the same whichever arms stand beside it.

        Settings that belong to other arms are left out, and so is what nobody gave: an arm may be added later.
        """
        if not self._by_critic:
            return self._shared
        fields = {
            field: value
            for field, value in self.study.items()
            if field not in _OWN or _OWN[field] == name or (value is not None and _OWN[field] not in self.arms)
        }
        if name == VOTE:
            fields["vote_temperature"] = fields.get("vote_temperature") or self.endpoint.temperature or SAMPLED
        if name in SILENT and (len(self.arms) > 1 or not fields.get("noise")):
            fields.pop("noise", None)  # it is meant for the arms that have a verdict to flip
        if name in ("none", VOTE) and len(self.arms) > 1:
            fields = {field: value for field, value in fields.items() if field not in ("gate", "keep")}  # controls
        return {**fields, "critic": name}

    def study_of(self, name: str) -> Study:
        """The study of one arm."""
        return Study.of(seed=self.seed, **self.arm(name))

    def arm(self, name: str) -> dict[str, Any]:
        """Study fields of one arm, but for the seed."""
        return dict(arm_of(self.kind, name, self.kind.given(self.questions), self._given(name)).study)

    def task(self, name: str) -> Task:
        """The Inspect task of one arm."""
        arm = {} if self._by_critic else {self.kind.arm_word: name}
        judge = {"judge_model": True} if self.judge_endpoint else {}
        return task_of(self.benchmark)(**self._chosen, seed=self.seed, **self._given(name), **arm, **judge)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that decide the result in every arm; how requests travel is not among them."""
        shared = self._shared
        if self.judge_endpoint:
            shared["judge"] = _settings(self.judge_endpoint)
        if self.critic_endpoint and not self._by_critic:
            shared["critic_endpoint"] = _settings(self.critic_endpoint)
        return {
            "benchmark": self.benchmark,
            **_settings(self.endpoint),
            **shared,
            "questions": self._chosen,
            "seed": self.seed,
        }

    @property
    def settings_by_arm(self) -> dict[str, dict[str, Any]]:
        """Settings that decide the result in one arm alone, by its name."""
        arms: dict[str, dict[str, Any]] = {name: {} for name in self.arms}
        if self._by_critic:
            for field, critic in _OWN.items():
                if critic in arms:
                    arms[critic] |= {field: value} if (value := self._given(critic).get(field)) is not None else {}
            if self.critic_endpoint is not None:
                arms["other"] = _settings(self.critic_endpoint)
        return arms

    @property
    def name(self) -> str:
        """Benchmark, model and a hash of the whole configuration."""
        configuration = json.dumps([self.settings, self.settings_by_arm], sort_keys=True)
        digest = hashlib.sha256(configuration.encode()).hexdigest()[:8]
        return f"{self.benchmark}-{file_name(self.endpoint.model)}-{digest}"

    def reach(self) -> None:
        """See that every server is there that was named.

        Raises:
            RunError: If one is not.
        """
        for endpoint in (self.endpoint, self.critic_endpoint, self.judge_endpoint):
            if endpoint is not None:
                endpoint.reach()

    def digest(self, task: Task) -> str:
        """A digest of a task's questions, the same in every arm."""
        return _hash(_json([sample.metadata for sample in task.dataset]))

    def roles(self, arm: str) -> dict[str, Model]:
        """The opened models of an arm beside the answering one, by what they do."""
        roles = {"judge": self.judge_endpoint.open()} if self.judge_endpoint else {}
        if self.critic_endpoint and self.study_of(arm).critic in ("other", "fitted"):
            roles["critic"] = self.critic_endpoint.open()
        return roles

    @property
    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.questions.items() if value is not None}


def file_name(model: str) -> str:
    """A model's name as a file or a folder may have it."""
    return "".join(char if char.isalnum() or char in "-._" else "-" for char in model).strip("-")


Arms: TypeAlias = Callable[[Evaluation, Mapping[str, Task], Model, Model | None], list[Logged]]
"""Asks the questions of every arm by other means than Inspect's: arms, their tasks, the model and the examiner."""


Before: TypeAlias = Callable[[Evaluation, Mapping[str, Task], Model, Model | None], None]
"""Tries a few questions before a folder gets its first answer; takes what :data:`Arms` take."""


def run_evaluation(
    evaluation: Evaluation,
    folder: Path,
    *,
    log_buffer: int = 10,
    quiet: bool = False,
    arms: Arms | None = None,
    before: Before | None = None,
) -> Report:
    """Run every arm into a folder and report; what the folder already holds is not asked again.

    Args:
        evaluation: What to run.
        folder: Gets ``run.json``, one folder of Inspect logs per arm, ``report.json``, ``report.html``,
            ``rounds.csv``, ``records.csv``, and ``times.json`` where nothing was asked before.
        log_buffer: Finished samples kept back before a log is written.
        quiet: Show no progress.
        arms: What asks the questions instead of one call of Inspect for each arm: the fast path, which leaves no logs
            and continues nothing, or parts.
        before: What is called before a new folder is taken.

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
        # A folder is claimed once questions were tried: what was wrong is mended, and the folder is still free.
        if before is not None and manifest.read(folder) is None:
            evaluation.reach()
            before(evaluation, tasks, model, examiner)
        _claim(folder, evaluation, tasks, model, examiner)
        evaluation.reach()
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
    benchmark = samples[0].benchmark
    labels = kept_labels(folder)
    answered = [
        Answered(
            logged.arm,
            logged.item,
            logged.transcript,
            logged.judged.outcomes,
            labels_by_round(labels, logged.arm, logged.transcript),
        )
        for logged in samples
    ]
    stable = {logged.transcript.model.prefix_stable for logged in samples}
    report = build_report(
        benchmark,
        records,
        arms=arms,
        prefix_rewritten=False in stable,
        summary=benchmark.summary(answered, arms),
        notes=[*dict.fromkeys(note for logged in samples for note in logged.notes), *_of_the_server(samples)],
        cause=next((logged.transcript.error for logged in samples if logged.transcript.error), None),
        labels=labels,
    )
    if kept:
        examined = {arm: examiner_of(kept, arm, one.critic) for arm, one in report.diagnoses.items()}
        found = {
            arm: replace(one, examiner=examined[arm], elicit=kept["settings"].get("elicit"))
            for arm, one in report.diagnoses.items()
        }
        report = replace(report, run=kept, diagnoses=found)
    write(report, records, folder)
    write_page(report, samples, folder)
    return report


def _of_the_server(samples: list[Logged]) -> list[str]:
    """Notes on the server that was asked."""
    notes = []
    told = [logged.transcript.model.decoding.get("refused") for logged in samples]
    if refused := sorted({str(name) for names in told if isinstance(names, list) for name in names}):
        notes.append(f"The model refuses {', '.join(refused)}: left out of its requests, or named otherwise.")
    if by := {str(name) for one in samples if (name := one.transcript.model.decoding.get("tokens counted by"))}:
        notes.append(f"Tokens are counted by {', '.join(by)}, of texts alone, where the server does not tell them.")
    if untold := sum(logged.transcript.usage.untold for logged in samples):
        notes.append(f"The server does not tell what {untold} calls cost: costs and equal costs cannot be estimated.")
    return notes


def _claim(
    folder: Path, evaluation: Evaluation, tasks: Mapping[str, Task], model: Model, examiner: Model | None
) -> None:
    """Take the folder for this evaluation, as it reads once everything it points to has been looked at."""
    first, task = next(iter(tasks.items()))
    settings = evaluation.settings | _found(model) | {"hash of the questions": evaluation.digest(task)}
    study = evaluation.study_of(first)
    settings |= {"prompt": study.file.version, "elicit": study.elicit, "confidence": study.confidence}
    arms = evaluation.settings_by_arm
    if evaluation.kind.arms:
        for name, task in tasks.items():
            about = task.metadata or {}
            arms[name]["hash of its words"] = _hash(_json([about[WORDS], about[HISTORY]]))
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
    """Facts that only the opened model tells: its address after all, and its weights."""
    return {"base_url": model.api.base_url, "revision": InspectModel(model).info.revision}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
