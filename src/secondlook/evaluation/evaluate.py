"""Run an evaluation into a folder, and report on what the folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from inspect_ai import Task
from inspect_ai.model import Model

from secondlook.benchmarks.benchmark import Answered
from secondlook.cluster.place import Place, turn
from secondlook.diagnosis.examiner import examiner_of
from secondlook.evaluation import manifest, times
from secondlook.evaluation.asking import evaluate, shortened
from secondlook.evaluation.evaluation import Evaluation, digest_of, digests_of
from secondlook.evaluation.inspect_model import InspectModel
from secondlook.evaluation.kept import kept_in
from secondlook.evaluation.labels import kept_labels, labels_by_round
from secondlook.evaluation.logs import Logged, read_logged, to_table
from secondlook.evaluation.report import Report, build_report, write
from secondlook.evaluation.report_page import write_page
from secondlook.evaluation.rows import who_read
from secondlook.evaluation.shards import NUMBER
from secondlook.evaluation.study import UNKNOWN
from secondlook.evaluation.task import HISTORY
from secondlook.evaluation.unknown import always_unknown

Arms: TypeAlias = Callable[[Evaluation, Path, Mapping[str, Task], Model, Model | None], list[Logged]]
"""Asks the questions of every arm by other means than Inspect's. It takes what is run, its folder, the arms' tasks, the
model and the examiner."""

Before: TypeAlias = Callable[[Evaluation, Mapping[str, Task], Model, Model | None], None]
"""Tries a few questions before a folder gets its first answer; takes what :data:`Arms` take, but for the folder."""


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
            ``rounds.csv``, ``records.csv``, and ``times.json`` where Inspect asked all of it, in this one call.
        log_buffer: Finished samples kept back before a log is written.
        quiet: Show no progress.
        arms: What asks the questions instead of one call of Inspect for each arm: the fast path, which leaves
            transcripts in place of logs, or parts.
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
        # After the claim: a folder of other settings is refused as that, even if no server listens.
        evaluation.reach()
        if arms is None and kept_in(folder):
            raise ValueError(f"{folder} holds a run of --fast; give --fast to go on, or another --out")
        if arms is not None:
            return _report_on(arms(evaluation, folder, tasks, model, examiner), folder)
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
    kept = manifest.read(folder) or {}  # none beside logs that Inspect's own command made
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
        notes=[
            *dict.fromkeys(note for logged in samples for note in logged.notes),
            *_notes(samples),
            *_mostly_unread(records),
        ],
        cause=next((logged.transcript.error for logged in samples if logged.transcript.stop == "error"), None),
        labels=labels,
    )
    report = replace(report, unread=_unread(samples, records))
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


def _unread(samples: list[Logged], records: pd.DataFrame) -> str | None:
    """Line on the arms none of whose answers could be read; ``None`` if there is none."""
    given = records[records["status"] != "error"]
    lost = given[~given["arm"].isin(given.loc[given["status"] != "unparsed", "arm"])]
    if lost.empty:
        return None
    benchmark, first = samples[0].benchmark, lost.iloc[0]
    asked = [logged for logged in samples if logged.arm in set(lost["arm"])]
    answers = f"the {len(lost)} answers of {', '.join(dict.fromkeys(logged.arm for logged in asked))}"
    said = who_read(benchmark, [logged.item for logged in asked], answers, first["judge"])
    # What is asked to find faults is not repeated.
    shown = "" if benchmark.arms else f". The first is {shortened(first['answer'])!r}"
    return f"{said[0].upper()}{said[1:]}{shown}."


def _mostly_unread(records: pd.DataFrame) -> list[str]:
    """Notes on arms of whose answers fewer than half, but some, could be read: of the rest nothing is measured."""
    given = records[records["status"] != "error"]
    counts = given["status"].eq("unparsed").groupby(given["arm"]).agg(["size", "sum"])
    return [
        f"Of the {asked} answers of {arm!r} {lost} cannot be read: they count as not right, whatever they say."
        for arm, asked, lost in counts.itertuples()
        if asked / 2 < lost < asked
    ]


def _notes(samples: list[Logged]) -> list[str]:
    """Notes on the server that was asked, and on critics that abstained."""
    notes = []
    told = [logged.transcript.model.decoding.get("refused") for logged in samples]
    if refused := sorted({str(name) for names in told if isinstance(names, list) for name in names}):
        notes.append(f"The model refuses {', '.join(refused)}: left out of its requests, or named otherwise.")
    if by := {str(name) for one in samples if (name := one.transcript.model.decoding.get("tokens counted by"))}:
        notes.append(f"Tokens are counted by {', '.join(by)}, of texts alone, where the server does not tell them.")
    if untold := sum(logged.transcript.usage.untold for logged in samples):
        notes.append(f"The server does not tell what {untold} calls cost: costs and equal costs cannot be estimated.")
    if abstained := Counter(one.arm for one in samples if one.transcript.stop == "abstained"):
        asked = Counter(one.arm for one in samples)
        notes += [
            f"Critic {arm!r} abstained on {count} of {asked[arm]} questions, whose answers stand."
            for arm, count in sorted(abstained.items())
        ]
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
    for name, task in tasks.items():
        arms[name]["hash of the words"] = evaluation.digest_of_words(name, task)
        if evaluation.kind.arms:
            arms[name]["hash of the exchanges shown"] = digest_of((task.metadata or {})[HISTORY])
    if examiner is not None:
        # Settings of the examiner stand with the arms that ask it; where arms are no critics, with those of all arms.
        asking = (arms.get("other"), arms.get("fitted", {}).get("critic_endpoint"), settings.get("critic_endpoint"))
        for holder in asking:
            if holder is not None:
                holder.update(_found(examiner))
    for holder in (*arms.values(), settings):
        holder.update(digests_of(holder))
    manifest.claim(folder, settings, arms)


def _found(model: Model) -> dict[str, Any]:
    """Facts that only the opened model tells: its address after all, and its weights."""
    return {"base_url": model.api.base_url, "revision": InspectModel(model).info.revision}
