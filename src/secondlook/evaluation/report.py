"""What a person reads: round by round and by category, on the terminal, as JSON and as CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.benchmarks.benchmark import AnyBenchmark, Summary, find
from secondlook.diagnosis.bias import BiasScore, bias_score
from secondlook.diagnosis.rounds import GroupChange, RoundSummary, by_group, by_round
from secondlook.evaluation.study import UNKNOWN, VOTE
from secondlook.layout import DASH, number, share, span, table

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
        arms: One report a critic.
        sentence: What it means.
        notes: What must be known to read it.
        details: What was run, in words.
        run: Settings and package versions (``run.json``); empty for logs that Inspect's own command made.
        summary: The benchmark's own part, if it has one.
    """

    benchmark: str
    model: str
    arms: list[ArmReport]
    sentence: str
    notes: list[str]
    details: dict[str, str]
    run: dict[str, Any] = field(default_factory=dict)
    summary: Summary | None = None


def build_report(
    benchmark: AnyBenchmark,
    records: pd.DataFrame,
    *,
    arms: Sequence[str] = (),
    prefix_rewritten: bool = False,
    summary: Summary | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Summarise the arms of a run.

    Args:
        benchmark: What was asked.
        records: Records of one benchmark and model, one or several arms.
        arms: The arms in the order to show them; as the records have them where it is not given.
        prefix_rewritten: Whether the chat template is known to rewrite earlier turns.
        summary: The benchmark's own part.
        notes: What must be known of the questions.
    """
    parts = [(arm, records[records["arm"] == arm]) for arm in arms or records["arm"].unique()]
    reports = [
        ArmReport(
            arm=str(arm),
            rounds=by_round(rows),
            groups=by_group(rows),
            contexts=by_group(rows.assign(group=rows["context"]))[:-1],
            bias=_bias_by_round(rows),
        )
        for arm, rows in parts
    ]
    first = records.iloc[0]
    model = str(first["model"])
    return Report(
        benchmark=benchmark.name,
        model=model,
        arms=reports,
        sentence=summary.sentence if summary else " ".join(_sentence(arm) for arm in reports),
        notes=[*notes, *(summary.notes if summary else ()), *_notes(benchmark.name, model, reports, prefix_rewritten)],
        details={
            "model": model,
            "revision": str(first["revision"] or "not told by the provider"),
            "prompt": str(first["prompt"]),
            "chat template": str(first["chat_template"] or "kept by the server"),
            "decoding": str(first["decoding"]),
            **({} if benchmark.arms else {"variant": str(first["variant"])}),
        },
        summary=summary,
    )


def _bias_by_round(rows: pd.DataFrame) -> list[dict[str, BiasScore]]:
    """Bias of the answers in hand, as accuracy is; empty where no answer tells of any."""
    if rows["bias"].isna().all():
        return []
    good = rows[rows["status"] != "error"].sort_values("round", kind="stable")
    scores = []
    for index in range(int(rows["round"].max()) + 1):
        held = good[good["round"] <= index].drop_duplicates("sample", keep="last")
        parts = {name: held[held["context"] == name] for name in ("ambig", "disambig")}
        scores.append(
            {
                name: bias_score(part["bias"].to_numpy(float), name == "ambig", (part["status"] == "ok").to_numpy())
                for name, part in parts.items()
            }
        )
    return scores


def _sentence(arm: ArmReport) -> str:
    """What the arm means, in one sentence."""
    *groups, overall = arm.groups
    if overall.first is None:
        return "No sample has an answer; nothing can be said."
    if arm.arm == UNKNOWN:
        return f"Answering always 'unknown' would be right in {share(overall.first, interval=True)}."
    if len(arm.rounds) < 2:
        accuracy = share(overall.first, interval=True)
        return f"The model answered once and was not asked again: accuracy {accuracy}."
    change = overall.change
    assert change is not None  # there is one wherever there are first answers
    subject = {
        "none": "Asking again without any critique",
        VOTE: f"Taking the majority of {len(arm.rounds)} answers",
    }.get(arm.arm, f"Looking twice (critic: {arm.arm})")
    claim = f"{subject} {overall.effect} this model over all"
    if overall.effect == "undecided":
        claim = f"Whether {subject[0].lower()}{subject[1:]} helps this model over all is undecided"
    counts = {effect: sum(group.effect == effect for group in groups) for effect in ("helps", "hurts", "undecided")}
    ci = (
        ""
        if change.low is None or change.high is None
        else f", 95% interval {100 * change.low:+.1f} to {100 * change.high:+.1f}"
    )
    return (
        f"{claim} ({100 * change.value:+.1f} points{ci}): it helps in {counts['helps']} of {len(groups)} categories, "
        f"hurts in {counts['hurts']}, and {counts['undecided']} are undecided at this sample size."
    )


def _notes(benchmark: str, model: str, arms: Sequence[ArmReport], prefix_rewritten: bool) -> list[str]:
    notes = []
    if "planted" in model:
        notes.append(PLANTED_NOTE + (f" {FOREIGN_NOTE}" if benchmark == "bbq" else ""))
    if errors := sum(round_.errors for arm in arms for round_ in arm.rounds):
        what = "1 sample" if errors == 1 else f"{errors} samples"
        notes.append(f"{what} ended in an error; the same command again asks only what failed.")
    if prefix_rewritten:
        notes.append("The chat template rewrites earlier turns: servers cannot reuse their prefix caches.")
    notes.append(
        "Intervals are 95%, clustered by question template; effects by category are not adjusted for their number."
    )
    return notes


def show(report: Report, console: Console) -> None:
    """Print the report; it is readable from 80 columns."""
    if report.summary is not None:
        console.print(Text(f"{report.benchmark} · {report.model}", style="bold"))
        for made in report.summary.tables():
            console.print(made)
            console.print()
    kind = find(report.benchmark).arm_word
    for arm in report.arms:
        if report.summary is not None and len(arm.rounds) < 2:
            continue  # the tables above say it all
        console.print(Text(f"{report.benchmark} · {report.model} · {kind}: {arm.arm}", style="bold"))
        for made in (*_round_tables(arm, console.width), _group_table(arm)):
            console.print(made)
            console.print()
    console.print(Text(report.sentence, style="bold"))
    for note in report.notes:
        console.print(Text(note, style="dim"))
    console.print(Text(" · ".join(f"{key}: {value}" for key, value in report.details.items()), style="dim"))


def to_json(report: Report) -> str:
    """The report as JSON text; a number that does not exist is ``null``."""
    return json.dumps(_finite(asdict(report)), indent=1) + "\n"


def write(report: Report, records: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``report.json``, ``rounds.csv`` and ``records.csv`` into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rounds = pd.json_normalize([{"arm": arm.arm, **asdict(line)} for arm in report.arms for line in arm.rounds])
    paths = [folder / name for name in ("report.json", "rounds.csv", "records.csv")]
    paths[0].write_text(to_json(report), encoding="utf-8")
    rounds.to_csv(paths[1], index=False)
    records.to_csv(paths[2], index=False)
    return paths


def read(folder: Path) -> Report:
    """The report of a run as its files hold it, for whoever cannot read logs; a benchmark's own tables are left out.

    Raises:
        ValueError: If the files are not there, or are none of ours.
    """
    try:
        kept = json.loads((folder / "report.json").read_text("utf-8"))
        records = pd.read_csv(folder / "records.csv", dtype={"correct": "boolean"}, low_memory=False)
        arms = [arm["arm"] for arm in kept["arms"]]
        made = build_report(find(kept["benchmark"]), records, arms=arms)
        notes = [*kept["notes"], *([_NO_LOGS] if kept["summary"] else [])]
        return replace(made, sentence=kept["sentence"], notes=notes, run=kept["run"])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{str(folder)!r} holds no finished report ({error}); {_NO_LOGS}") from None


def _round_tables(arm: ArmReport, width: int) -> Iterator[Table]:
    """Rounds across, what is measured down; as many tables as it takes for the rounds to fit side by side."""
    lines = _round_lines(arm)
    head = max(len(name) for name, _ in lines)
    cell = max(len(text) for _, values in lines for text in values)
    fitting = max(1, (width - head) // (cell + 2))
    for start in range(0, len(arm.rounds), fitting):
        headings = [f"round {line.round}" for line in arm.rounds[start : start + fitting]]
        made = table("", *headings, spaces=2)
        for name, values in lines:
            made.add_row(name, *values[start : start + fitting])
        yield made


def _round_lines(arm: ArmReport) -> list[tuple[str, list[str]]]:
    rounds, critics = arm.rounds, [line.critic for line in arm.rounds]
    return [
        ("accuracy", [share(line.accuracy) for line in rounds]),
        ("  95% interval", [span(line.accuracy) for line in rounds]),
        ("right → wrong", [str(line.right_to_wrong) if line.round else "" for line in rounds]),
        ("wrong → right", [str(line.wrong_to_right) if line.round else "" for line in rounds]),
        ("unparsed", [str(line.unparsed) for line in rounds]),
        ("elicited", [str(line.elicited) for line in rounds]),
        ("errors", [str(line.errors) for line in rounds]),
        ("critic: verdict correct", [share(critic.accuracy) for critic in critics]),
        ("critic: false alarms", [share(critic.false_alarm) for critic in critics]),
        ("critic: misses", [share(critic.miss) for critic in critics]),
        ("critic: unclear", [str(critic.unclear) if critic.clear + critic.unclear else DASH for critic in critics]),
        ("critic: elicited", [str(critic.elicited) if critic.clear + critic.unclear else DASH for critic in critics]),
        *(
            [
                ("bias score, ambiguous", [_score(bias["ambig"]) for bias in arm.bias]),
                ("bias score, disambiguated", [_score(bias["disambig"]) for bias in arm.bias]),
            ]
            if arm.bias
            else []
        ),
        ("tokens per answer", [number(line.tokens, ".0f") for line in rounds]),
        ("seconds per answer", [number(line.seconds, ".2f") for line in rounds]),
    ]


def _group_table(arm: ArmReport) -> Table:
    # All of BBQ, with its longest names and numbers, takes 80 columns.
    made = table("first and last", "n", "first", "last", "change", "95% interval", "critic", "effect")
    for section in (arm.groups[:-1], arm.contexts, arm.groups[-1:]):
        for group in section:
            made.add_row(
                group.group,
                str(group.first.n) if group.first else "0",
                share(group.first),
                share(group.last),
                DASH if group.change is None else f"{100 * group.change.value:+.1f}",
                span(group.change, signed=True),
                share(group.critic.accuracy),
                group.effect,
                style={"helps": "green", "hurts": "red"}.get(group.effect),
            )
        made.add_section()
    return made


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _score(bias: BiasScore) -> str:
    return DASH if bias.value is None else f"{bias.value:+.2f}"
