"""An evaluation in parts: every part of an arm is a unit of work with a log of its own, done by whoever is free."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import anyio
from inspect_ai import Task
from inspect_ai.log import list_eval_logs
from inspect_ai.model import Model

from secondlook.cluster.place import Place, mark, put, there
from secondlook.cluster.unit import Engine
from secondlook.evaluation.asking import RunError, evaluate
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.kept import kept_in
from secondlook.evaluation.logs import Logged, read_logged
from secondlook.evaluation.shards import NUMBER, cut, finished, merge, merged_log, shard_folder
from secondlook.evaluation.solver import Session, in_loop, second_look
from secondlook.evaluation.study import Study
from secondlook.evaluation.task import HISTORY, WORDS

PER_SHARD = 256
"""Questions of a part, where nobody asks for another number."""
_LEAST = 4  # parts of a small run, so that a few workers have something to do each
_HISTORY = "history.json"


def shards_of(questions: int, asked: int | None) -> int:
    """The number of parts of an arm; it follows from the number of questions, not from the cluster."""
    return asked if asked is not None else min(questions, max(_LEAST, math.ceil(questions / PER_SHARD)))


# Without slots: a cached property needs a `__dict__`.
@dataclass(frozen=True)
class ArmPart:
    """Part of an evaluation that every one of its units knows.

    Attributes:
        evaluation: The whole.
        arm: Name of the arm.
        folder: Where the logs of the evaluation go.
        questions: A digest of the questions; a worker that finds others refuses.
    """

    evaluation: Evaluation
    arm: str
    folder: Place
    questions: str

    @cached_property
    def task(self) -> Task:
        """The arm's task.

        Raises:
            ValueError: The questions here are others.
        """
        task = self.evaluation.task(self.arm)
        if (found := self.evaluation.digest(task)) != self.questions:
            raise ValueError(
                f"a worker reads other questions (hash {found}, not {self.questions}): give all nodes the same data"
            )
        return task

    @property
    def study(self) -> Study:
        """The arm's study."""
        return self.evaluation.study_of(self.arm)

    @property
    def history(self) -> Place:
        """Place of the conversation that stands before every question of the ``diverse`` variant."""
        return self.folder / self.arm / _HISTORY


@dataclass(frozen=True)
class History(ArmPart):
    """The unit that makes an arm's shared history, once for all its parts."""

    @property
    def name(self) -> str:
        """Name made of evaluation and arm."""
        return f"{self.evaluation.name}-{self.arm}-history"

    def done(self) -> bool:
        """Whether it is there."""
        return there(self.history)

    def work(self, tick: Callable[[float], None]) -> None:
        """Ask the model."""
        del tick
        model, roles = self.evaluation.endpoint.open(), self.evaluation.roles(self.arm)
        other = in_loop(roles["critic"], self.study) if "critic" in roles else None
        samples = (self.task.metadata or {})[HISTORY]
        session = Session(self.study, samples, in_loop(model, self.study), other)
        try:
            plan, spent = anyio.run(session.plan)
        except Exception as error:
            raise RunError(f"the shared history of arm {self.arm!r} cannot be made: {error}") from error
        messages = [[message.role, message.content] for message in plan.history]
        made = {"messages": messages, "spent": asdict(spent), "paid_by": str(self.task.dataset[0].id)}
        put(self.history, json.dumps(made).encode())


@dataclass(frozen=True)
class Shard(ArmPart):
    """The unit that asks some neighbouring questions of an arm.

    Attributes:
        number: Which part.
        shards: Of how many.
        address: Of the server that is asked; by default the endpoint's own.
        log_buffer: Finished samples kept back before the log is written.
    """

    number: int
    shards: int
    address: str | None = None
    log_buffer: int = 10

    @property
    def name(self) -> str:
        """Name made of evaluation, arm and part; the address does not matter."""
        return f"{self.evaluation.name}-{self.arm}-{self.number}-of-{self.shards}"

    @property
    def into(self) -> Place:
        """Place of its log."""
        return shard_folder(self.folder / self.arm, self.number)

    def done(self) -> bool:
        """Whether its log is there, with no sample failed."""
        return finished(self.into)

    def work(self, tick: Callable[[float], None]) -> None:
        """Ask, going on from what is logged."""
        del tick
        task = self.task
        samples = task.dataset[cut(len(task.dataset), self.shards)[self.number]]
        if self.study.shows_history:
            shown = json.loads(self.history.read_text("utf-8"))
            task.solver = second_look(asdict(self.study), [shown], (task.metadata or {})[WORDS])
        endpoint = replace(self.evaluation.endpoint, base_url=self.address or self.evaluation.endpoint.base_url)
        evaluate(
            task,
            endpoint.open(),
            self.into,
            roles=self.evaluation.roles(self.arm),
            log_buffer=self.log_buffer,
            quiet=True,
            only=[str(sample.id) for sample in samples],
        )


@dataclass(frozen=True)
class Merging:
    """The unit that merges the logs of an arm, if all its parts are finished.

    Attributes:
        arm: The arm's folder.
        shards: How many parts there are.
    """

    arm: Place
    shards: int

    @property
    def name(self) -> str:
        """Name of the merged log."""
        return str(merged_log(self.arm))

    def done(self) -> bool:
        """Whether the merged log is there."""
        return there(merged_log(self.arm))

    def work(self, tick: Callable[[float], None]) -> None:
        """Merge."""
        del tick
        merge(self.arm, self.shards)


@dataclass(frozen=True)
class InShards:
    """Asks the arms of an evaluation in parts; for `run_evaluation`.

    Attributes:
        engine: Who asks.
        folder: Where logs go; every worker must see it.
        shards: Parts of an arm; by default as many as before, or as :func:`shards_of` says.
        addresses: Servers of the same model, among which parts are dealt out in turn; by default the endpoint's own.
        log_buffer: Finished samples kept back before a log is written.
        total: Called with the number of questions that will be asked.
        tick: Called with the number of those done since the last call.
    """

    engine: Engine
    folder: Place
    shards: int | None = None
    addresses: Sequence[str] = ()
    log_buffer: int = 10
    total: Callable[[int], None] = lambda _: None
    tick: Callable[[float], None] = lambda _: None

    def __call__(
        self, evaluation: Evaluation, folder: Path, tasks: Mapping[str, Task], model: Model, examiner: Model | None
    ) -> list[Logged]:
        """Ask every part of every arm, merge the logs of arms that are complete, and read them.

        Raises:
            RunError: Not one sample of a part could be finished; the other parts were asked.
            ValueError: More parts than questions, or another number of parts than the folder holds.
        """
        del model, examiner  # workers open their own
        if kept_in(folder):
            raise ValueError(f"{folder} holds a run of --fast: go on without --shards and --cluster")
        for server in self.addresses:
            replace(evaluation.endpoint, base_url=server).reach()
        shared = self.folder.absolute()  # workers have other working directories
        mark(shared)  # a worker on another node that does not see the mark refuses its unit
        shards = self._number(shared, min(len(task.dataset) for task in tasks.values()))
        units: list[Shard] = []
        histories: list[History] = []
        for arm, task in tasks.items():
            about = (evaluation, arm, shared, evaluation.digest(task))
            if ArmPart(*about).study.shows_history:
                histories.append(History(*about))
            for number in range(shards):
                address = self.addresses[len(units) % len(self.addresses)] if self.addresses else None
                units.append(Shard(*about, number, shards, address, self.log_buffer))
        self.total(sum(len(task.dataset) for task in tasks.values()))
        # Each call ends when all its units are done, and raises if one failed: histories are there before the parts
        # that show them, and nothing is merged after a failure.
        self.engine.run(histories, lambda _unit, _part: None)
        self.engine.run(units, lambda unit, part: self.tick(part * len(tasks[unit.arm].dataset) / shards))
        self.engine.run([Merging(shared / arm, shards) for arm in tasks], lambda _unit, _part: None)
        return read_logged(shared)

    def _number(self, folder: Place, questions: int) -> int:
        file = folder / NUMBER
        if not there(file):
            if there(folder) and list_eval_logs(str(folder)):
                raise ValueError(f"{folder} holds a run that is not in shards: go on without --shards and --cluster")
            shards = shards_of(questions, self.shards)
            cut(questions, shards)  # refuses a number that cannot be, before it is written down
            put(file, json.dumps({"shards": shards}).encode())
            return shards
        before = int(json.loads(file.read_text("utf-8"))["shards"])
        if self.shards not in (None, before):
            raise ValueError(
                f"{folder} holds a run in {before} shards, and now it is {self.shards}; leave --shards out, or choose "
                "another --out"
            )
        return before
