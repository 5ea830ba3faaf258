"""The command that diagnoses: records in, one screen out, and a file for a gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from secondlook.cli.terminal import console

if TYPE_CHECKING:
    from secondlook.diagnosis.forecast import Forecast, RoundForecast
    from secondlook.diagnosis.form import Diagnosis
    from secondlook.diagnosis.intervals import Estimate

app = typer.Typer()
DASH = "–"
_PLANTED = "The model is a planted subject: its numbers show that the instrument works, and nothing of real models."
_COLOURS = {"helps": "green", "hurts": "red", "undecided": "yellow"}


@app.command()
def diagnose(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folder of a run, or a .csv, .jsonl or .parquet.")],
    arm: Annotated[str | None, typer.Option(help="The arm to diagnose; by default self.")] = None,
    round_: Annotated[int | None, typer.Option("--round", help="The round to judge; by default the last.")] = None,
    price: Annotated[
        float, typer.Option(help="Points of accuracy that 1,000 more tokens per sample must bring.")
    ] = 0.0,
    json_: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write diagnosis.json to this file.")] = None,
) -> None:
    """Will looking again help this model, how many times, and why? From records of a run, or anyone's table."""
    from secondlook.diagnosis.diagnose import diagnose as diagnose_
    from secondlook.diagnosis.form import to_json
    from secondlook.diagnosis.reading import read_tables

    diagnosis = diagnose_(read_tables(runs), arm=arm, round_=round_, price=price)
    if out is not None:
        try:
            out.write_text(to_json(diagnosis), encoding="utf-8")
        except OSError as error:
            raise ValueError(f"cannot write {str(out)!r} ({error.strerror}); choose another --out") from None
    if json_:
        sys.stdout.write(to_json(diagnosis))
        return
    show(diagnosis)
    if out is not None:
        console.print(f"\nfile: {out}", soft_wrap=True)


def show(diagnosis: Diagnosis) -> None:
    """Print one screen; it is readable from 80 columns."""
    show_verdict(diagnosis)
    console.print()
    tables = [_rounds(diagnosis), _flips(diagnosis), _comparisons(diagnosis)]
    if len(diagnosis.groups) > 1:
        tables.append(_groups(diagnosis))
    for table in tables:
        if table.row_count:
            console.print(table)
            console.print()
    for label, text in _lines(diagnosis):
        console.print(Text.assemble((f"{label}: ", "bold"), text))
    planted = [_PLANTED] if "planted" in (diagnosis.model or "") else []
    for note in [*diagnosis.notes, *planted]:
        console.print(Text(note, style="dim"))


def show_verdict(diagnosis: Diagnosis) -> None:
    """Print the verdict and the recommendation alone."""
    console.print(Text(diagnosis.sentence, style=f"bold {_COLOURS[diagnosis.overall.verdict]}"))
    console.print(Text(_advised(diagnosis), style="bold"))


def _advised(diagnosis: Diagnosis) -> str:
    rounds, best = diagnosis.overall.recommended_rounds, diagnosis.recommendation
    told = f"Recommended second looks: {rounds}"
    if diagnosis.overall.verdict != "helps":
        return f"{told}, as they are not shown to help."
    option = best.options[rounds]
    cost = "" if option.tokens is None else f" and {option.tokens:,.0f} tokens a sample"
    price = f" at {best.price:g} points per 1,000 tokens" if best.price else ""
    source = "measured" if option.measured else "forecast"
    return f"{told}, for {100 * option.accuracy:.1f}% right ({source}){cost}{price}."


def _rounds(diagnosis: Diagnosis) -> Table:
    """Round by round, measured beside forecast; what could not be read is a column where there is any."""
    unread = any(state.unparsed + state.refused for state in diagnosis.rounds)
    headings = ["round", "right", "against first", "r → w", "w → r", "unread", "forecast", "critic", "tokens"]
    table = _table(*(heading for heading in headings if unread or heading != "unread"))
    predicted = {line.round: line for line in diagnosis.forecast.rounds} if diagnosis.forecast else {}
    steps = {step.step: step for step in diagnosis.steps}
    for state in diagnosis.rounds:
        before, step = steps.get(state.round - 1), steps.get(state.round)
        line = predicted.pop(state.round, None)
        table.add_row(
            str(state.round),
            _share(state.accuracy),
            _points(state.gain),
            "" if before is None else str(sum(n for to, n in before.counts["right"].items() if to != "right")),
            "" if before is None else str(before.counts["wrong"]["right"]),
            *([str(state.unparsed + state.refused)] if unread else []),
            _predicted(line),
            _share(step.critic.accuracy) if step else "",
            DASH if state.tokens is None else f"{state.tokens:,.0f}",
            style="red" if line and line.inside is False else None,
        )
    for line in predicted.values():
        table.add_row(str(line.round), *[""] * (5 if unread else 4), _predicted(line), style="dim")
    return table


def _flips(diagnosis: Diagnosis) -> Table:
    table = _table("first answers", "critic says", "n", "share", "then")
    for step in diagnosis.steps[:1]:
        for part in step.responses:
            became = "harmed" if part.state == "right" else "repaired"
            said = {"wrong": "wrong (alarm)", "none": "nothing"}.get(part.verdict, part.verdict)
            table.add_row(
                part.state, said, str(part.n), f"{100 * part.share:.0f}%", f"{became} {_share(part.changed, ends=True)}"
            )
    return table


def _comparisons(diagnosis: Diagnosis) -> Table:
    table = _table("against", "gain", "p", "McNemar", "n", "tokens, theirs")
    for part in diagnosis.overall.comparisons:
        tokens = [DASH if spent is None else f"{spent:,.0f}" for spent in (part.tokens, part.tokens_against)]
        table.add_row(
            part.against, _points(part.change), _p(part.p), _p(part.mcnemar_p), str(part.n), ", ".join(tokens)
        )
    return table


def _groups(diagnosis: Diagnosis) -> Table:
    table = _table("group", "n", "first", "gain", "critic", "break-even", "verdict", "looks")
    for group in diagnosis.groups:
        table.add_row(
            group.group,
            str(group.n),
            _share(group.accuracy),
            _points(group.gain),
            _share(group.critic.accuracy),
            _share(group.break_even),
            group.verdict,
            str(group.recommended_rounds),
            style=_COLOURS[group.verdict] if group.verdict != "undecided" else None,
        )
    return table


def _lines(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """What is best said in words."""
    if diagnosis.forecast:
        yield "Forecast", _forecast(diagnosis.forecast)
    if diagnosis.break_even:
        yield "Critic", diagnosis.break_even.sentence
    for part in diagnosis.overall.comparisons:
        if part.note:
            yield f"Against {part.against}", f"{part.note}."
    if contexts := diagnosis.overall.contexts:
        yield "By context", ", ".join(f"{name} {_points(gain)}" for name, gain in contexts.items()) + " points."
    for line in [*diagnosis.bias[:1], *diagnosis.bias[1:][-1:]]:
        told = [DASH if value is None else f"{value:+.2f}" for value in (line.ambiguous, line.disambiguated)]
        yield f"Bias score after round {line.round}", f"ambiguous {told[0]}, disambiguated {told[1]}."
    if dose := diagnosis.dose:
        bend = "" if dose.linear is None else f"; a line {'will do' if dose.linear else 'does not fit'}"
        bend += "" if dose.curvature is None else f" (curvature {_points(dose.curvature)})"
        yield "Dose-response", f"{_points(dose.slope)} points from no flipped verdict of {dose.critic} to all{bend}."
    if groups := diagnosis.correlation:
        yield (
            f"Gain against critic accuracy, {groups.groups} groups",
            f"r = {groups.pearson:+.2f} (p {_p(groups.pearson_p, '= ')}), rank correlation "
            f"{groups.spearman:+.2f} (p {_p(groups.spearman_p, '= ')}).",
        )
    if diagnosis.advice:
        yield "Advice", " ".join(diagnosis.advice)
    if diagnosis.cannot:
        yield "Cannot be estimated", "; ".join(diagnosis.cannot) + "."


def _forecast(chain: Forecast) -> str:
    rates = ", ".join(
        f"{name} = {100 * rate:.1f}%" for name, rate in (("CL", chain.keep), ("CS", chain.repair)) if rate is not None
    )
    limit = "" if chain.fixed_point is None else f"; further rounds tend to {_share(chain.fixed_point, ends=True)}"
    measured = [line for line in chain.rounds if line.inside is not None]
    held = (
        f"; {sum(bool(line.inside) for line in measured)} of {len(measured)} measured rounds lie inside"
        if measured
        else ""
    )
    warning = f". Warning: {chain.warning}" if chain.warning else ""
    return f"from the first step, {rates}{limit}{held}{warning}."


def _predicted(line: RoundForecast | None) -> str:
    if line is None:
        return ""
    span = "" if line.low is None or line.high is None else f" [{100 * line.low:.0f}, {100 * line.high:.0f}]"
    return f"{100 * line.accuracy:.1f}{span}"


def _table(*headings: str) -> Table:
    """Columns with nothing but spaces between them; names to the left, numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    return table


def _share(estimate: Estimate | None, *, ends: bool = False) -> str:
    if estimate is None:
        return DASH
    span = f" {_ends(estimate.low, estimate.high)}" if ends else ""
    return f"{100 * estimate.value:.1f}%{span}"


def _points(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{100 * estimate.value:+.1f} {_ends(estimate.low, estimate.high, sign='+')}".rstrip()


def _ends(low: float | None, high: float | None, *, sign: str = "") -> str:
    return "" if low is None or high is None else f"[{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _p(p: float | None, equals: str = "") -> str:
    return DASH if p is None else f"{equals}{p:.3f}" if p >= 0.001 else "<0.001"
