"""The one door for benchmarks: what a benchmark is, and how it is found by name.

Everything that asks questions, logs, reports or plans speaks to a :class:`Benchmark` and asks nobody which one it has.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, cast, get_type_hints

from secondlook.correction.case import Case
from secondlook.correction.chat import Finish, Json
from secondlook.prompts.prompt import Prompt

if TYPE_CHECKING:
    from rich.table import Table

    from secondlook.correction.transcript import Transcript
    from secondlook.diagnosis.records import Status


MADE_UP = "I do not know. Perhaps 42."
"""An answer that no model gave: graders and tools are tried on it."""


class ItemLike(Protocol):
    """One question of a benchmark: a frozen dataclass of JSON values, since it travels in the logs."""

    @property
    def id(self) -> str:
        """Identifier, unique within a run."""
        ...

    @property
    def category(self) -> str:
        """Group that results are broken down by."""
        ...

    @property
    def template(self) -> str:
        """Questions that resemble each other share it; intervals are clustered by it."""
        ...

    @property
    def condition(self) -> str | None:
        """A further division, e.g. ``ambig`` and ``disambig``."""
        ...


I = TypeVar("I", bound=ItemLike)  # noqa: E741
O = TypeVar("O")  # noqa: E741


@dataclass(frozen=True, slots=True)
class Asked(Generic[I]):
    """A question as a run asks it.

    Attributes:
        item: The question.
        around: What the run puts around its words, e.g. the seed of noise words; JSON.
    """

    item: I
    around: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Questions(Generic[I]):
    """The questions of a run.

    Attributes:
        asked: Those that are asked, in order.
        spare: Others, some of which the ``diverse`` variant shows first.
        notes: What must be known of them to read the results.
    """

    asked: Sequence[Asked[I]]
    spare: Sequence[Asked[I]] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Display:
    """A question as a log shows it: its text, its truth in words, and its options if it has some."""

    text: str
    target: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer as its benchmark reads it.

    Attributes:
        answer: What it amounts to, e.g. a letter; the raw text where it cannot be read.
        correct: Whether it is right; ``None`` where that cannot be said.
        status: ``ok``, or why ``correct`` is missing: ``unparsed`` (it cannot be read), ``refused`` or ``error``.
        bias: As in :class:`~secondlook.diagnosis.records.Record`.

    Raises:
        ValueError: The status is none of these.
    """

    answer: str | None
    correct: bool | None
    status: Status
    bias: int | None = None

    def __post_init__(self) -> None:
        from secondlook.diagnosis.records import STATUSES  # here: that a benchmark is known needs no pandas

        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} of a graded answer is none of {', '.join(STATUSES)}")


@dataclass(frozen=True, slots=True)
class OwnArm:
    """An arm that is not a critic, e.g. a defence.

    Attributes:
        study: Fields of its :class:`~secondlook.evaluation.study.Study`.
        words: What it puts around every question, by name.
        shown: Exchanges that stand before every question: what was asked, and the reply.
    """

    study: Mapping[str, Any]
    words: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answered(Generic[I]):
    """One question of one arm, asked.

    Attributes:
        arm: The arm.
        item: The question.
        transcript: What happened.
        judged: What a judge model said of each answer, if there was one.
        labels: What people say of some answers, by round.
    """

    arm: str
    item: I
    transcript: Transcript
    judged: tuple[str, ...] = ()
    labels: Mapping[int, str | bool] = field(default_factory=dict)


class Summary(Protocol):
    """A benchmark's own part of a report: a dataclass of JSON values."""

    @property
    def sentence(self) -> str:
        """Meaning of the results, in a sentence."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes that must be known to read it."""
        ...

    def tables(self) -> Iterator[Table]:
        """Tables of at most 80 columns."""
        ...


class Judge(Protocol):
    """Judge model's rubric for replies; it is part of the instrument, not of what is measured.

    Where a benchmark has no grader but the judge (:meth:`Benchmark.by_judge`), the outcomes ``right`` and ``wrong`` are
    the grade.
    """

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Words that a judgement may end with."""
        ...

    def ask(self, item: Any, reply: str) -> str | None:
        """Prompt that shows the judge one reply; ``None`` where there is nothing to ask."""
        ...

    def read(self, judgement: str | None) -> str:
        """The outcome that a judgement states."""
        ...


class Benchmark(ABC, Generic[I, O]):
    """A set of questions, the words they are asked in, and how answers are read.

    Attributes:
        name: As the command line and Inspect call it.
        about: One line of help.
        item: Class of its questions.
        options: Frozen dataclass of what chooses the questions; its fields, made by :func:`option`, are the options of
            the command line and of the Inspect task.
        prompts: Folder of prompt files whose fields it fills.
        prompt: The prompt file where none is asked for.
        arms: Arms of its own, e.g. defences; none where the arms are critics.
        arm_word: What an arm is called: the option that names it.
        abstains: Whether its questions have an answer "this cannot be told".
        users: Whether questions and grader are a user's own: they are tried before a run.
        judge: How a judge model judges its replies, if one can.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    # No ClassVar, which may not hold type variables (PEP 526).
    item: type[I]
    options: type[O]
    prompts: ClassVar[str]
    prompt: ClassVar[str]
    arms: ClassVar[tuple[str, ...]] = ()
    arm_word: ClassVar[str] = "critic"
    abstains: ClassVar[bool] = False
    users: ClassVar[bool] = False
    judge: ClassVar[Judge | None] = None

    @abstractmethod
    def questions(self, options: O, seed: int) -> Questions[I]:
        """The questions that the options choose.

        Raises:
            ValueError: If data or options cannot be used.
        """

    @abstractmethod
    def shown(self, item: I) -> Display:
        """A question as logs show it."""

    @abstractmethod
    def case(self, asked: Asked[I], file: Prompt, words: Mapping[str, str]) -> Case:
        """A question in the words of a prompt file and, where the arm has some, of its arm."""

    @abstractmethod
    def read(self, item: I, answer: str, finish: Finish) -> Graded:
        """Read and grade one answer."""

    def by_judge(self, item: I) -> bool:  # noqa: ARG002 - most have a grader
        """Whether a judge model grades the answers to a question: no rule can."""
        return False

    def trial(self, items: Sequence[I]) -> None:
        """Try how answers are graded, without a model.

        Raises:
            ValueError: What is wrong with it, with the remedy.
        """

    def unread(self, items: Sequence[I], answers: str) -> str:  # noqa: ARG002 - most read all questions alike
        """Words that say that none of the answers to some questions could be read, by whom, and the remedy.

        Args:
            items: The questions.
            answers: Which answers to them, e.g. ``the answers above``.
        """
        return f"benchmark {self.name!r} read none of {answers}; ask for answers in the form that it reads (--prompt)"

    def abstention(self, item: I) -> str | None:  # noqa: ARG002 - most have none
        """The reply "this cannot be told", of a benchmark that abstains: control ``always-unknown`` gives it."""
        return None

    def arm(self, name: str, options: O, study: Mapping[str, Any]) -> OwnArm:
        """Find one of :attr:`arms`.

        Args:
            name: Its name.
            options: What chooses the questions.
            study: Fields of the study as the user gave them.

        Raises:
            ValueError: If there is no such arm, or the study contradicts it.
        """
        raise ValueError(f"benchmark {self.name!r} has no arm {name!r}; its arms are critics ({study}, {options})")

    def summary(self, answered: Sequence[Answered[I]], arms: Sequence[str]) -> Summary | None:  # noqa: ARG002
        """Summary of its own in a report, if it has one."""
        return None

    def given(self, values: Mapping[str, Any]) -> O:
        """The options by name; ``None`` stands for an option that was not given.

        Raises:
            ValueError: If there is no such option.
        """
        known = [each.name for each in dataclasses.fields(self.options)]  # type: ignore[arg-type]
        if foreign := [name for name, value in values.items() if value is not None and name not in known]:
            spelt = ", ".join(f"--{name.replace('_', '-')}" for name in known)
            wrong = foreign[0].replace("_", "-")
            raise ValueError(f"benchmark {self.name!r} has no --{wrong}; its questions are chosen by {spelt}")
        return self.options(**{name: value for name, value in values.items() if value is not None})


def option(default: Any, help_: str, *flags: str) -> Any:
    """A field of options, with its line of help and, where the field's name is not all, how it is spelt.

    A default of ``...`` makes an option that has to be given.
    """
    metadata = {"help": help_, "flags": flags}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


AnyBenchmark = Benchmark[Any, Any]
BUILT_IN = {name: f"secondlook.benchmarks.{name}.benchmark" for name in ("bbq", "refusal", "own", "planted")}
"""Modules of the benchmarks that come with this package, by name."""
_REGISTERED: dict[str, AnyBenchmark] = {}


def register(benchmark: AnyBenchmark) -> AnyBenchmark:
    """Make a benchmark known in this process; a package does so with an entry point ``secondlook.benchmarks``."""
    _REGISTERED[benchmark.name] = benchmark
    return benchmark


def names() -> tuple[str, ...]:
    """Every benchmark that can be found."""
    return tuple(dict.fromkeys((*BUILT_IN, *_installed(), *_REGISTERED)))


def find(name: str) -> AnyBenchmark:
    """The benchmark of a name.

    Raises:
        ValueError: If there is none (the known ones are listed), or a package's cannot be used.
    """
    if name in BUILT_IN:
        found: AnyBenchmark = import_module(BUILT_IN[name]).BENCHMARK
        return found
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _installed():
        return register(_loaded(name, _installed()[name]))
    raise ValueError(f"unknown benchmark {name!r}; choose one of {', '.join(names())}")


def _loaded(name: str, points: Sequence[EntryPoint]) -> AnyBenchmark:
    """The benchmark that a package brings."""
    brought = " and ".join(f"{point.dist.name if point.dist else 'a package'} ({point.value})" for point in points)
    if len(points) > 1:
        raise ValueError(f"benchmark {name!r} is brought by {brought}; uninstall all but one")
    try:
        found = points[0].load()
        _check(name, found)
    except (Exception, SystemExit) as error:  # whatever its author's module does: other commands do not need it
        said = " ".join(str(error).split())
        said = said if type(error) is ValueError else f"{type(error).__name__}: {said}"
        raise ValueError(f"benchmark {name!r} of {brought} cannot be used: {said}") from error
    return cast("AnyBenchmark", found)


def _check(name: str, found: Any) -> None:
    """See that a package's benchmark has what every command asks of it; what it lacks may raise anything."""
    if not isinstance(found, Benchmark):
        raise ValueError(f"it is a {type(found).__name__}, and no instance of Benchmark")  # noqa: TRY004 - a user's
    if found.name != name:
        raise ValueError(f"its name is {found.name!r}; give both the same name")
    for part in (found.item, found.options):
        if not dataclasses.is_dataclass(part):
            raise ValueError(f"{part.__name__} is no dataclass")
    known = {each.name for each in dataclasses.fields(found.item)}
    needed = ("id", "category", "template", "condition")
    if missing := [each for each in needed if each not in known and not hasattr(found.item, each)]:
        raise ValueError(f"its item {found.item.__name__} has no {', '.join(missing)}")
    get_type_hints(found.options)
    if bare := [each.name for each in dataclasses.fields(found.options) if "help" not in each.metadata]:
        raise ValueError(f"field {bare[0]} of its options has no help; make it by option(default, help)")
    for each in (found.about, found.prompts, found.prompt):
        if not isinstance(each, str):
            raise ValueError(f"{each!r} is no text; about, prompts and prompt are")  # noqa: TRY004 - a user's


@cache
def _installed() -> dict[str, list[EntryPoint]]:
    """Entry points of packages, by name; two packages may claim one."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group="secondlook.benchmarks"):
        found.setdefault(point.name, []).append(point)
    return found
