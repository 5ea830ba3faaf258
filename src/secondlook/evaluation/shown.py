"""A report on the terminal: the answer first, then round by round and by category; readable from 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.benchmarks.benchmark import find
from secondlook.diagnosis.answer import COLOURS, advised, answer_table
from secondlook.diagnosis.bias import BiasScore
from secondlook.diagnosis.rounds import GroupChange
from secondlook.evaluation.report import ArmReport, Report
from secondlook.layout import DASH, number, share, span, table


def show(report: Report, console: Console) -> None:
    """Print the answer, and then how it comes about."""
    console.print(Text(f"{report.benchmark} · {report.model}", style="bold"))
    console.print(answer_table(report.lines))
    console.print()
    if report.summary is not None or not report.looks:
        console.print(Text(report.sentence, style="bold"))
    for name in report.looks:
        if (diagnosis := report.diagnoses.get(name)) is not None:
            console.print(Text(diagnosis.sentence, style=f"bold {COLOURS[diagnosis.overall.finding]}"))
            console.print(advised(diagnosis), highlight=False)
    for line in filter(None, (report.lost, report.unread)):
        console.print(Text(line, style="bold red"))
    console.print()
    for made in report.summary.tables() if report.summary is not None else ():
        console.print(made)
        console.print()
    kind = find(report.benchmark).arm_word
    for arm in report.arms:
        if report.summary is not None and len(arm.rounds) < 2:
            continue  # the tables above say it all
        console.print(Text(f"{kind}: {arm.arm}", style="bold"))
        for made in (*_round_tables(arm, console.width), *_group_tables(arm)):
            console.print(made)
            console.print()
    for note in report.notes:
        console.print(Text(note, style="dim"))
    console.print(Text(" · ".join(f"{key}: {value}" for key, value in report.details.items()), style="dim"))


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
        *([("elicited", [str(line.elicited) for line in rounds])] if any(line.elicited for line in rounds) else []),
        ("errors", [str(line.errors) for line in rounds]),
        *(
            [
                ("critic: was right in", [share(critic.accuracy) for critic in critics]),
                ("critic: false alarms", [share(critic.false_alarm) for critic in critics]),
                ("critic: misses", [share(critic.miss) for critic in critics]),
                (
                    "critic: unclear",
                    [str(critic.unclear) if critic.clear + critic.unclear else "" for critic in critics],
                ),
                (
                    "critic: elicited",
                    [str(critic.elicited) if critic.clear + critic.unclear else "" for critic in critics],
                ),
            ]
            if any(critic.clear + critic.unclear for critic in critics)
            else []
        ),
        *(
            [
                ("bias score, ambiguous", [_score(bias["ambig"]) for bias in arm.bias]),
                ("bias score, disambiguated", [_score(bias["disambig"]) for bias in arm.bias]),
            ]
            if arm.bias
            else []
        ),
        ("tokens a question", [number(line.tokens, ".0f") for line in rounds]),
        ("seconds per answer", [number(line.seconds, ".2f") for line in rounds]),
    ]


def _group_tables(arm: ArmReport) -> Iterator[Table]:
    """First and last answers by group, where there is more than one."""
    groups, overall = arm.groups[:-1], arm.groups[-1:]
    if len(groups) + len(arm.contexts) < 2:
        return
    again, examined = len(arm.rounds) > 1, any(group.critic.accuracy for group in overall)
    columns: dict[str, Callable[[GroupChange], str]] = {
        "n": lambda group: str(group.first.n) if group.first else "0",
        "first": lambda group: share(group.first),
    }
    if again:
        columns |= {
            "last": lambda group: share(group.last),
            "change": lambda group: DASH if group.change is None else f"{100 * group.change.value:+.1f}",
            "95% interval": lambda group: span(group.change, signed=True),
            **({"critic": lambda group: share(group.critic.accuracy)} if examined else {}),
            "finding": lambda group: group.effect or "",
        }
    # All of BBQ, with its longest names and numbers, takes 80 columns.
    made = table("first and last" if again else "answers", *columns)
    for section in (groups, arm.contexts, overall):
        for group in section:
            style = COLOURS[group.effect] if group.effect in ("helps", "hurts") else None
            made.add_row(group.group, *(cell(group) for cell in columns.values()), style=style)
        made.add_section()
    yield made


def _score(bias: BiasScore) -> str:
    return DASH if bias.value is None else f"{bias.value:+.2f}"
