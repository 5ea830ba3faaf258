"""Training by several workers at once: Ray Train starts them, joins them in a process group, and replaces the dead.

What a worker does is in `rank.py`. Nothing of Ray's own checkpoints is used: the laboratory's are whole files that any
number of workers, or none, goes on from.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, cast

from secondlook.cluster.here import Here
from secondlook.cluster.on_ray import (
    RETRIES,
    NotSharedError,
    OnRay,
    beside_the_driver,
    connected,
    digest,
    load_ray,
    see_that_it_is_shared,
)
from secondlook.cluster.place import MARK, Place
from secondlook.cluster.unit import Engine, Failures, Resources, Tick, U, left
from secondlook.lab.rank import Rank
from secondlook.lab.store import Training

_EVERY = 1.0  # seconds between words of the first worker
_FINAL = (ValueError, FloatingPointError, OSError, NotSharedError)  # of training: trying again ends the same way


@contextlib.contextmanager
def engine(
    cluster: str | None,
    where: Place,
    resources: Resources,
    workers: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Engine]:
    """This process, or workers of a Ray cluster that is joined for as long as this lasts.

    Args:
        cluster: See `connected`; none for this process.
        where: Where results go.
        resources: What a worker takes of the cluster.
        workers: See `DataParallel`.
        tell: See there.

    Raises:
        ValueError: Ray is not installed, the address is none, or workers are asked for without a cluster.
        OSError: Nobody answers at the address.
    """
    if cluster is None:
        if workers:
            raise ValueError(f"--workers is {workers}, and workers are a cluster's: give --cluster, too, e.g. local")
        yield Here()
        return
    with connected(cluster):
        yield DataParallel(where.absolute(), resources, workers, tell)


@dataclass(frozen=True)
class DataParallel:
    """Workers of a Ray cluster, all of them on one unit of training at a time.

    Attributes:
        where: Where results go; every node must see it.
        resources: What a worker takes.
        workers: How many; by default as many as there is room for. With fewer that are left when some died, training
            goes on.
        tell: Called with a line when workers have failed.

    Raises:
        ValueError: A worker takes a part of an accelerator: two on one cannot exchange anything.
    """

    where: Place
    resources: Resources
    workers: int | None = None
    tell: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.resources.gpus % 1:
            raise ValueError(f"gpus is {self.resources.gpus:g}: workers that train together take whole ones, give 1")

    @property
    def described(self) -> str:
        """See `Engine.described`."""
        return f"{self.workers or 'all'} workers of {OnRay(self.where, self.resources).described}"

    def run(self, units: Sequence[U], tick: Tick[U]) -> None:
        """See `Engine.run`; units are of `Training`.

        Raises:
            ValueError: There is no room for so many workers, or a batch has fewer problems.
        """
        work, failures = left(units, tick), Failures()
        for unit in work:
            training, told = cast("Training", unit), _Told(partial(tick, unit))
            try:
                workers = self._workers(training)
                with _heard(told, self.tell) as word:
                    together = Together(training, workers, self.resources, self.where / MARK, word)
                    OnRay(self.where, None).run([together], lambda *_: None)
            except Exception as error:
                failures.add(unit, error)
            else:
                told(1.0)
        failures.raise_first()

    def _workers(self, training: Training) -> int:
        """How many work on a unit."""
        batch, room = training.members[0].batch, _room(self.resources)
        workers = self.workers or max(1, min(room, batch))
        if workers > room:
            raise ValueError(
                f"the cluster has room for {room} workers of {self.resources.cpus:g} processors and "
                f"{self.resources.gpus:g} accelerators, not for {workers}: lower --workers, --cpus or --gpus, "
                "or add nodes"
            )
        Rank(of=workers).share(batch)  # says so where there are more than problems
        return workers


@dataclass(frozen=True)
class Together:
    """A unit of training as the task that leads the workers.

    Attributes:
        training: What they train.
        workers: How many they are.
        resources: What each takes.
        mark: What each must see.
        word: Where the first says how much is done, and Ray Train who failed.
    """

    training: Training
    workers: int
    resources: Resources
    mark: Place
    word: Any

    @property
    def name(self) -> str:
        """See `Unit.name`."""
        return self.training.name

    def done(self) -> bool:
        """See `Unit.done`."""
        return self.training.done()

    def work(self, tick: Callable[[float], None]) -> None:  # noqa: ARG002  the first worker tells
        """See `Unit.work`."""
        from ray import train
        from ray.train.torch import TorchTrainer

        logging.getLogger("ray.train").setLevel(logging.ERROR)
        taken = {"CPU": self.resources.cpus, "GPU": self.resources.gpus}
        with TemporaryDirectory() as scratch:
            trainer = TorchTrainer(
                _work,
                train_loop_config={"unit": self, "code": digest()},
                scaling_config=train.ScalingConfig(
                    num_workers=(1, self.workers),
                    use_gpu=self.resources.gpus > 0,
                    resources_per_worker={name: number for name, number in taken.items() if number},
                ),
                run_config=train.RunConfig(
                    name=self.name,
                    storage_path=scratch,
                    failure_config=train.FailureConfig(max_failures=RETRIES),
                    callbacks=[_watch(self.word)],
                    logging_config=train.LoggingConfig(log_level="ERROR"),
                ),
            )
            try:
                trainer.fit()
            except train.TrainingFailedError as error:
                raise _plain(error) from None


def _work(config: dict[str, Any]) -> None:
    """What each worker does."""
    from ray import train
    from ray.train.torch import get_device

    unit: Together = config["unit"]
    see_that_it_is_shared(unit.mark, config["code"])
    context = train.get_context()
    rank, training = Rank(context.get_world_rank(), context.get_world_size()), unit.training
    if training.options.device.startswith("cuda"):
        training = replace(training, options=replace(training.options, device=str(get_device())))
    training.work(_Saying(unit.word) if rank.first else lambda _: None, rank)


class _Saying:
    """Says how much is done, now and then."""

    def __init__(self, word: Any) -> None:
        self._word, self._made, self._next = word, 0.0, 0.0

    def __call__(self, part: float) -> None:
        self._made += part
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            _say(self._word, self._made)


def _say(word: Any, what: float | str) -> None:
    """Put it into the queue; if that died with its node, nothing is told any more, and training goes on."""
    with contextlib.suppress(load_ray().exceptions.RayError):
        word.put(what)


class _Told:
    """Tells of parts from what is done in all; workers that go on from a checkpoint are behind for a while."""

    def __init__(self, tick: Callable[[float], None]) -> None:
        self._tick, self._made = tick, 0.0

    def __call__(self, made: float) -> None:
        if made > self._made:
            self._tick(made - self._made)
            self._made = made


@contextlib.contextmanager
def _heard(told: Callable[[float], None], tell: Callable[[str], None]) -> Iterator[Any]:
    """A queue on the cluster; numbers that are put into it are told here, and so are lines."""
    ray = load_ray()
    from ray.util.queue import Queue

    queue = Queue(actor_options=beside_the_driver(ray))

    def listen() -> None:
        with contextlib.suppress(ray.exceptions.RayError):  # it is gone
            while True:
                word = queue.get()
                tell(word) if isinstance(word, str) else told(word)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield queue
    finally:
        queue.shutdown(force=True)
        listener.join(_EVERY)


def _watch(word: Any) -> Any:
    """What looks at failures before Ray Train does: it gives up at once where trying again would end the same way."""
    from ray.train import UserCallback

    class Watch(UserCallback):  # type: ignore[misc]
        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
            for error in worker_exceptions.values():
                if isinstance(error, _FINAL):
                    raise error
            _say(word, f"a worker failed; what was saved is kept ({_first(worker_exceptions.values())})")

    return Watch()


def _plain(error: Any) -> Exception:
    """What went wrong, as our own code said it, or in a line."""
    cause = getattr(error, "controller_failure", None)
    if isinstance(cause, _FINAL):
        return cause
    failures = getattr(error, "worker_failures", {}).values() or [cause or error]
    return RuntimeError(f"workers failed {RETRIES + 1} times; what was saved is kept ({_first(failures)})")


def _first(failures: Iterable[Exception]) -> str:
    """The line that says most: where one worker fails, the others lose their connection to it."""
    failure = min(failures, key=lambda failure: "peer" in str(failure))
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0]


def _room(resources: Resources) -> int:
    """Workers for whom the cluster has room."""

    def fits(node: dict[str, float]) -> int:
        asked = {"CPU": resources.cpus, "GPU": resources.gpus}
        return min(int(node.get(name, 0.0) / number + 1e-6) for name, number in asked.items() if number)

    return sum(fits(node["Resources"]) for node in load_ray().nodes() if node["Alive"])
