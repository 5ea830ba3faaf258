"""A sweep judged on the scale: where each variant stands beside the base, with curves of its training."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from secondlook.cluster.place import Place, put, there
from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.outcome import ClaimEstimate
from secondlook.evidence.result import estimated, pictured, provenance, write
from secondlook.lab.averages import best_of_n
from secondlook.lab.descents import released
from secondlook.lab.exam import Exam, angle, angles
from secondlook.lab.experiments import floor, transformer_and_descent
from secondlook.lab.optimum import optimum
from secondlook.lab.run import Run
from secondlook.lab.scale import FAILS, RULES, SOLVES, TRAINED, Scale, stand
from secondlook.lab.store import Store
from secondlook.lab.sweep import BASE, Sweep
from secondlook.lab.tasks import Task
from secondlook.lab.tokens import Layout, reads
from secondlook.lab.train import Trained
from secondlook.lab.tuning import trials, tuned

EXAM = 1024
"""Fresh problems that a sweep is judged on."""
_COMPARED = 8  # problems by which an exam is known
_POINTS = 50  # of a training curve
_DESCENT, _OPTIMUM = "descent, as released", "optimum of the loss"


@dataclass(frozen=True)
class ExamResult:
    """A trained run on fresh problems.

    Attributes:
        trained: The run.
        excess: Loss above the optimum of every problem, mean over prefixes; ``[batch]``, in nats.
        error: 1 − cosine with the truth, of every problem at every prefix; ``[batch, p]``.
    """

    trained: Trained
    excess: Tensor
    error: Tensor


def judge_sweep(sweep: Sweep, store: Store, name: str) -> dict[str, Any]:
    """Judge what has been trained of a sweep; the rest is told as not run.

    Args:
        sweep: With variants. Nothing is trained.
        store: Where trained runs are.
        name: Of the sweep.

    Returns:
        As `result.json` has it: for each variant what it changes, its standing, skill and excess over seeds and
        problems, and each seed's excess, steps, wall time and threads; curves of training and of the error by prefix,
        with that of what needs no training. And the numbers of L1 and L7, which are about the base alone.

    Raises:
        ValueError: No variants, or a grid; a task or objective whose optimum is not known.
    """
    if not sweep.variants or sweep.grid:
        raise ValueError("a sweep that is judged has [[variants]], which are compared with its base, and no [grid]")
    examined = {setting["variant"]: _found(sweep, store, run) for setting, run in sweep.settings}
    base = examined[BASE]
    variants, curves = [], []
    for label, found in examined.items():
        record: dict[str, Any] = {"name": label, "changes": dict(sweep.variants.get(label, {})), "standing": "not run"}
        seeds = sorted(found.keys() & base.keys())
        if found:
            run = _any(found).trained.run
            record |= {"seeds": [_seed(found[seed]) for seed in sorted(found)], "run": run.record()}
            record["parameters"] = run.parameters
            curves += _curves(label, [found[seed] for seed in sorted(found)])
        if seeds:
            # A variant may have another layout, which is read at other prefixes: it has a scale of its own.
            first = _any(found).trained.run
            scale = _scale(first.task, first.shape.layout)
            judged = stand(scale, [found[seed].excess for seed in seeds], [base[seed].excess for seed in seeds])
            record |= {
                "standing": judged.standing,
                "counted": [seeds[number] for number in judged.seeds],
                "skill": _estimate(judged.skill),
                "excess": _estimate(judged.excess),
                "behind": _estimate(judged.behind),
            }
        variants.append(record)
    scale = _scale(sweep.base.task, sweep.base.shape.layout)
    episodes, at = scale.exam.episodes, list(scale.seen)
    made = {name: rule(episodes, at) for name, rule in RULES.items()}
    made[_DESCENT] = released(episodes, at, generator=Generator().manual_seed(0))
    made[_OPTIMUM] = optimum(episodes, at).prediction
    curves += _untrained(scale, made)
    return {
        "id": name,
        "title": "training, and the error at its end",
        "task": sweep.base.task.name,
        "scale": {"rule": scale.rule, "way": scale.way, "fails": FAILS, "solves": SOLVES, "trained": TRAINED},
        "exam": EXAM,
        "seeds": sweep.seeds,
        "rates": list(sweep.rates),
        "base": sweep.base.record(),
        "variants": variants,
        "claims": _claims(scale, made, [one for _, one in sorted(base.items()) if one.excess.mean().item() < TRAINED]),
        **pictured(_PANELS, curves),
        **provenance(),
    }


def keep(result: dict[str, Any], folder: Path) -> None:
    """Write `result.json` and its figure.

    Raises:
        OSError: They cannot be written.
    """
    write(result, folder)


def examine(trained: Trained, file: Place) -> ExamResult:
    """A run on the problems that all runs of its task are judged on.

    Args:
        trained: The run.
        file: Keeps the result: it is read from there, so that a run can be judged whose weights were not kept.

    Raises:
        FileNotFoundError: It was not judged on these problems, and its weights are not there.
        OSError: The file cannot be written.
    """
    run = trained.run
    exam, at = Exam.of(run.task, run.objective, EXAM), reads(run.task, run.shape.layout)[1]
    problems = exam.episodes.queries[:_COMPARED].numpy()
    kept = _read(file) if there(file) else {}
    # Up to rounding: the last bits of what is drawn depend on the machine.
    if not kept or len(kept["excess"]) != EXAM or not np.allclose(kept["problems"], problems, atol=1e-4):
        predictions = trained.predict(exam.episodes)
        written = io.BytesIO()
        np.savez_compressed(
            written,
            problems=problems,
            excess=_scale(run.task, run.shape.layout).excess(predictions).numpy(),
            # Rounded, it takes half as much room; it is averaged over a thousand problems.
            error=angles(predictions, exam.truth(at)).numpy().round(5),
        )
        put(file, written.getvalue())
        kept = _read(file)
    return ExamResult(trained, torch.from_numpy(kept["excess"]), torch.from_numpy(kept["error"]))


def _read(file: Place) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(file.read_bytes())) as kept:
        return dict(kept)


_PANELS = (
    Panel("training", "While training", "steps", "excess loss over the optimum (nats)", "log"),
    Panel("error", "At the end", "examples in context", "1 − cosine with Wx"),
)


def _found(sweep: Sweep, store: Store, untuned: Run) -> dict[int, ExamResult]:
    """Exam results of what has been trained of a variant, by seed."""
    tried = trials(untuned, sweep.rates)
    # Without every trial the rate is not known, and so neither is the run.
    if not all(store.logged(trial) for trial in tried):
        return {}
    run = tuned(untuned, sweep.rates, {trial: store.load(trial, weights=False) for trial in tried})
    return {
        one.seed: examine(store.load(one, weights=False), store.exam(one))
        for one in sweep.seeded(run)
        if store.judged(one)
    }


@lru_cache(maxsize=16)
def _scale(task: Task, layout: Layout) -> Scale:
    return Scale.of(Exam.of(task, "pl-cosine", EXAM), reads(task, layout)[1])


def _seed(examined: ExamResult) -> dict[str, Any]:
    run, cost = examined.trained.run, examined.trained.cost
    return {
        "seed": run.seed,
        "rate": run.rate,
        "steps": run.steps,
        **{name: cost[name] for name in ("seconds", "threads", "device")},
        "excess": round(examined.excess.mean().item(), 5),
        "run": run.name,
    }


def _curves(label: str, members: Sequence[ExamResult]) -> list[Curve]:
    logs = [[look for look in member.trained.log if look["step"] > 0] for member in members]
    every = -(-len(logs[0]) // _POINTS)
    logs = [log[::-1][::every][::-1] for log in logs]  # the last look stays
    steps = tuple(look["step"] for look in logs[0])
    run = members[0].trained.run
    prefixes = tuple(map(float, reads(run.task, run.shape.layout)[1]))
    training = tuple(tuple(round(look["excess"], 5) for look in log) for log in logs)
    errors = tuple(tuple(round(value, 5) for value in member.error.mean(0).tolist()) for member in members)
    # Without a mask each place sees all later examples, so a line by their number says nothing of it.
    shown = label if run.shape.causal else f"{label} (sees all examples)"
    return [Curve("training", label, steps, training), Curve("error", shown, prefixes, errors)]


def _claims(scale: Scale, made: Mapping[str, Tensor], base: Sequence[ExamResult]) -> dict[str, dict[str, Any]]:
    """Numbers of the claims that are about a trained base alone, by claim and part; ``made`` as for `_untrained`.

    Empty if it was trained in no seed, or if contexts are shorter than what the claims are about.
    """
    if not base or not {transformer_and_descent.MANY, floor.LAST} <= set(scale.seen):
        return {}
    episodes, at, truth = scale.exam.episodes, list(scale.seen), scale.exam.truth(list(scale.seen))

    def errors(predictions: Tensor) -> np.ndarray:
        return angles(predictions, truth).double().numpy()

    own, place = torch.stack([one.error for one in base]).double().numpy(), at.index(floor.LAST)
    descent, lowest, copied = errors(made[_DESCENT]), errors(made[_OPTIMUM]), errors(best_of_n(episodes, at))
    looks = [[look for look in one.trained.log if look["step"] > 0] for one in base]
    found = {
        "L1": transformer_and_descent.numbers(own, descent, at),
        "L7": floor.numbers(own[..., place], lowest[:, place], copied[:, place], looks),
    }
    return {claim: {name: estimated(number) for name, number in numbers.items()} for claim, numbers in found.items()}


def _untrained(scale: Scale, made: Mapping[str, Tensor]) -> list[Curve]:
    """Error of predictions that need no training, ``[batch, p, dy]`` by name."""
    truth, x = scale.exam.truth(list(scale.seen)), tuple(map(float, scale.seen))
    errors = {name: angle(predictions, truth).tolist() for name, predictions in made.items()}
    return [
        Curve("error", name, x, (tuple(round(value, 5) for value in error),), "baseline")
        for name, error in errors.items()
    ]


def _any(found: dict[int, ExamResult]) -> ExamResult:
    return next(iter(found.values()))


def _estimate(estimate: ClaimEstimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimated(estimate)
