"""An evaluation: one benchmark, one model, one or several arms, and every setting that decides the result."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai.model import Model

from secondlook.benchmarks.benchmark import AnyBenchmark, OwnArm, find
from secondlook.correction.case import VERDICTS, Case
from secondlook.correction.critics.names import SILENT
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.manifest import TOKENIZER, TOOL
from secondlook.evaluation.samples import case_of
from secondlook.evaluation.study import OF_CRITIC, SAMPLED, UNKNOWN, VOTE, Study, argv_of
from secondlook.evaluation.task import WORDS, arm_of, task_of
from secondlook.fitting.critic_file import read_critic
from secondlook.fitting.gate_file import Made, read_gate
from secondlook.fitting.gate_made import check_same

_CONTROLS = ("none", VOTE)
"""Critics that no gate and no judge goes by."""


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
        # That control asks nobody: it takes questions, model and prompt from the answers of another arm.
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
        # Making the studies is a check, too: Study refuses what cannot be run.
        for name in self.names:
            self._check_model(self.study_of(name))

    def _check_model(self, study: Study) -> None:
        """See that what was fitted was fitted on the model that answers."""
        for what, file in (("critic", study.fitted_file), ("gate", study.gate)):
            if file is not None:
                made = read_gate(Path(file)).made if what == "gate" else read_critic(Path(file)).made
                # Of the model alone; Study knows no model, and compares the rest (`_check_made`).
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
        return {name: value for name, value in self.study.items() if name not in OF_CRITIC}

    def _given(self, name: str) -> dict[str, Any]:
        """Study fields as they are given to one arm, the same whichever arms stand beside it.

        Settings that belong to other arms are left out, and so is what nobody gave: an arm may be added later.
        """
        if not self._by_critic:
            return self._given_to_defence(name)
        # A setting stays in if its arm is not asked for at all: Study then refuses it, where dropping it would hide it.
        fields = {
            field: value
            for field, value in self.study.items()
            if field not in OF_CRITIC
            or OF_CRITIC[field] == name
            or (value is not None and OF_CRITIC[field] not in self.arms)
        }
        if name == VOTE and fields.get("vote_temperature") is None:
            fields["vote_temperature"] = self.endpoint.temperature or SAMPLED
        # What a control has no use for is dropped beside an arm that uses it; without one, Study refuses it.
        if name in SILENT and (len(self.arms) > 1 or not fields.get("noise")):
            fields.pop("noise", None)  # it is meant for the arms that have a verdict to flip
        if name in _CONTROLS and any(arm not in (*_CONTROLS, UNKNOWN) for arm in self.arms):
            fields = {field: value for field, value in fields.items() if field not in ("gate", "keep")}
        return {**fields, "critic": name}

    def _given_to_defence(self, defence: str) -> dict[str, Any]:
        """The same where arms are no critics; the benchmark keeps a critic's own settings from arms without one."""
        options, fields = self.kind.given(self.questions), {"critic": self._critic}
        critics = {arm: arm_of(self.kind, arm, options, fields).study["critic"] for arm in self.arms}
        idle = set[str]()
        if critics[defence] != VOTE and VOTE in critics.values():
            idle |= {"votes", "vote_temperature"}
        if critics[defence] in _CONTROLS and any(critic not in _CONTROLS for critic in critics.values()):
            idle |= {"gate", "keep"}
        return {field: value for field, value in self._shared.items() if value is None or field not in idle}

    def study_of(self, name: str) -> Study:
        """The study of one arm."""
        return Study.of(seed=self.seed, **self.arm(name))

    def noise_of(self, name: str) -> float:
        """Probability with which an arm's verdicts are flipped, also of an arm that an earlier call added."""
        given = {"critic": self._critic, "noise": self.study.get("noise", 0.0)}
        study = arm_of(self.kind, name, self.kind.given(self.questions), given).study
        return 0.0 if study["critic"] in SILENT else float(study.get("noise", 0.0))

    def arm(self, name: str) -> dict[str, Any]:
        """Study fields of one arm, but for the seed."""
        return dict(self._own(name).study)

    def words_of(self, name: str) -> str | None:
        """A digest of what a benchmark's own arm puts before or around every question; ``None`` if it puts nothing."""
        own = self._own(name)
        return digest_of([dict(own.words), own.shown]) if own.words or own.shown else None

    def _own(self, name: str) -> OwnArm:
        return arm_of(self.kind, name, self.kind.given(self.questions), self._given(name))

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
            for field, critic in OF_CRITIC.items():
                if critic in arms:
                    arms[critic] |= {field: value} if (value := self._given(critic).get(field)) is not None else {}
            if self.critic_endpoint is not None:
                if "other" in arms:
                    arms["other"] = _settings(self.critic_endpoint)
                if "fitted" in arms and "other" in self._asked_by(Path(self.study["fitted_file"])):
                    arms["fitted"]["critic_endpoint"] = _settings(self.critic_endpoint)
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
        return digest_of([sample.metadata for sample in task.dataset])

    def digest_of_words(self, arm: str, task: Task) -> str:
        """A digest of all that an arm's task may say to a model.

        Questions and prompt file have digests of their own; between them stands a benchmark's code, which may change.
        """
        study, words = self.study_of(arm), (task.metadata or {})[WORDS]
        cases = (case_of(sample.metadata or {}, study.file, words) for sample in task.dataset)
        return digest_of([digest_of(_words(case, study.rounds)) for case in cases])

    def roles(self, arm: str) -> dict[str, Model]:
        """The opened models of an arm beside the answering one, by what they do."""
        roles = {"judge": self.judge_endpoint.open()} if self.judge_endpoint else {}
        if self.critic_endpoint and self.study_of(arm).critic in ("other", "fitted"):
            roles["critic"] = self.critic_endpoint.open()
        return roles

    @property
    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.questions.items() if value is not None}


def _words(case: Case, rounds: int) -> list[Any]:
    """All that a case may say in so many rounds."""
    forms = (case.answer_form, case.verdict_form, case.preference_form)
    said: list[Any] = [case.system, *([form.ask, form.choices] for form in forms if form is not None)]
    said += [case.feedback(verdict) for verdict in VERDICTS]
    for index in range(rounds + 1):
        said += [case.query(index), case.check(index), case.verify(index)]
        if index:
            ways = itertools.product((False, True), repeat=2)
            said += [case.reask(index, repeat_query=again, critiqued=critiqued) for again, critiqued in ways]
    return said


def digests_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Digests of the files that settings of a run, or of one of its arms, name, as its manifest holds them.

    A file's name alone does not show that what it says has changed.
    """
    found: dict[str, Any] = {}
    if file := settings.get("critic_file"):
        found["verdicts"] = _file_digest(file)
    commands = [settings.get("critic_command")]
    if file := settings.get("fitted_file"):
        found["hash of the fitted critic"] = _file_digest(file)
        commands += [examiner.command for examiner in read_critic(Path(file)).critics.values()]
    if any(commands):
        # The program's own code where a command names it: check.py of python check.py.
        named = [word for command in commands if command for word in argv_of(command)]
        found[TOOL] = {word: _file_digest(word) for word in named if Path(word).is_file()}
    if file := settings.get("count_tokens"):
        found[TOKENIZER] = _file_digest(file)
    if file := settings.get("gate"):
        found["hash of the gate"] = gate_digest(file)
    return found


def _file_digest(path: str) -> str:
    try:
        return digest_of(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"file {path!r} cannot be read ({error.strerror}); give it back, or another --out") from None


def gate_digest(path: str) -> str:
    """A digest of what a gate's file decides; a test writes what it has shown into the same file."""
    file = read_gate(Path(path))
    return digest_of([asdict(file.gate), file.rounds])


def file_name(model: str) -> str:
    """A model's name as a file or a folder may have it."""
    return "".join(char if char.isalnum() or char in "-._" else "-" for char in model).strip("-")


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        # A key decides no result, and these settings are written to files.
        "model_args": {name: value for name, value in endpoint.model_args.items() if name != "api_key"},
        "temperature": endpoint.temperature,
        "max_tokens": endpoint.max_tokens,
    }


def digest_of(value: Any) -> str:
    """The first 12 hexadecimal digits of SHA-256, of bytes as they are and of anything else as sorted JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:12]
