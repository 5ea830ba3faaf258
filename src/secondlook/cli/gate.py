"""Commands of gates: fitted on records, tested on others, and only then said to help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from secondlook.cli.terminal import console
from secondlook.gate import When
from secondlook.layout import DASH, ends, number, points, table

if TYPE_CHECKING:
    from secondlook.fitting.gate_file import GateFile, Worth
    from secondlook.fitting.gate_fit import GateQuestions

app = typer.Typer()
gate_app = typer.Typer(help="When to look again, question by question, from records.", no_args_is_help=True)
app.add_typer(gate_app, name="gate")

Runs = Annotated[
    list[Path],
    typer.Argument(metavar="RUN…", help="Folder of a run, or a .csv, .jsonl or .parquet; several are one table."),
]
ArmOption = Annotated[str | None, typer.Option("--arm", help="Whose looks are gated; by default self.")]
Part = Annotated[str | None, typer.Option(help="One part of the templates, e.g. 1/2 to fit and 2/2 to test.")]
Seed = Annotated[int, typer.Option(help="Seed of the split by template.")]


@gate_app.command("fit")
def fit(
    runs: Runs,
    price: Annotated[float, typer.Option(help="Points of accuracy 1,000 more tokens a question must bring.")] = 0.0,
    out: Annotated[Path, typer.Option(help="The gate's file.")] = Path("gate.json"),
    arm: ArmOption = None,
    part: Part = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Go by this alone: always, alarm, unsatisfied, p_wrong, p_answer, agreement; repeatable."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Name the best gate even where none is shown to help; a test may show it.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Choose the gate that is worth most per token, and say what it is expected to bring; "none" if nothing helps."""
    from secondlook.fitting import gate_fit
    from secondlook.fitting.gate_made import made_of

    questions = _questions(runs, arm, part, seed)
    made = made_of(questions.table, questions.arm, runs[0] if len(runs) == 1 else None)
    file = gate_fit.fit(questions, made, price, anyway=anyway, seed=seed, by=by or get_args(When))
    _write(out, file)
    _show(file.rows, file.sentence, price)
    where = f"{len(file.questions):,} questions of {len(file.templates):,} templates"
    _say(f"\nfile: {out}, fitted on {where}")
    if file.gate.when != "never":
        _say(f"test it on others: secondlook gate test {out} RUN")


@gate_app.command("test")
def on_others(
    file: Annotated[Path, typer.Argument(help="The gate's file; what is found is written into it.")],
    runs: Runs,
    arm: ArmOption = None,
    part: Part = None,
    seed: Seed = 0,
) -> None:
    """Test a gate on questions that it was not fitted on; only then it is said to help."""
    from secondlook.fitting import gate_fit
    from secondlook.fitting.gate_file import read_gate, with_test
    from secondlook.fitting.gate_made import check_same, made_of

    gate = read_gate(file)
    questions = _questions(runs, arm, part, seed, gate.made.critic)
    check_same(gate.made, made_of(questions.table, questions.arm, runs[0] if len(runs) == 1 else None), str(file))
    tested = gate_fit.held_out(gate, questions)
    _write(file, with_test(gate, tested))
    _show(tested.rows, tested.sentence, gate.price)
    seen = f", {tested.seen:,} of them among those it was fitted on" if tested.seen else ", none of which it had seen"
    _say(f"\nfile: {file}, tested on {tested.questions:,} questions of {tested.templates:,} templates{seen}")
    if tested.finding == "helps":
        _say(f"serve it: secondlook serve --upstream … --policy {file}")


def _questions(
    runs: list[Path], arm: str | None, part: str | None, seed: int, critic: str | None = None
) -> GateQuestions:
    """The questions of an arm; where none is named, of the one with a gate's critic, if there is such a one."""
    from secondlook.diagnosis.reading import read_tables
    from secondlook.fitting.gate_fit import ALSO, questions_of

    records = read_tables(runs, also=ALSO)
    if arm is None and critic is not None and "arm" in records and critic in set(records["arm"]):
        arm = critic
    return questions_of(records, arm, _part(part), seed)


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number_, slash, of = text.partition("/")
    if not (slash and number_.isdigit() and of.isdigit()):
        raise ValueError(f"part is {text!r}; give e.g. 1/2 for the first of two halves of the templates")
    return int(number_), int(of)


def _write(path: Path, file: GateFile) -> None:
    from secondlook.fitting.gate_file import gate_text
    from secondlook.machine import whole

    try:
        with whole(path) as out:
            out.write(gate_text(file).encode())
    except OSError as error:
        raise ValueError(f"{error}; choose another file") from None  # what `whole` raises has no `strerror`


def _show(rows: list[Worth], sentence: str, price: float) -> None:
    from secondlook.diagnosis.finding import CONTROLS

    made = table("way", "looks", "accuracy [95%]", "tokens", "worth [95%]", "per 1k")
    short = {said: name for name, said in CONTROLS.items()}
    for row in rows:
        looks = DASH if row.looks is None else f"{100 * row.looks:.0f}%"
        made.add_row(
            short.get(row.name, row.name.removeprefix("the ").replace("best gate", "best")),
            looks,
            points(row.change),
            number(row.tokens, "+,.0f"),
            f"{row.value.value:+.1f} {ends(row.value.low, row.value.high, signed=True, scale=1)}".rstrip(),
            number(row.per_token, "+.1f"),
        )
    console.print(made)
    console.print()
    _say(f"Points over never looking again, at {price:g} for 1,000 tokens; per 1k: points of accuracy for as many.")
    _say(sentence)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
