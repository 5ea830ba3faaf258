"""Commands that make a critic better: a threshold for its score, a vote of several, a small trained one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from secondlook.cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from secondlook.diagnosis.critics import Better
    from secondlook.diagnosis.examined import CriticRow
    from secondlook.diagnosis.intervals import Estimate

app = typer.Typer()
critic_app = typer.Typer(help="A better critic, from records.", no_args_is_help=True)
app.add_typer(critic_app, name="critic")

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN…", help="Folder of a run, or a .csv, .jsonl or .parquet; several for more critics."),
]
ArmOption = Annotated[
    str | None,
    typer.Option("--arm", help="Whose second answers show what a verdict leads to; by default self."),
]
Seed = Annotated[int, typer.Option(help="Seed of the split by template.")]
Out = Annotated[Path | None, typer.Option(help="Write the verdicts to this file, for critic recorded.")]
Answers = Annotated[
    bool,
    typer.Option("--answers", help="Also write the answer judged; only where records hold replies word for word."),
]
_DASH = "–"


@critic_app.command("calibrate")
def calibrate(runs: Runs, arm: ArmOption = None, seed: Seed = 0, out: Out = None, answers: Answers = False) -> None:
    """Choose the threshold of a critic that gives a number: on half of the templates, judged on the others."""
    from secondlook.diagnosis import critics

    _finish(critics.calibrate(_records(runs), arm, seed=seed), out, answers)


@critic_app.command("vote")
def vote(runs: Runs, arm: ArmOption = None, out: Out = None, answers: Answers = False) -> None:
    """Let several critics that judged the same answers vote; a tie is unclear."""
    from secondlook.diagnosis import critics

    _finish(critics.vote(_records(runs), arm), out, answers)


@critic_app.command("train")
def train(
    runs: Runs,
    arm: ArmOption = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts the templates are dealt into.")] = 5,
    without: Annotated[list[str] | None, typer.Option(help="Leave this feature out, e.g. context; repeatable.")] = None,
    seed: Seed = 0,
    out: Out = None,
    answers: Answers = False,
) -> None:
    """Train a small critic on the records; every verdict comes from a model that saw none of its template."""
    from secondlook.diagnosis import critics

    _finish(critics.trained(_records(runs), arm, folds=folds, seed=seed, without=without or ()), out, answers)


def _records(runs: list[Path]) -> pd.DataFrame:
    """The tables of all runs; arms of several runs are told apart by their run's name."""
    import pandas as pd

    from secondlook.diagnosis.examined import arms
    from secondlook.diagnosis.reading import read_tables

    tables = [read_tables([run], also=("answer", "score")) for run in runs]
    if len(tables) == 1:
        return tables[0]
    parts = []
    for run, table in zip(runs, tables, strict=True):
        parts += [rows.assign(arm=f"{run.stem}/{name}") for name, rows in arms(table).items()]
    return pd.concat(parts, ignore_index=True)


def _finish(better: Better, out: Path | None, answers: bool) -> None:
    from secondlook.diagnosis.critics import write_recorded

    table = Table("", *(row.name for row in better.rows), box=box.SIMPLE)
    lines: dict[str, Callable[[CriticRow], str]] = {
        "verdicts right": lambda row: _share(row.accuracy),
        "false alarms": lambda row: _share(row.false_alarm),
        "misses": lambda row: _share(row.miss),
        "unclear": lambda row: f"{100 * row.unclear:.1f}%",
        "gain, points": lambda row: _points(row.gain),
        "more than asked": lambda row: _points(row.more_gain) if row is not better.rows[0] else "",
        "tokens an answer": lambda row: _DASH if row.tokens is None else f"{row.tokens:.0f}",
    }
    for name, cell in lines.items():
        table.add_row(name, *map(cell, better.rows))
    console.print(table)
    console.print(_meaning(better), soft_wrap=True, highlight=False)
    for note in better.notes:
        console.print(f"- {note}", soft_wrap=True, highlight=False, markup=False)
    if out is not None:
        number = write_recorded(out, better.verdicts, answers=answers)
        console.print(f"\nfile: {out}, {number} verdicts on first answers", soft_wrap=True, highlight=False)
        console.print(
            f"see whether the forecast holds: secondlook eval … --critic recorded --critic-file {out} --rounds 1",
            soft_wrap=True,
            highlight=False,
        )


def _meaning(better: Better) -> str:
    """What the last critic is worth, in two sentences."""
    last, asked = better.rows[-1], better.rows[0]
    if last.more_gain is None or last.more_gain.low is None or last.more_gain.high is None:
        return f"What '{last.name}' would gain cannot be estimated: {last.reason or 'there are too few templates'}."
    if last.more_gain.low > 0:
        claim = f"'{last.name}' is forecast to gain more than {asked.name!r}"
    elif last.more_gain.high < 0:
        claim = f"'{last.name}' is forecast to gain less than {asked.name!r}"
    else:
        claim = f"Whether '{last.name}' would gain more than {asked.name!r} is undecided"
    return (
        f"{claim}: {_points(last.more_gain)} points of accuracy over one second look, on {last.answers} answers. It "
        "is a forecast, from what followed the same verdicts of the critic that was asked."
    )


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return _DASH
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}%"
    return f"{100 * estimate.value:.1f}% [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def _points(estimate: Estimate | None) -> str:
    if estimate is None:
        return _DASH
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:+.1f}"
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"
