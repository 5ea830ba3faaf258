"""Parts of every experiment: variants that differ in one named factor, and curves over seeds."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from secondlook.evidence.curves import Curve
from secondlook.evidence.experiment import About
from secondlook.lab.baselines import baselines
from secondlook.lab.exam import Exam, angle, angles, off
from secondlook.lab.objectives import judge
from secondlook.lab.profile import LabProfile
from secondlook.lab.run import Run
from secondlook.lab.scale import TRAINED
from secondlook.lab.store import Store, Tick
from secondlook.lab.tokens import reads
from secondlook.lab.train import Trained
from secondlook.lab.tuning import trials, tuned

Metric = Callable[[Tensor, Exam, list[int]], Tensor]


@dataclass(frozen=True)
class Variant:
    """Runs that differ in their seed alone.

    Attributes:
        label: Its name.
        run: The run, of any seed.
        factor: The one field that it changes of what it is compared with, e.g. `shape.depth`; empty if nothing.
        also: Fields that change with it, to make the comparison fair, and why; `rate` stands here where it was tuned.
    """

    label: str
    run: Run
    factor: str = ""
    also: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Record for JSON."""
        own = {"label": self.label, "factor": self.factor, "also": dict(self.also)}
        return {**own, "parameters": self.run.parameters, "run": self.run.record()}


class Lab:
    """Laboratory that experiments work with: a profile, and trained runs on disk.

    Args:
        profile: Sizes.
        store: Where trained runs are.
        tick: See `Store.train`.
    """

    def __init__(self, profile: LabProfile, store: Store, tick: Tick = lambda _: None) -> None:
        self.profile, self.store, self.tick = profile, store, tick

    @property
    def base(self) -> Run:
        """Base run of all variants."""
        return self.profile.base

    def about(self) -> About:
        """Facts about this laboratory, for a result."""
        engine, device = self.store.engine.described, self.store.options.device
        return About(
            self.profile.name,
            {"base": self.base.record(), "seeds": self.profile.seeds, "exam": self.profile.exam},
            (self.profile.reduced,),
            reduced=bool(self.profile.reduced),
            more={"machine": f"{platform.machine()}, {engine}, {device}"},
        )

    def train(self, variants: Sequence[Variant]) -> dict[str, list[Trained]]:
        """Train every variant with every seed; what was trained, by label."""
        runs = {variant.label: self.seeds(variant.run) for variant in variants}
        done = self.store.train([run for several in runs.values() for run in several], self.tick)
        return {label: [done[run] for run in several] for label, several in runs.items()}

    def seeds(self, run: Run) -> list[Run]:
        """The run with every seed of the profile."""
        return [replace(run, seed=seed) for seed in range(self.profile.seeds)]

    def tune(self, variants: Sequence[Variant]) -> list[Variant]:
        """Variants at the rate whose trial, half as many steps long, ends with the least loss on a pilot seed."""
        if not self.profile.rates:
            return list(variants)
        rates = self.profile.rates
        done = self.store.train([trial for variant in variants for trial in trials(variant.run, rates)], self.tick)
        found = []
        for variant in variants:
            run = tuned(variant.run, rates, done)
            chosen = f"tuned among {', '.join(f'{rate:g}' for rate in rates)} on a pilot seed: {run.rate:g}"
            found.append(replace(variant, run=run, also={**variant.also, "rate": chosen}))
        return found

    def exam(self, run: Run) -> Exam:
        """Fresh problems of a run's task."""
        return Exam.of(run.task, run.objective, self.profile.exam)

    def examine(self, trained: Trained, metric: Metric) -> Tensor:
        """A metric of a trained run on fresh problems, at every prefix [p]."""
        exam = self.exam(trained.run)
        return metric(trained.predict(exam.episodes), exam, seen(trained.run))

    @property
    def chance(self) -> float:
        """Loss of a random guess, in nats, at the prefixes at which the base is judged."""
        return guess(self.exam(self.base), seen(self.base)).mean().item()

    def errors(self, members: Sequence[Trained]) -> np.ndarray:
        """1 − cosine with the truth, ``[seeds, problems, p]``."""
        exam, at = self.exam(members[0].run), seen(members[0].run)
        found = [angles(member.predict(exam.episodes), exam.truth(at)) for member in members]
        return torch.stack(found).double().numpy()

    def curve(self, panel: str, label: str, members: Sequence[Trained], metric: Metric) -> Curve:
        """A metric at every prefix, a line for each variant."""
        values = tuple(tuple(self.examine(member, metric).tolist()) for member in members)
        return Curve(panel, label, tuple(map(float, seen(members[0].run))), values)

    def baselines(self, panel: str, run: Run, metric: Metric, only: Sequence[str] = ()) -> list[Curve]:
        """Curves of rules that need no training, on the same problems."""
        exam, at = self.exam(run), seen(run)
        known = baselines(run.task)
        names = only or tuple(known)
        values = {name: metric(known[name](exam.episodes, at), exam, at) for name in names if name in known}
        x = tuple(map(float, at))
        return [Curve(panel, name, x, (tuple(value.tolist()),), "baseline") for name, value in values.items()]

    def short(self, base: Sequence[Trained]) -> str:
        """Sentence on how the base fell short of being trained, for `Findings.untrained`.

        It is trained if its excess is below 0.1 nats in every seed. Where no optimum is known, nothing is said of it.
        """
        if self.exam(base[0].run).least is None:
            return ""
        worst = float(self.mean(base, excess).max())
        return "" if worst < TRAINED else f"The base ended {worst:.2f} nats above the optimum: it was not trained."

    def mean(self, members: Sequence[Trained], metric: Metric) -> np.ndarray:
        """A metric's mean over prefixes, for each seed."""
        return np.array([self.examine(member, metric).mean().item() for member in members])


def descent_of(run: Run) -> str:
    """The baseline that descends on what a run minimises."""
    return "descent" if run.objective == "pl-cosine" or run.task.fresh else "descent, squared reward"


def seen(run: Run) -> list[int]:
    """Numbers of examples at which a run is judged."""
    return reads(run.task, run.shape.layout)[1]


def error(predictions: Tensor, exam: Exam, at: list[int]) -> Tensor:
    """1 − cosine with the truth [p]."""
    return angle(predictions, exam.truth(at))


def squared(predictions: Tensor, exam: Exam, at: list[int]) -> Tensor:
    """Squared error relative to the truth's square [p]."""
    return off(predictions, exam.truth(at))


def loss(predictions: Tensor, exam: Exam, at: list[int]) -> Tensor:
    """The objective [p], in nats."""
    return judge(predictions, exam.episodes, at, exam.objective).mean(0)


def excess(predictions: Tensor, exam: Exam, at: list[int]) -> Tensor:
    """The objective above its numerical optimum in each context [p], in nats.

    Raises:
        ValueError: See `Exam.excess`.
    """
    return exam.excess(predictions, at).mean(0)


def guess(exam: Exam, at: list[int]) -> Tensor:
    """The loss [p] of guessing at random: directions drawn without looking."""
    shape = (len(exam.episodes), len(at), exam.episodes.truth.shape[-1])
    random = torch.randn(shape, generator=Generator().manual_seed(0), dtype=exam.episodes.truth.dtype)
    return judge(random, exam.episodes, at, exam.objective).mean(0)


def differences(base: Variant, other: Variant) -> set[str]:
    """Fields that differ between two variants' runs, e.g. `shape.depth`; the seed does not count."""
    return set(base.run.differences(other.run))


def check_fair(base: Variant, others: Sequence[Variant]) -> None:
    """Refuse variants that change more than their factor and what they declare.

    Raises:
        ValueError: A field that changes and is not declared.
    """
    for other in others:
        declared = {other.factor, *other.also}
        if hidden := differences(base, other) - declared:
            raise ValueError(
                f"variant {other.label!r} also changes {', '.join(sorted(hidden))}: declare it, or undo it"
            )
