"""A study's arms by the fast path, with everything else as Inspect's path has it: cases, critic, plan and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from inspect_ai import Task
from inspect_ai.model import Model
from rich.console import Console

from secondlook.correction.transcript import Transcript
from secondlook.evaluation import manifest
from secondlook.evaluation.asking import RunError
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.kept import NAME, KeptTranscripts
from secondlook.evaluation.logs import Logged, arm_name
from secondlook.evaluation.progress import one_done, progress_bar
from secondlook.evaluation.samples import asked_in, case_of
from secondlook.evaluation.solver import Session, as_asked, sampled
from secondlook.evaluation.study import UNKNOWN, Study
from secondlook.evaluation.task import HISTORY, NOTES, WORDS
from secondlook.local.lockstep import LockstepModel, fitting, run_lockstep, together
from secondlook.local.provider import LocalProvider, settings_of

_NOTE = "All samples went in lock-step: seconds are those of the batches an answer waited for, not of the answer alone."


def run_study(
    study: Study,
    samples: Sequence[Mapping[str, Any]],
    model: LockstepModel,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    words: Mapping[str, str] | None = None,
    other: LockstepModel | None = None,
    sampler: LockstepModel | None = None,
    chunk: int | None = None,
    on_transcript: Callable[[Transcript], None] | None = None,
) -> list[Transcript]:
    """Ask every question of a study's arm, and look again as the study says.

    Args:
        study: Critic, variant, rounds, prompt.
        samples: The questions, as the metadata of a task's samples.
        model: The answering model.
        history: What stands before every question in the ``diverse`` variant.
        words: What the arm puts around every question.
        other: The examining model of critic ``other``.
        sampler: The answering model, sampled, for a gate that asks whether samples agree.
        chunk: Conversations held at once; by default as many as the memory holds.
        on_transcript: Called for every transcript, in order, a chunk at a time.

    Returns:
        The transcripts of :func:`~secondlook.evaluation.solver.second_look`, one for each question.

    Raises:
        ValueError: If the study has a time budget, or needs another model and there is none.
        Exception: What the model or the critic raised while the history was made.
    """
    session = Session(study, history, model, other)
    # A lock-step model replies within `together` alone, and making the history asks it.
    ((plan, spent),) = anyio.run(together, [session.plan])
    cases = [case_of(metadata, study.file, words) for metadata in samples]
    if chunk is None:
        chunk = fitting([each for each in (model, other, sampler) if each], cases, plan)
    transcripts: list[Transcript] = []

    def done(transcript: Transcript) -> None:
        if not transcripts:  # the first one pays for the history
            transcript = replace(transcript, lost=transcript.lost + spent)
        transcripts.append(transcript)
        if on_transcript is not None:
            on_transcript(transcript)

    run_lockstep(model, session.critic, cases, plan, sampler=sampler, chunk=chunk, on_transcript=done)
    return transcripts


def run_arms(
    evaluation: Evaluation, folder: Path, tasks: Mapping[str, Task], model: Model, examiner: Model | None
) -> list[Logged]:
    """The arms of an evaluation, for :func:`~secondlook.evaluation.evaluate.run_evaluation`.

    Args:
        evaluation: What is run.
        folder: Of the run; keeps the finished transcripts of every arm, which are not asked again.
        tasks: The arms' tasks.
        model: The answering model.
        examiner: The examining model of critic ``other``.

    Raises:
        ValueError: If a model is not a local one, the evaluation asks for a judge model, or the folder holds logs.
        RunError: If not one sample of an arm could be finished.
    """
    if evaluation.judge_endpoint is not None:
        raise ValueError("a judge model is asked by Inspect; leave out --judge-model or --fast")
    if any(folder.rglob("*.eval")):
        raise ValueError(f"{folder} holds a run with Inspect's logs; leave out --fast to go on, or give another --out")
    other = None if examiner is None else _lockstep(examiner)
    # First, so that a line that is none is told of before anything is asked.
    logged, notes = _earlier(evaluation, folder, tasks)
    for name, task in tasks.items():
        study, about = evaluation.study_of(name), task.metadata or {}
        samples = [sample.metadata or {} for sample in task.dataset]
        # Opened once the folder is claimed for this run, so that what it holds is of these settings.
        with (
            KeptTranscripts(folder / name / NAME) as kept,
            progress_bar(f"{task.name} · {name}", len(samples), len(kept.finished), Console(stderr=True)),
        ):
            transcripts = _transcripts(study, samples, about, model, other, kept)
        if not any(transcript.rounds for transcript in transcripts):
            raise RunError(f"not one of {len(samples)} samples could be finished: {transcripts[0].error}")
        logged += _logged(name, study.noise, task, transcripts, notes)
    return logged


def _earlier(evaluation: Evaluation, folder: Path, tasks: Mapping[str, Task]) -> tuple[list[Logged], list[str]]:
    """The folder's arms that earlier calls asked and this one does not, as a report is on all; and notes on the rest.

    An arm that was stopped is left out: a finding on some of its questions would stand beside those on all.
    """
    logged: list[Logged] = []
    notes = []
    task = next(iter(tasks.values()))  # the questions are the same in every arm
    items = [asked_in(sample.metadata or {})[1].item.id for sample in task.dataset]
    for name in (manifest.read(folder) or {"arms": ()})["arms"]:
        if name in tasks or name == UNKNOWN:
            continue
        finished = {}
        if (file := folder / name / NAME).exists():
            with KeptTranscripts(file) as kept:
                finished = kept.finished
        if left := sum(item not in finished for item in items):
            notes.append(
                f"Arm {name!r} of this folder is left out: {left} of its {len(items)} questions are not finished; give "
                "it with the others to go on."
            )
        else:
            logged += _logged(name, evaluation.noise_of(name), task, [finished[item] for item in items])
    return logged, notes


def _logged(
    name: str, noise: float, task: Task, transcripts: Sequence[Transcript], notes: Sequence[str] = ()
) -> list[Logged]:
    """The transcripts of an arm, one for each sample of the task, as a log would hold them."""
    arm, said = arm_name(name, noise), (*(task.metadata or {})[NOTES], *notes, _NOTE)
    logged = []
    for sample, transcript in zip(task.dataset, transcripts, strict=True):
        benchmark, asked = asked_in(sample.metadata or {})
        logged.append(Logged(benchmark, name, arm, noise, asked.item, transcript, notes=said, in_log=False))
    return logged


def _transcripts(
    study: Study,
    samples: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    model: Model,
    other: LockstepModel | None,
    kept: KeptTranscripts,
) -> list[Transcript]:
    """The transcripts of an arm, one for each sample: those kept before, and the rest asked for and kept."""
    finished, items = dict(kept.finished), [asked_in(metadata)[1].item.id for metadata in samples]

    def keep(transcript: Transcript) -> None:
        finished[transcript.sample] = transcript
        kept.add(transcript)
        one_done(transcript.usage)

    if left := [metadata for item, metadata in zip(items, samples, strict=True) if item not in finished]:
        run_study(
            study,
            left,
            _lockstep(as_asked(model, study)),
            history=about[HISTORY],
            words=about[WORDS],
            other=other,
            sampler=_lockstep(sampled(model)) if study.decides.when == "agreement" else None,
            on_transcript=keep,
        )
    return [finished[item] for item in items]


def _lockstep(model: Model) -> LockstepModel:
    if not isinstance(model.api, LocalProvider):
        raise ValueError(  # noqa: TRY004 - the user named the wrong model, no code passed the wrong type
            f"model {model} is not a local one, and the fast path needs secondlook/…; leave out --fast"
        )
    return LockstepModel(model.api.local, settings_of(model.config), name=str(model))
