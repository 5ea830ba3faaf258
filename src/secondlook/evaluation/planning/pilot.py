"""A finished run, read as the pilot of a larger study: what it was, what its calls cost, how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalSample, list_eval_logs, read_eval_log

from secondlook.evaluation import manifest, times
from secondlook.evaluation.asking import Endpoint, unreadable
from secondlook.evaluation.evaluate import Evaluation
from secondlook.evaluation.logs import Logged, read_logged
from secondlook.evaluation.shards import without_merged
from secondlook.evaluation.study import UNKNOWN, Study

_STUDY = [field.name for field in fields(Study) if field.name not in ("critic", "seed")]


@dataclass(frozen=True, slots=True)
class Pilot:
    """A run that tells what a larger one costs.

    Attributes:
        folder: Where it is.
        evaluation: Its settings.
        samples: Its finished samples, by arm.
        failed: Samples that ended in an error and are left out, by arm.
        spans: Seconds from the start of an arm's first sample to the end of its last.
        times: The rest of its wall time; ``None`` if it was not run in one go.
        in_flight: Questions that were on their way at a time, at most; ``None`` where the logs do not tell.
    """

    folder: Path
    evaluation: Evaluation
    samples: Mapping[str, Sequence[Logged]]
    failed: Mapping[str, int]
    spans: Mapping[str, float]
    times: times.Times | None
    in_flight: int | None = None


def read_pilot(folder: Path) -> Pilot:
    """Read the folder of a run.

    Raises:
        ValueError: If it is not the folder of a run, keeps no logs, or its prompts or questions are not those here.
        RunError: If a log cannot be read.
    """
    kept = manifest.read(folder)
    if kept is None:
        raise ValueError(f"{str(folder)!r} is not the folder of a run; make one with: secondlook eval --out {folder}")
    evaluation = evaluation_of(kept["settings"], kept["arms"])
    _check_questions(folder, evaluation, kept["settings"])
    logged: dict[str, list[Logged]] = {name: [] for name in evaluation.names}
    for sample in read_logged(folder):
        logged[sample.name].append(sample)
    finished = {name: [one for one in arm if one.transcript.stop != "error"] for name, arm in logged.items()}
    for name, arm in finished.items():
        if not arm:
            raise ValueError(f"arm {name!r} of {str(folder)!r} has no finished sample; run it again to go on")
    return Pilot(
        folder=folder,
        evaluation=evaluation,
        samples=finished,
        failed={name: len(logged[name]) - len(finished[name]) for name in logged},
        spans={name: _span(folder / name) for name in evaluation.names},
        times=times.read(folder),
        in_flight=_in_flight(folder),
    )


def evaluation_of(settings: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """What a run's manifest says was run.

    Raises:
        ValueError: If the prompt file is another one by now, or a setting is not known.
    """
    known = {field.name for field in fields(Evaluation)} | set(_STUDY) | {"critic"}
    known |= {field.name for field in fields(Endpoint)} | {"judge", "revision", "hash of the questions", "verdicts"}
    if foreign := sorted(set(settings) - known):
        raise ValueError(f"unknown setting {foreign[0]!r} of a run; known: {', '.join(sorted(known))}")
    study = {name: settings[name] for name in (*_STUDY, "critic") if name in settings}
    version = str(settings["prompt"])
    study["prompt"] = version.rpartition("@")[0] or version
    found = Study.of(prompt=study["prompt"]).file.version
    if found != version:
        raise ValueError(f"the pilot's prompt is {version}, and here it is {found}; run the pilot again")
    for own in arms.values():
        study |= {name: value for name, value in own.items() if name in _STUDY}
    examiner = settings.get("critic_endpoint") or arms.get("other")
    judge = settings.get("judge")
    return Evaluation(
        benchmark=settings["benchmark"],
        endpoint=_endpoint(settings),
        arms=tuple(arms),
        study=study,
        questions=settings["questions"],
        seed=settings["seed"],
        critic_endpoint=_endpoint(examiner) if examiner else None,
        judge_endpoint=_endpoint(judge) if judge else None,
    )


def study_of(
    pilot: Evaluation,
    *,
    arms: Sequence[str] = (),
    rounds: int | None = None,
    per_category: int | None = None,
    limit: int | None = None,
    whole: bool = False,
) -> Evaluation:
    """The pilot's study at another size; what is not said is as in the pilot.

    Raises:
        ValueError: If the pilot lacks an arm, or a size is one that the benchmark or the pilot cannot tell of.
    """
    known = (*pilot.names, UNKNOWN)
    if foreign := [name for name in arms if name not in known]:
        option = f"--{pilot.kind.arm_word}"
        raise ValueError(
            f"the pilot has no arm {foreign[0]!r}, only {', '.join(pilot.names)}; run the pilot with "
            f"{option} {foreign[0]} too"
        )
    asked = tuple(dict.fromkeys(arms)) or pilot.names
    questions = dict(pilot.questions)
    for name, value in (("per_category", per_category), ("limit", limit)):
        if value is not None:
            questions[name] = value
    # What kept the pilot small is not the study's.
    if whole or (per_category is not None and limit is None):
        questions.pop("limit", None)
    if whole or (limit is not None and per_category is None):
        questions.pop("per_category", None)
    study = dict(pilot.study) | ({} if rounds is None else {"rounds": rounds})
    _check_rounds(pilot, rounds)
    if pilot.kind.arms:
        return replace(pilot, arms=asked, questions=questions, study=study)
    if "vote" not in asked:
        study.pop("votes", None)
    for name, owner in (("critic_command", "tool"), ("critic_file", "recorded")):
        if owner not in asked:
            study.pop(name, None)
    examiner = pilot.critic_endpoint if "other" in asked else None
    return replace(pilot, arms=asked, questions=questions, study=study, critic_endpoint=examiner)


def _check_rounds(pilot: Evaluation, rounds: int | None) -> None:
    had = int(pilot.study.get("rounds", 1))
    if rounds is None or rounds <= had:
        return
    if had == 0:
        raise ValueError("the pilot has no second look to measure; run the pilot with --rounds 1")
    ends = [name for name in ("budget_tokens", "budget_seconds") if pilot.study.get(name)]
    if ends or pilot.study.get("stop") == "satisfied":
        why = "--stop satisfied" if not ends else f"--{ends[0].replace('_', '-')}"
        raise ValueError(
            f"rounds is {rounds} and the pilot has {had}: with {why} nobody knows how many conversations go on; run "
            f"the pilot with --rounds {rounds}"
        )


def _check_questions(folder: Path, evaluation: Evaluation, settings: Mapping[str, Any]) -> None:
    found = evaluation.digest(evaluation.task(evaluation.names[0]))
    if found != settings.get("hash of the questions"):
        raise ValueError(
            f"the questions here are not those of {str(folder)!r} (hash {found}, there "
            f"{settings.get('hash of the questions')}); give the same data, or run the pilot again"
        )


def _endpoint(settings: Mapping[str, Any]) -> Endpoint:
    known = ("model", "base_url", "model_args", "temperature", "max_tokens")
    return Endpoint(**{name: settings[name] for name in known})


def _span(folder: Path) -> float:
    """Seconds in which an arm had samples on their way, over all its logs."""
    seconds = 0.0
    for info in without_merged(list_eval_logs(str(folder))):
        try:
            samples = read_eval_log(info).samples or []
        except Exception as error:
            raise unreadable(info.name, error) from error
        marks = [mark for sample in samples for mark in _marks(sample)]
        seconds += (max(marks) - min(marks)).total_seconds() if marks else 0.0
    return seconds


def _in_flight(folder: Path) -> int | None:
    asked = [read_eval_log(info, header_only=True).eval.config.max_samples for info in list_eval_logs(str(folder))]
    return min((number for number in asked if number), default=None)


def _marks(sample: EvalSample) -> list[datetime]:
    return [datetime.fromisoformat(str(mark)) for mark in (sample.started_at, sample.completed_at) if mark]
