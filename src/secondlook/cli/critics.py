"""Commands that make a critic better: a threshold for its score, a vote of several, a small trained one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from secondlook.cli.terminal import console
from secondlook.layout import number, points, share, table

if TYPE_CHECKING:
    import pandas as pd

    from secondlook.diagnosis.examiner import Examiner
    from secondlook.fitting.critics import Better
    from secondlook.fitting.examined import CriticRow

app = typer.Typer()
critic_app = typer.Typer(help="Make a better critic from records.", no_args_is_help=True)
app.add_typer(critic_app, name="critic")

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN…", help="Folder of a run, or a .csv, .jsonl or .parquet; several for more critics."),
]
ArmOption = Annotated[
    str | None, typer.Option("--arm", help="Arm whose second answers show the effect of verdicts; by default self.")
]
Seed = Annotated[int, typer.Option(help="Seed of the split by template.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Write the critic to FILE.json, to be served (fitted:FILE), or verdicts to FILE.jsonl (recorded)."
    ),
]
Answers = Annotated[
    bool, typer.Option("--answers", help="Also write the answer judged; only where records hold replies word for word.")
]


@critic_app.command("calibrate")
def calibrate(
    runs: Runs,
    arm: ArmOption = None,
    on: Annotated[str | None, typer.Option(help="score or p_wrong; by default the score where there is one.")] = None,
    to: Annotated[str, typer.Option(help="limit, or a probability by platt or isotonic regression.")] = "limit",
    seed: Seed = 0,
    out: Out = None,
    answers: Answers = False,
) -> None:
    """Choose the threshold of a critic that gives a number: on half of the templates, judged on the others."""
    from secondlook.fitting import critics

    known: tuple[critics.Calibration, ...] = get_args(critics.Calibration)
    if (wanted := next((one for one in known if one == to), None)) is None:
        raise ValueError(f"a number cannot be calibrated to {to!r}; choose one of {', '.join(known)}")
    records = _records(runs)
    _finish(critics.calibrate(records, arm, on=on, to=wanted, seed=seed), out, answers, runs, records)


@critic_app.command("vote")
def vote(runs: Runs, arm: ArmOption = None, out: Out = None, answers: Answers = False) -> None:
    """Let several critics that judged the same answers vote; a tie is unclear."""
    from secondlook.fitting import critics

    records = _records(runs)
    _finish(critics.vote(records, arm), out, answers, runs, records)


@critic_app.command("train")
def train(
    runs: Runs,
    arm: ArmOption = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds that the templates are dealt into.")] = 5,
    kind: Annotated[str, typer.Option("--model", help="logistic regression, or gradient-boosted trees.")] = "logistic",
    without: Annotated[list[str] | None, typer.Option(help="Leave this feature out, e.g. context; repeatable.")] = None,
    seed: Seed = 0,
    out: Out = None,
    answers: Answers = False,
) -> None:
    """Train a small critic on the records; every verdict comes from a model that saw none of its template."""
    from secondlook.fitting import critics
    from secondlook.fitting.learn import Kind

    known: tuple[Kind, ...] = get_args(Kind)
    if (wanted := next((one for one in known if one == kind), None)) is None:
        raise ValueError(f"model is {kind!r}; choose one of {', '.join(known)}")
    records = _records(runs)
    served = sorted(_examiners(runs, records)) if out is not None and out.suffix == ".json" else None
    better = critics.trained(records, arm, kind=wanted, folds=folds, seed=seed, without=without or (), asked=served)
    _finish(better, out, answers, runs, records)


def _records(runs: list[Path]) -> pd.DataFrame:
    """The tables of all runs; arms of several runs are told apart by their run's name."""
    import pandas as pd

    from secondlook.diagnosis.reading import read_tables
    from secondlook.fitting.examined import arms

    tables = {run: read_tables([path], also=("answer", "score")) for run, path in _named(runs).items()}
    if len(tables) == 1:
        return next(iter(tables.values()))
    parts = [rows.assign(arm=f"{run}/{name}") for run, read in tables.items() for name, rows in arms(read).items()]
    return pd.concat(parts, ignore_index=True)


def _named(runs: list[Path]) -> dict[str, Path]:
    """Runs by the name of their folder or file; with as many folders above it as tell two of one name apart.

    Raises:
        ValueError: A run is given twice.
    """
    if len({run.resolve() for run in runs}) < len(runs):
        raise ValueError(f"runs are {', '.join(map(str, runs))}; give each once")
    paths = [(run if run.is_dir() else run.with_suffix("")).resolve().parts for run in runs]
    # The names go into critics that are served, so they hold no more of a machine's folders than they need.
    for size in range(1, max(map(len, paths))):
        named = {"/".join(path[-size:]): run for path, run in zip(paths, runs, strict=True)}
        if len(named) == len(runs):
            return named
    return {run.name: run for run in runs}  # a folder and a file beside it, of one name but for the ending


def _examiners(runs: list[Path], records: pd.DataFrame) -> dict[str, Examiner]:
    """The critics of all arms that can be asked where they are served, by the arm's name."""
    from secondlook.diagnosis.examiner import Examiner, examiner_of, read_run
    from secondlook.fitting.critic_file import ASKED
    from secondlook.fitting.examined import arms

    found = {}
    folders = {name: read_run(run) for name, run in _named(runs).items()}
    for arm, rows in arms(records).items():
        critic = str(rows["critic"].iloc[0]) if "critic" in rows else arm
        folder, _, name = arm.rpartition("/") if len(runs) > 1 else (next(iter(folders)), "", arm)
        run = folders.get(folder)
        if critic not in ASKED or not rows["verdict"].notna().any():
            continue
        if run is None and critic != "self":
            raise ValueError(
                f"arm {arm!r} is of critic {critic!r} and no run.json says which; give the folder of its run"
            )
        found[arm] = examiner_of(run, name, critic) if run else Examiner(critic)
    return found


def _keep_critic(better: Better, out: Path, runs: list[Path], records: pd.DataFrame) -> None:
    """Write a critic that can be served."""
    from secondlook.diagnosis.table import check_table
    from secondlook.fitting.critic_file import FORMAT, CriticFile, critic_text
    from secondlook.fitting.gate_made import made_of
    from secondlook.machine import whole

    if better.fitted is None:
        raise ValueError("the best critic raises no alarm; there is nothing to serve")
    known = _examiners(runs, records)
    if strange := [name for name in better.asks if name not in known]:
        raise ValueError(f"the critic of arm {strange[0]!r} cannot be asked where it is served; leave that arm out")
    table = check_table(records)
    made = made_of(table, table.arms[better.arm], runs[0] if len(runs) == 1 else None)
    asked = {name: known[name] for name in better.asks}
    # The critic that was asked, and the one that is served; those between are for the table on the terminal.
    rows = [better.rows[0], better.rows[-1]]
    file = CriticFile(FORMAT, rows[-1].name, better.fitted, asked, made, rows, better.notes)
    with whole(out) as written:
        written.write(critic_text(file).encode())


def _finish(better: Better, out: Path | None, answers: bool, runs: list[Path], records: pd.DataFrame) -> None:
    from secondlook.fitting.critics import write_recorded

    if served := out is not None and out.suffix == ".json":
        _keep_critic(better, out, runs, records)
    asked, *others = rows = better.rows
    made = table("", spaces=2)
    for row in rows:
        made.add_column(row.name, justify="right")
    made.add_row("verdicts right", *(share(row.accuracy, interval=True) for row in rows))
    made.add_row("false alarms", *(share(row.false_alarm, interval=True) for row in rows))
    made.add_row("misses", *(share(row.miss, interval=True) for row in rows))
    made.add_row("unclear", *(f"{100 * row.unclear:.1f}%" for row in rows))
    made.add_row("gain, points", *(points(row.gain) for row in rows))
    made.add_row("more than asked", "", *(points(row.more_gain) for row in others))
    made.add_row("tokens an answer", *(number(row.tokens, ".0f") for row in rows))
    console.print(made)
    console.print()
    lines = [_meaning(rows[-1], asked.name), *(f"- {note}" for note in better.notes)]
    if served:
        lines += [
            f"\nfile: {out}, to be served",
            f"see whether the forecast holds: secondlook eval … --critic fitted:{out}",
        ]
    elif out is not None:
        count = write_recorded(out, better.verdicts, answers=answers)
        again = f"secondlook eval … --critic recorded --critic-file {out} --rounds 1"
        lines += [f"\nfile: {out}, {count} verdicts on first answers", f"see whether the forecast holds: {again}"]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _meaning(last: CriticRow, asked: str) -> str:
    """Worth of a critic, in two sentences."""
    more = last.more_gain
    if more is None or more.low is None or more.high is None:
        return f"What '{last.name}' would gain cannot be estimated: {last.reason or 'there are too few templates'}."
    claim = f"'{last.name}' is forecast to gain {'more' if more.low > 0 else 'less'} than {asked!r}"
    if more.low <= 0 <= more.high:
        claim = f"Whether '{last.name}' would gain more than {asked!r} is undecided"
    return (
        f"{claim}: {points(more)} points of accuracy over one second look, on {last.answers} answers. It is a "
        "forecast, from what followed the same verdicts of the critic that was asked."
    )
