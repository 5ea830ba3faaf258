"""Report on a run: the answer in a few lines, round by round and by category, as JSON and as CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.benchmarks.benchmark import AnyBenchmark, Summary, find
from secondlook.diagnosis import form
from secondlook.diagnosis.answer import AnswerLine, answer_line
from secondlook.diagnosis.bias import BiasScore
from secondlook.diagnosis.diagnose import diagnose_all, second_looks
from secondlook.diagnosis.finding import Effect
from secondlook.diagnosis.form import Diagnosis
from secondlook.diagnosis.labels import Labels
from secondlook.diagnosis.reading import read_tables
from secondlook.diagnosis.records import COLUMNS
from secondlook.diagnosis.rounds import GroupChange, RoundSummary, by_group, by_round
from secondlook.evaluation.labels import kept_labels
from secondlook.evaluation.study import UNKNOWN
from secondlook.layout import share
from secondlook.machine import whole

PLANTED_NOTE = (
    "secondlook/planted is a planted subject, made to calibrate this instrument: its numbers show that the "
    "instrument works and say nothing about real models."
)
FOREIGN_NOTE = (
    "It has never seen English and always names an option: on official BBQ its accuracy is expected to be near chance."
)


_NO_LOGS = "tables that are made of the logs need Inspect: pip install 'secondlook[eval]'"


@dataclass(frozen=True, slots=True)
class ArmReport:
    """Everything reported of one arm.

    Attributes:
        arm: The critic, with its noise.
        rounds: Round by round.
        groups: First against last answer by category; the last entry is over all.
        contexts: The same by context condition.
        bias: Official bias score by round and condition; empty where the questions are not BBQ's.
    """

    arm: str
    rounds: list[RoundSummary]
    groups: list[GroupChange]
    contexts: list[GroupChange]
    bias: list[dict[str, BiasScore]]


@dataclass(frozen=True, slots=True)
class Report:
    """The arms of a run, and what must be said with their numbers.

    Attributes:
        benchmark: Name of the benchmark.
        model: Provider and model.
        lines: Every arm before and after, what it costs and what was found: the answer.
        arms: One report a critic.
        sentence: What it means.
        lost: How many samples ended in an error, and the first cause; ``None`` if none did.
        notes: What must be known to read it.
        details: What was run, in words.
        run: Settings and package versions (``run.json``); empty for logs that Inspect's own command made.
        summary: The benchmark's own part, if it has one.
        diagnoses: Of every arm, by its name; files of their own hold them.
        looks: The arms that look again, and are neither a control nor an oracle's.
        unread: Whose answers could not be read, not one of them, and the remedy; ``None`` if some of every arm could.
    """

    benchmark: str
    model: str
    lines: list[AnswerLine]
    arms: list[ArmReport]
    sentence: str
    lost: str | None
    notes: list[str]
    details: dict[str, str]
    run: dict[str, Any] = field(default_factory=dict)
    summary: Summary | None = None
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    looks: list[str] = field(default_factory=list)
    unread: str | None = None


def build_report(
    benchmark: AnyBenchmark,
    records: pd.DataFrame,
    *,
    arms: Sequence[str] = (),
    prefix_rewritten: bool = False,
    summary: Summary | None = None,
    notes: Sequence[str] = (),
    cause: str | None = None,
    labels: Labels | None = None,
) -> Report:
    """Summarise the arms of a run.

    Args:
        benchmark: What was asked.
        records: Records of one benchmark and model, one or several arms.
        arms: The arms in the order to show them; as the records have them where it is not given.
        prefix_rewritten: Whether the chat template is known to rewrite earlier turns.
        summary: The benchmark's own part.
        notes: What must be known of the questions.
        cause: Of the first sample that ended in an error.
        labels: What people say of some answers.
    """
    diagnoses, looks = diagnose_all(records, labels), second_looks(records)
    parts = [(str(arm), records[records["arm"] == arm]) for arm in arms or records["arm"].unique()]
    reports = [
        ArmReport(
            arm=arm,
            rounds=by_round(rows),
            groups=by_group(rows, _findings(diagnoses.get(arm))),
            contexts=by_group(rows.assign(group=rows["context"]))[:-1],  # the last is over all, as in `groups`
            bias=_bias_by_round(rows, diagnoses.get(arm)),
        )
        for arm, rows in parts
    ]
    said = [_sentence(report, diagnoses.get(report.arm)) for report in reports if not looks or report.arm in looks]
    # By sample, of which a failed judge makes every answer an error.
    errors = len(records[records["status"] == "error"].drop_duplicates(["arm", "sample"]))
    first = records.iloc[0]
    model = str(first["model"])
    return Report(
        benchmark=benchmark.name,
        model=model,
        lines=[answer_line(diagnoses[report.arm]) for report in reports if report.arm in diagnoses],
        arms=reports,
        sentence=summary.sentence if summary else " ".join(said),
        lost=_lost(errors, len(records.drop_duplicates(["arm", "sample"])), cause) if errors else None,
        notes=[*notes, *(summary.notes if summary else ()), *_notes(benchmark.name, model, prefix_rewritten)],
        details={
            "model": model,
            "revision": "not told by the provider" if pd.isna(first["revision"]) else str(first["revision"]),
            "prompt": str(first["prompt"]),
            "chat template": "kept by the server" if pd.isna(first["chat_template"]) else str(first["chat_template"]),
            "decoding": str(first["decoding"]),
            **({} if benchmark.arms else {"variant": str(first["variant"])}),
        },
        summary=summary,
        diagnoses=diagnoses,
        looks=looks,
    )


def _findings(diagnosis: Diagnosis | None) -> dict[str, Effect]:
    """Findings by group, and of all."""
    return {} if diagnosis is None else {group.group: group.finding for group in (*diagnosis.groups, diagnosis.overall)}


def _lost(errors: int, samples: int, cause: str | None) -> str:
    ended = "1 sample" if errors == 1 else f"{errors} samples"
    why = f", the first in: {cause}" if cause else ""
    return f"{ended} of {samples:,} ended in an error{why}. The same command again asks only what failed."


def _bias_by_round(rows: pd.DataFrame, diagnosis: Diagnosis | None) -> list[dict[str, BiasScore]]:
    """Bias of the answers in hand, as accuracy is; empty where no answer tells of any."""
    if diagnosis is None or rows["bias"].isna().all():
        return []
    return [{"ambig": at.ambiguous, "disambig": at.disambiguated} for at in diagnosis.bias]


def _sentence(report: ArmReport, diagnosis: Diagnosis | None) -> str:
    """Sentence that says what the arm means."""
    overall = report.groups[-1]
    if diagnosis is None or overall.first is None:
        return "No sample has an answer; nothing can be said."
    accuracy = share(overall.first, interval=True)
    if report.arm == UNKNOWN:
        return f"Answering always 'unknown' would be right in {accuracy}."
    if len(report.rounds) < 2:
        return f"The model answered once and was not asked again: accuracy {accuracy}."
    return diagnosis.sentence


def _notes(benchmark: str, model: str, prefix_rewritten: bool) -> list[str]:
    notes = []
    if "planted" in model:
        notes.append(PLANTED_NOTE + (f" {FOREIGN_NOTE}" if benchmark == "bbq" else ""))
    if prefix_rewritten:
        notes.append("The chat template rewrites earlier turns: servers cannot reuse their prefix caches.")
    notes.append("Intervals are 95%, clustered by question template; findings of groups are adjusted for their number.")
    return notes


def to_json(report: Report) -> str:
    """The report as JSON text, but for its diagnoses; a number that does not exist is ``null``."""
    return json.dumps(_finite(asdict(replace(report, diagnoses={}, looks=[]))), indent=1) + "\n"


def write(report: Report, records: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``report.json``, ``rounds.csv`` and ``records.csv``, each whole or not at all; returns their paths."""
    rounds = pd.json_normalize([{"arm": arm.arm, **asdict(line)} for arm in report.arms for line in arm.rounds])
    paths = [folder / name for name in ("report.json", "rounds.csv", "records.csv")]
    texts = (to_json(report), rounds.to_csv(index=False), records.to_csv(index=False))
    for path, text in zip(paths, texts, strict=True):
        # Half a table would be read as a finished run of fewer questions.
        with whole(path) as file:
            file.write(text.encode())
    return paths


def write_diagnoses(diagnoses: Sequence[Diagnosis], folder: Path) -> list[str]:
    """Write the diagnoses of a run, and leave none of an earlier report; names of the files."""
    if not diagnoses:
        return []
    one = len(diagnoses) == 1
    files = {"diagnosis.json" if one else f"diagnosis-{each.arm}.json": each for each in diagnoses}
    for name, diagnosis in files.items():
        with whole(folder / name) as file:
            file.write(form.to_json(diagnosis).encode())
    # A diagnosis that the same folder had under the other name is of fewer arms, or older: it would go on being served.
    for name in [f"diagnosis-{each.arm}.json" for each in diagnoses] if one else ["diagnosis.json"]:
        (folder / name).unlink(missing_ok=True)
    return [*files]


def read(folder: Path) -> Report:
    """The report of a run as its files hold it, for whoever cannot read logs; a benchmark's own tables are left out.

    Raises:
        ValueError: If the files are not there, or are none of ours.
    """
    try:
        kept = json.loads((folder / "report.json").read_text("utf-8"))
        # As `diagnose` reads it: names are text, NA and 007 too.
        records = read_tables([folder], also=COLUMNS).astype({"correct": "boolean"})
        arms = [arm["arm"] for arm in kept["arms"]]
        # All is made from the records again but for what came from logs: causes, notes, a benchmark's own sentence.
        made = replace(
            build_report(find(kept["benchmark"]), records, arms=arms, labels=kept_labels(folder)),
            lost=kept["lost"],
            unread=kept.get("unread"),
        )
        notes = [*kept["notes"], *([_NO_LOGS] if kept["summary"] else [])]
        return replace(made, sentence=kept["sentence"], notes=notes, run=kept["run"])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{str(folder)!r} holds no finished report ({error}); {_NO_LOGS}") from None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
